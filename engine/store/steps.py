"""Steps of a request that are changed from outside: cancelled, made pending again, ended by hand.

Whoever changes them holds the request first, and then all its steps (`lock_steps`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import jsonb, rows, run, value, values

_sql = queries.load("steps")


@dataclass(frozen=True, slots=True)
class Cancelled:
    """How many steps of a request were running, and how many had not begun."""

    running: int
    skipped: int
    told: bool


async def lock_steps(connection: Connection, request_id: UUID) -> None:
    """Take all steps of a request, after the request itself, before they are changed from outside."""
    await values(connection, _sql.lock_steps, {"id": request_id})


async def cancel_steps(
    connection: Connection, request_id: UUID, *, skip_reason: str, error_type: str
) -> Cancelled:
    """End a request's open steps: skip what has not begun, have the rest cancelled by a worker."""
    parameters = {"id": request_id, "skip_reason": skip_reason, "error_type": error_type}
    return (await rows(connection, _sql.cancel_steps, parameters, Cancelled))[0]


async def reset_steps(
    connection: Connection,
    request_id: UUID,
    *,
    step: str | None = None,
    skip_verification: bool = False,
    from_first: bool = False,
) -> int:
    """Make failed steps pending again, in a new attempt group, with what was skipped because of them.

    `from_first` (after a rollback): completed ones too. Return how many.
    """
    parameters = {
        "id": request_id,
        "step": step,
        "skip_verification": skip_verification,
        "from_first": from_first,
    }
    count = int(await value(connection, _sql.step_reset, parameters))
    await _settle(connection, request_id)
    return count


async def close_step(
    connection: Connection,
    request_id: UUID,
    step: str,
    *,
    outputs: Mapping[str, Any] | None = None,
    skipped: bool = False,
    reason: str = "",
) -> UUID | None:
    """End a failed step by hand, completed or skipped; None where it is not failed.

    What was skipped because of it becomes pending.
    """
    parameters = {
        "id": request_id,
        "step": step,
        "status": "skipped" if skipped else "completed",
        "skip_reason": "manual" if skipped else None,
        "outputs": jsonb(outputs or {}),
        "data": jsonb({"reason": "manual", "text": reason}),
    }
    closed: UUID | None = await value(connection, _sql.close_step, parameters)
    if closed is not None:
        await value(connection, _sql.release_skipped, {"id": request_id, "step": step})
        await _settle(connection, request_id)
    return closed


async def reset_rollback(connection: Connection, request_id: UUID) -> None:
    """Make the rollback of a request that goes on ready for another failure."""
    await run(connection, _sql.reset_rollback, {"id": request_id})


async def _settle(connection: Connection, request_id: UUID) -> None:
    """Skip again what another failed step blocks, and count what the rest waits for."""
    await run(connection, _sql.skip_blocked, {"id": request_id})
    await run(connection, _sql.count_waiting, {"id": request_id})
