"""After an update or upgrade that failed: can the service be used, is it worth repeating, what differs.

The answers are read from what is kept of the failure, so they are the same wherever they are shown.

    usable      nothing was begun, or it was rolled back, or no verification found the service wrong
                and nothing that destroys was done
    repeatable  not what would fail in the same way: a permanent error, an instance that does not fit
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from engine.requests.parameters import is_reference, with_dots
from engine.store import aftermath as store
from engine.store.aftermath import FailedOperation, Failure
from engine.store.pool import Connection

CONTRADICTED: Final = "verification_failed"
"""The error type of a step that did its work and was found wrong."""

UNFIT: Final = "verify_target_compatibility"
"""The check that fails because of what the instance is: the next try would say the same."""

NOT_OF_THE_INSTANCE: Final = frozenset({"maintenance_window"})
"""Parameters that say how the request runs, not what the instance becomes."""

VERSION: Final = "version"


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What people are told; `comparison`: {parameter or "version": {asked, actual}}, secrets as dots."""

    request_id: str
    instance_usable: bool
    update_repeatable: bool
    comparison: Mapping[str, Mapping[str, Any]]


async def of_request(connection: Connection, request_id: UUID) -> Aftermath | None:
    """Return what a failed update or upgrade left; None for every other request."""
    found = await store.failed_operation(connection, request_id)
    return None if found is None else await _judged(connection, found)


async def of_instance(connection: Connection, instance_id: UUID) -> Aftermath | None:
    """Return the same of the operation that was last done to an instance, where that failed."""
    found = await store.last_failed_operation(connection, instance_id)
    return None if found is None else await _judged(connection, found)


async def _judged(connection: Connection, operation: FailedOperation) -> Aftermath:
    failures = await store.failures(connection, operation.id)
    return Aftermath(
        request_id=operation.request_id,
        instance_usable=_is_usable(operation, failures),
        update_repeatable=_is_repeatable(operation, failures),
        comparison=_comparison(operation),
    )


def _is_usable(operation: FailedOperation, failures: Sequence[Failure]) -> bool:
    if operation.rolled_back or not operation.was_begun:
        return True
    if any(_is_contradicted(failure) for failure in failures):
        return False
    return not (operation.is_destructive and operation.has_changed)


def _is_contradicted(failure: Failure) -> bool:
    """Say whether a verification found wrong what the step had done."""
    results: Any = failure.verification or ()
    listed: Sequence[Mapping[str, Any]] = [results] if isinstance(results, Mapping) else results
    return failure.error_type == CONTRADICTED or any(one.get("verified") is False for one in listed)


def _is_repeatable(operation: FailedOperation, failures: Sequence[Failure]) -> bool:
    if operation.failed_check == UNFIT:
        return False
    return all(failure.error_kind != "permanent" for failure in failures)


def _comparison(operation: FailedOperation) -> dict[str, dict[str, Any]]:
    actual = operation.deployment_parameters
    pairs = {
        name: (asked, actual.get(name))
        for name, asked in operation.parameters.items()
        if name not in NOT_OF_THE_INSTANCE
    }
    if operation.to_version is not None:
        pairs[VERSION] = (operation.to_version, operation.catalog_version)
    return {
        name: {"asked": with_dots(asked), "actual": with_dots(found)}
        for name, (asked, found) in pairs.items()
        if asked != found or is_reference(asked) != is_reference(found)
    }
