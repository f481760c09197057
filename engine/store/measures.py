"""What the database tells of the whole installation, for whoever watches over it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.metrics import LastSync, Measures, Queues
from engine.store import queries
from engine.store.pool import Connection, Pool, transaction
from engine.store.rows import row_or_none, rows

_sql = queries.load("metrics")


@dataclass(frozen=True, slots=True)
class _Count:
    type: str
    status: str
    number: int


async def measure(pool: Pool) -> Measures:
    """Return how everything stands."""
    async with transaction(pool) as connection:
        return await _measured(connection, pool.get_stats())


async def _measured(connection: Connection, pool: dict[str, int]) -> Measures:
    counts = await rows(connection, _sql.request_counts, {}, _Count)
    (queues,) = await rows(connection, _sql.queues, {}, Queues)
    return Measures(
        requests={(one.type, one.status): one.number for one in counts},
        queues=queues,
        sync=await row_or_none(connection, _sql.last_sync, {}, LastSync),
        pool=pool,
    )
