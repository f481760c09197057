"""Reminders: what waits for people says so again, at growing intervals; a run that takes long says so once.

Approvals and open tickets are told of again after four hours, then after twice as long each time, at
most every three days. The events say how often it was; who tells people asks those who can act
first, and from the second time on the owner of the document too.

Each round is one statement that finds what is due, counts it and writes its events. Rows that
another process has in hand are passed over, so nothing is said twice, and a death says nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from engine.durations import parse_duration
from engine.store import reminders
from engine.store.pool import Connection, Pool, transaction
from engine.store.reminders import EstimatedRun, Pace

BATCH: Final = 500

PACE: Final = Pace(first=4 * 3600.0, longest=72 * 3600.0, most=20)
"""Of approvals and tickets alike; after the last time, two months on, nobody listens any more."""

log = structlog.get_logger(__name__)


async def remind(pool: Pool, pace: Pace = PACE) -> int:
    """Remind of all approvals and tickets that are due; return how many."""
    return sum(
        [
            await _in_batches(pool, lambda c: reminders.remind_of_approvals(c, pace, BATCH)),
            await _in_batches(pool, lambda c: reminders.remind_of_tickets(c, pace, BATCH)),
        ]
    )


async def tell_overruns(pool: Pool) -> int:
    """Say of the runs that take longer than their document's estimate; once each. Return how many."""
    async with transaction(pool) as connection:
        late = [run.id for run in await reminders.estimated_runs(connection) if _is_late(run)]
        return await reminders.tell_overruns(connection, late) if late else 0


async def _in_batches(pool: Pool, batch: Callable[[Connection], Awaitable[int]]) -> int:
    total, count = 0, BATCH
    while count == BATCH:
        async with transaction(pool) as connection:
            count = await batch(connection)
        total += count
    return total


def _is_late(run: EstimatedRun) -> bool:
    try:
        return run.seconds > parse_duration(run.estimate)
    except ValueError:
        # Kept by an older release whose estimates were any text.
        log.debug("estimate_unreadable", request=str(run.id))
        return False
