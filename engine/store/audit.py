"""The audit log, append only, and the switches that admins turn."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import psycopg

from engine.errors import ConfigurationError, InvalidInput, Unavailable
from engine.foreign_json import clean
from engine.results import AuditEntry, Page
from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import jsonb, rows, run, value

LONGEST_PAGE = 200
_LAST_ID = 2**63 - 1

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


async def entries(
    connection: Connection, *, target: str | None, cursor: str | None, limit: int
) -> Page[AuditEntry]:
    """Return a page of the log, newest first; InvalidInput for a cursor that is none."""
    size = min(max(limit, 1), LONGEST_PAGE)
    query = _sql.entries if target is None else _sql.entries_of_target
    wanted = {"target": target, "before": _read_cursor(cursor), "limit": size + 1}
    found = await rows(connection, query, wanted, AuditEntry)
    more = len(found) > size
    return Page(found[:size], str(found[size - 1].id) if more else None)


async def expire(connection: Connection, before: datetime, actor: str) -> int:
    """Delete lines older than a moment, which is audited; return how many they were.

    ConfigurationError where the database's role may only add to the log.
    """
    try:
        return int(await value(connection, _sql.expire, {"before": before, "actor": actor}))
    except Unavailable as error:
        if not isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege):
            raise
        raise ConfigurationError(
            "The audit log cannot be shortened",
            "this role of the database may only add to it",
            "Name the schema's owner with --database-url",
            code="audit_log_append_only",
        ) from error


async def is_on(connection: Connection, switch: str) -> bool:
    """Say whether a switch is on; off when nobody ever turned it."""
    return bool(await value(connection, _sql.switch, {"name": switch}))


async def turn(connection: Connection, switch: str, *, on: bool, by: str) -> None:
    """Turn a switch on or off."""
    await run(connection, _sql.turn, {"name": switch, "is_on": on, "by": by})


def _read_cursor(cursor: str | None) -> int:
    if cursor is None:
        return _LAST_ID
    if cursor.isascii() and cursor.isdigit() and int(cursor) <= _LAST_ID:
        return int(cursor)
    raise InvalidInput(
        "The cursor cannot be read", "it is not one that a page gave", "Start at the first page"
    )
