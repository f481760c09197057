"""The instance that a day-2 request is about: locked, free of other requests, in a fit state."""

from __future__ import annotations

from typing import Final

from engine.errors import Conflict, InvalidInput
from engine.requests.approvals import waits_for
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
