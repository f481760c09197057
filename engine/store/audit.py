"""The audit log, append only, and the switches that admins turn."""

from __future__ import annotations

from typing import Any, Literal

from engine.foreign_json import clean
from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import jsonb, run, value

_sql = queries.load("audit")


async def write(
    connection: Connection,
    actor: str,
    action: str,
    target: str | None = None,
    *,
    outcome: Literal["done", "denied", "failed"] = "done",
    before: Any = None,
    after: Any = None,
    reason: str | None = None,
) -> None:
    """Write who did what to what. `before` and `after` are JSON without secrets."""
    parameters = {
        "actor": actor,
        "action": action,
        "target": target,
        "outcome": outcome,
        "before": None if before is None else jsonb(before),
        "after": None if after is None else jsonb(after),
        "reason": clean(reason),
    }
    await run(connection, _sql.insert_entry, parameters)


async def is_on(connection: Connection, switch: str) -> bool:
    """Say whether a switch is on; off when nobody ever turned it."""
    return bool(await value(connection, _sql.switch, {"name": switch}))


async def turn(connection: Connection, switch: str, *, on: bool, by: str) -> None:
    """Turn a switch on or off."""
    await run(connection, _sql.turn, {"name": switch, "is_on": on, "by": by})
