"""Updates and upgrades that failed, with what is kept of the failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import row_or_none, rows, value

_sql = queries.load("aftermath")


@dataclass(frozen=True, slots=True)
class Failure:
    """The last attempt of a step that failed."""

    error_type: str | None
    error_kind: str | None
    verification: Any


@dataclass(frozen=True, slots=True)
class FailedOperation:
    """An update or upgrade that failed or was aborted, and its instance as it is now.

    `has_changed`: a step was completed, so something outside may be different.
    """

    id: UUID
    request_id: str
    parameters: Mapping[str, Any]
    to_version: str | None
    is_destructive: bool
    rolled_back: bool
    was_begun: bool
    has_changed: bool
    failed_check: str | None
    deployment_parameters: Mapping[str, Any]
    catalog_version: str


async def failed_operation(connection: Connection, request_id: UUID) -> FailedOperation | None:
    """Return a request where it is an update or upgrade that failed or was aborted."""
    return await row_or_none(connection, _sql.failed_operation, {"id": request_id}, FailedOperation)


async def last_failed_operation(
    connection: Connection, instance_id: UUID
) -> FailedOperation | None:
    """Return the last request about an instance, where it is an update or upgrade that failed."""
    last = await value(connection, _sql.last_request, {"id": instance_id})
    return None if last is None else await failed_operation(connection, last)


async def failures(connection: Connection, request_id: UUID) -> list[Failure]:
    """Return the last attempts of the steps of a request that failed."""
    return await rows(connection, _sql.failures, {"id": request_id}, Failure)
