"""What the database tells of the whole installation, for whoever watches over it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.metrics import LastSync, Measures
from engine.store import queries
from engine.store.pool import Connection, Pool, transaction
from engine.store.rows import row_or_none, rows

_sql = queries.load("metrics")


@dataclass(frozen=True, slots=True)
class _Count:
    type: str
    status: str
    number: int


@dataclass(frozen=True, slots=True)
class _Queues:
    steps_due: int
    steps_waiting: int
    steps_running: int
    oldest_due: float
    outbox: int
    outbox_lag: float
    tickets_open: int
    approvals_waiting: int
    parked_events: int


async def measure(pool: Pool) -> Measures:
    """Return how everything stands."""
    async with transaction(pool) as connection:
        return await _measured(connection, pool.get_stats())


async def _measured(connection: Connection, pool: dict[str, int]) -> Measures:
    counts = await rows(connection, _sql.request_counts, {}, _Count)
    (queues,) = await rows(connection, _sql.queues, {}, _Queues)
    return Measures(
        requests={(one.type, one.status): one.number for one in counts},
        steps_due=queues.steps_due,
        steps_waiting=queues.steps_waiting,
        steps_running=queues.steps_running,
        oldest_due=queues.oldest_due,
        outbox=queues.outbox,
        outbox_lag=queues.outbox_lag,
        tickets_open=queues.tickets_open,
        approvals_waiting=queues.approvals_waiting,
        parked_events=queues.parked_events,
        sync=await row_or_none(connection, _sql.last_sync, {}, LastSync),
        pool=pool,
    )
