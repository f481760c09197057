"""The instance that a day-2 request is about: locked, free of other requests, in a fit state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.errors import Conflict, InvalidInput
from engine.requests.approvals import waits_for
from engine.requests.parameters import references_in
from engine.requests.subject import target_parameters
from engine.results import Actor, Submission
from engine.store import approvals, instances
from engine.store import submission as store
from engine.store.instances import InstanceRow
from engine.store.pool import Connection

STATE_RULES: Final = frozenset({"check_instance_can_change", "check_can_decommission"})
"""The rules by which the database refuses to start a request on an instance."""


async def locked(
    connection: Connection, target: InstanceRow | None, *, members: bool = False
) -> InstanceRow:
    """Take the instance, and a bundle's members, and return it as it stands then."""
    if target is None:
        raise InvalidInput("Say which instance", field="instance", code="required")
    await store.lock_instances(connection, target.id, members=members)
    return await instances.instance_row(connection, target.id) or target


async def taken(connection: Connection, target: InstanceRow) -> Conflict | None:
    """Return the error that names the request which has the instance, and who must approve it."""
    active = await store.active_request(connection, target.id)
    if active is None:
        return None
    due = waits_for(await approvals.of_request(connection, active.id))
    doing = f"waits for {due}" if due else "is under way"
    return Conflict(
        f"{target.instance_name} ({target.instance_id}) is taken",
        f"request {active.request_id} ({active.request_type}) {doing}",
        "Have it approved or rejected, or cancel it" if due else "Wait until it has ended",
        request_id=active.request_id,
        code="instance_busy",
    )


def not_now(target: InstanceRow, why: str) -> Conflict:
    """Return the error for an instance whose state does not allow the request."""
    return Conflict(
        f"Nothing can be started on {target.instance_name} ({target.instance_id}) now",
        why,
        "Look at the instance, and try again when it is active",
        code="wrong_state",
    )


def seen(target: InstanceRow | None, wanted: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what sources of options see of an operation's instance; `wanted`: its `targets`.

    Secrets are None there: they resolve in headers alone, by their own names.
    """
    if target is None:
        return {}
    parameters = _without_secrets(target.deployment_parameters)
    return {
        **{name: parameters.get(name) for name in target_parameters(wanted)},
        "instance": {
            "id": target.instance_id,
            "name": target.instance_name,
            "version": target.catalog_version,
            "outputs": _without_secrets(target.service_outputs),
            "parameters": parameters,
        },
    }


def _without_secrets(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if [*references_in(value)] else value for name, value in values.items()}


def confirm(target: InstanceRow, actor: Actor, submission: Submission, *, is_needed: bool) -> None:
    """Raise InvalidInput where the instance's name is to be typed and was not.

    In Slack only: a command is its own confirmation, and passes the name. A dry run needs none.
    """
    given = submission.confirmation
    if given is None and (not is_needed or actor.source != "slack" or submission.dry_run):
        return
    if given is None or given.strip() != target.instance_name:
        raise InvalidInput(
            "The confirmation is not the name of the instance",
            f"it is called {target.instance_name}",
            "Type that name",
            field="confirmation",
            code="wrong_confirmation",
        )
