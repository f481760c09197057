"""What every verb on a request begins and ends with: the request held, the refusal, the audit line."""

from __future__ import annotations

from engine.errors import Conflict
from engine.events import STEPS_CHANNEL
from engine.people.permissions import Action
from engine.requests import begin
from engine.requests.views import find
from engine.results import Actor
from engine.store import audit, requests
from engine.store.pool import Connection
from engine.store.requests import RequestRow


async def held(connection: Connection, actor: Actor, request_id: str, action: Action) -> RequestRow:
    """Return the request that the person means and may act on, locked with its steps; or Denied."""
    found = await find(connection, actor, request_id, action)
    return await begin.locked(connection, found.id)


def wrong_status(row: RequestRow, verb: str, do: str) -> Conflict:
    """Return the refusal of what the request's status does not allow."""
    return not_now(row, f"Request {row.request_id} cannot be {verb}", do)


def not_now(row: RequestRow, what: str, do: str) -> Conflict:
    """Return the refusal, in the words of `what`, of what the request's status does not allow."""
    why = f"it is {row.status.replace('_', ' ')}"
    return Conflict(what, why, do, request_id=row.request_id, code="wrong_status")


async def audited(
    connection: Connection,
    actor: Actor,
    action: Action,
    row: RequestRow,
    *,
    step: str | None = None,
    reason: str | None = None,
) -> None:
    """Write who did what to the request, and have workers look at it."""
    await audit.write(
        connection,
        actor.audit_name or actor.user_id,
        action.value,
        f"{row.request_id}/{step}" if step else row.request_id,
        before={"status": row.status},
        reason=reason,
    )
    await requests.wake(connection, STEPS_CHANNEL)
