"""The scheduler of the default dispatcher: it sets events, and runs nothing itself.

An APScheduler job here only wakes a loop of ours. So what runs is owned and awaited by us (the
scheduler cancels its own jobs at a shutdown), a slow round makes no second one, and a late wake-up is
never dropped as a misfire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from engine.dispatch.periodic import Job, run_job
from engine.errors import PaoError
from engine.store.pool import Pool

log = structlog.get_logger(__name__)


class PeriodicJobs:
    """Runs each job in a loop of its own, woken by the scheduler."""

    def __init__(self, pool: Pool, owner: str, jobs: Sequence[Job]) -> None:
        self._pool = pool
        self._owner = owner
        self._jobs = jobs
        self._scheduler: AsyncIOScheduler | None = None
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Schedule the jobs; each has its first round at once."""
        if self._scheduler is not None:
            return
        self._scheduler = scheduler = AsyncIOScheduler(
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone="UTC",
        )
        for job in self._jobs:
            due = asyncio.Event()
            due.set()
            scheduler.add_job(
                _wake,
                "interval",
                seconds=max(job.every.total_seconds(), 0.01),
                args=[due],
                id=job.name,
                replace_existing=True,
            )
            self._loops.append(asyncio.create_task(self._run(job, due), name=f"job {job.name}"))
        scheduler.start()

    async def stop(self) -> None:
        """Schedule no more, and end the rounds under way."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None
        loops, self._loops = self._loops, []
        for loop in loops:
            loop.cancel()
        if loops:
            await asyncio.wait(loops)

    async def _run(self, job: Job, due: asyncio.Event) -> None:
        # The driver may turn a cancellation into an error of its own: a round that ends so is the last.
        while self._scheduler is not None:
            await due.wait()
            due.clear()
            try:
                await run_job(self._pool, self._owner, job)
            except PaoError as error:
                log.warning("job_failed", job=job.name, error=str(error))
            except Exception:
                log.exception("job_crashed", job=job.name)


async def _wake(due: asyncio.Event) -> None:
    due.set()
