"""Finish: natural group commit of what became of steps.

Whatever has finished by the time a flusher is free is written by one statement in one transaction;
there is no timer, so a single step at rest is committed at once, and under load one commit carries
many. There are two flushers, so that the next finishes are sent while a commit waits for its disk;
those of one request wait for each other in the database. The database must own every consequence
(dependents freed or skipped, counters, the request's end, events), so they stand in that
transaction (sql/functions/finish_steps.sql).

A death before the commit loses the turn: the lease runs out and the phase is repeated. While the
database is away the finishes wait in memory and are written when it is back, if their tokens still
stand. A finish that is not returned was not ours any more: its step goes on elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from engine.errors import PaoError, Unavailable
from engine.store import execution
from engine.store.execution import Finish, Finished
from engine.store.pool import Pool, retried_on_conflict, through_outage, transaction

LARGEST_BATCH: Final = 50
"""Finishes in one statement."""

FLUSHERS: Final = 2
"""Transactions that write finishes at a time."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Waiting:
    finish: Finish
    written: asyncio.Future[Finished | None]


class Finisher:
    """The queue of finishes and the tasks that write them."""

    def __init__(self, pool: Pool, *, outage_seconds: float) -> None:
        self._pool = pool
        self._outage_seconds = outage_seconds
        self._queue: list[_Waiting] = []
        self._filled = asyncio.Event()
        self._flushing: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to write."""
        if not self._flushing:
            self._flushing = [
                asyncio.create_task(self._flush_for_ever(), name=f"finish-flusher-{number}")
                for number in range(FLUSHERS)
            ]

    async def stop(self) -> None:
        """Stop writing. Whoever has something to finish waits for `write` before."""
        for task in self._flushing:
            task.cancel()
        if self._flushing:
            await asyncio.wait(self._flushing)
        self._flushing = []

    async def write(self, finish: Finish) -> Finished | None:
        """Write one finish, with others; None where the step was not ours any more."""
        waiting = _Waiting(finish, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._filled.set()
        return await waiting.written

    async def _flush_for_ever(self) -> None:
        while True:
            await self._filled.wait()
            batch, self._queue = self._queue[:LARGEST_BATCH], self._queue[LARGEST_BATCH:]
            if not self._queue:
                self._filled.clear()
            if batch:
                await self._flush(batch)

    async def _flush(self, batch: Sequence[_Waiting]) -> None:
        finishes = [waiting.finish for waiting in batch]
        try:
            done = await through_outage(
                lambda: write_finishes(self._pool, finishes), limit=self._outage_seconds
            )
        except Unavailable as error:
            _refuse(batch, error)
            return
        except PaoError as error:
            await self._one_by_one(batch, error)
            return
        except Exception as error:  # the edge of the loop: the next ones must still be written
            log.exception("finish_crashed")
            message = f"{type(error).__name__}: {error}"
            await self._one_by_one(batch, PaoError("The result cannot be stored", message))
            return
        written = {one.id: one for one in done}
        for waiting in batch:
            _answer(waiting, written.get(waiting.finish.id))

    async def _one_by_one(self, batch: Sequence[_Waiting], error: PaoError) -> None:
        """One finish that cannot be stored must not take the others with it."""
        if len(batch) == 1:
            _refuse(batch, error)
            return
        for waiting in batch:
            await self._flush([waiting])


@retried_on_conflict
async def write_finishes(pool: Pool, finishes: Sequence[Finish]) -> list[Finished]:
    """Write finishes in one transaction; what is not returned was not ours any more."""
    async with transaction(pool) as connection:
        return await execution.finish(connection, finishes)


def _refuse(batch: Sequence[_Waiting], error: PaoError) -> None:
    for waiting in batch:
        if not waiting.written.done():
            waiting.written.set_exception(error)


def _answer(waiting: _Waiting, finished: Finished | None) -> None:
    if finished is None:
        log.warning("finish_refused", step=str(waiting.finish.id), outcome=waiting.finish.outcome)
    if not waiting.written.done():
        waiting.written.set_result(finished)
