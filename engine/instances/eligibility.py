"""The cache of what may be done to each instance, kept up to date while nothing is asked.

    a sync that changed documents      judged again in the sync's own transaction (engine/catalog)
    an instance or a request changed   judged again in the next round, that instance alone
    a row's time is over               judged again in the next round
    the first round ever               all that live

A round goes on in batches, each a transaction, until nothing is left: also after a day without one.

What people are shown is always evaluated at that moment; the cache is for lists and digests.
"""

from __future__ import annotations

from typing import Final

from engine.store import instances
from engine.store.pool import Pool, retried_on_conflict, transaction

BATCH: Final = 5000
"""Events that one transaction reads; instances with expired rows, or of the first round, that it judges."""


async def refresh(pool: Pool) -> None:
    """Judge again what changed or expired."""
    while await _batch(pool) >= BATCH:
        pass


@retried_on_conflict
async def _batch(pool: Pool) -> int:
    async with transaction(pool) as connection:
        return await instances.refresh_eligibility(connection, BATCH)
