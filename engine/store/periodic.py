"""Periodic jobs: who runs one now, and what the retention removes."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import run, value

BATCH: Final = 5000
"""Rows that one retention statement removes: short locks, small bursts of log."""

_sql = queries.load("dispatch")


async def lead(connection: Connection, job: str, every: timedelta, owner: str) -> bool:
    """Say whether this process runs the job now; then nobody does again before `every` is over."""
    parameters = {"job": job, "every": every, "owner": owner}
    return await value(connection, _sql.lead_job, parameters) is not None


async def delete_batch(connection: Connection, older_than: timedelta) -> int:
    """Remove a batch of what is older than the retention; return how many rows."""
    parameters = {"age": older_than, "limit": BATCH}
    statements = (_sql.delete_old_logs, _sql.delete_old_events, _sql.delete_old_items)
    return sum([await run(connection, statement, parameters) for statement in statements])


async def seconds_since_sync(connection: Connection) -> float | None:
    """Return the age of the catalog, None where it was never synced."""
    found = await value(connection, _sql.last_sync_age, {})
    return None if found is None else float(found)


async def seconds_since_tick(connection: Connection) -> float | None:
    """Return how long ago a periodic job was last run, None where none ever was."""
    found = await value(connection, _sql.last_tick_age, {})
    return None if found is None else float(found)
