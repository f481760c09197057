"""The second dispatcher's clock: jobs of procrastinate that wake the claim loop, once across all workers.

    connecting ──> working ──the worker ended or failed──> connecting (after a growing pause)

procrastinate runs here what must happen once over any number of machines: a `tick`, deferred by its
own schedule and fetched by one of the workers. A tick wakes that worker's claim loop and does the
periodic jobs that are due. No job carries a step: one job a step would make procrastinate's speed
the limit, and its idea of who owns a job is not ours. Who has a step is said by its lease alone; a
job that is lost with its worker is dropped by a later tick.

What its worker does not do by itself: without a periodic task its supervision ends silently (there
always is one here), an error of its heartbeat ends all of it (it is started again), and jobs of
killed workers stay `doing` (they are removed).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import procrastinate
import structlog
from procrastinate.jobs import DeleteJobCondition, Status

from engine.dispatch.periodic import Job, run_job
from engine.errors import PaoError
from engine.store.pool import Pool, close_pool, new_pool, open_pool

CONCURRENCY: Final = 4
"""Ticks at a time in one process: one that syncs the catalog must not hold up the next."""

LONGEST_TICK: Final = 30
"""Seconds between two ticks at most."""

QUEUE: Final = "pao"
STALLED_SECONDS: Final = 30.0
STOP_SECONDS: Final = 2.0
"""How long a tick under way may go on when the process stops."""

CLOSE_SECONDS: Final = 8.0
"""What the worker's last words and the close of its connections may take beside that."""

LONGEST_PAUSE: Final = 10.0

log = structlog.get_logger(__name__)


class ProcrastinateJobs:
    """Runs periodic jobs and calls `wake` in the ticks that this process gets."""

    def __init__(
        self, pool: Pool, dsn: str, owner: str, jobs: Sequence[Job], wake: Callable[[], None]
    ) -> None:
        """`dsn` reaches the database directly, as LISTEN needs; `pool` is the engine's own."""
        self._pool = pool
        self._dsn = dsn
        self._owner = owner
        # What every worker may do at any time comes first, so nothing slow holds it up.
        self._jobs = sorted(jobs, key=lambda job: job.alone)
        self._wake = wake
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to take ticks."""
        if self._running is None:
            logging.getLogger("procrastinate").setLevel(logging.WARNING)
            self._running = asyncio.create_task(self._work_for_ever(), name="procrastinate")

    async def stop(self) -> None:
        """Take no more ticks, and end those under way."""
        if self._running is not None:
            running, self._running = self._running, None
            while not running.done():
                running.cancel()  # once more where a cancellation got lost on the way
                await asyncio.wait([running], timeout=STOP_SECONDS + CLOSE_SECONDS)

    async def _work_for_ever(self) -> None:
        pause = 0.5
        # An error may take the place of a cancellation: who was stopped does not begin again.
        while self._running is not None:
            try:
                await self._work()
                log.warning("procrastinate_worker_ended")
                pause = 0.5
            except PaoError as error:
                log.warning("procrastinate_away", error=str(error), retry_in=pause)
            except Exception:
                log.exception("procrastinate_worker_failed")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _work(self) -> None:
        """Run one worker of procrastinate until it ends; it has connections of its own."""
        pool = new_pool(self._dsn, max_size=CONCURRENCY + 2, application="pao-procrastinate")
        try:
            await open_pool(pool)
            connector = procrastinate.PsycopgConnector()
            await connector.open_async(pool)
            await self._app(connector).run_worker_async(
                queues=[QUEUE],
                concurrency=CONCURRENCY,
                delete_jobs=DeleteJobCondition.ALWAYS,
                install_signal_handlers=False,
                shutdown_graceful_timeout=STOP_SECONDS,
                stalled_worker_timeout=STALLED_SECONDS,
            )
        finally:
            await close_pool(pool)

    def _app(self, connector: procrastinate.PsycopgConnector) -> procrastinate.App:
        app = procrastinate.App(connector=connector)

        @app.periodic(cron=_every(self._seconds()))
        @app.task(name="pao:tick", queue=QUEUE, queueing_lock="pao:tick")
        async def tick(timestamp: int) -> None:  # noqa: ARG001 (procrastinate gives it)
            self._wake()
            await _drop_stalled(app)
            for job in self._jobs:
                await self._round(job)

        return app

    async def _round(self, job: Job) -> None:
        try:
            await run_job(self._pool, self._owner, job)
        except PaoError as error:
            log.warning("job_failed", job=job.name, error=str(error))
        except Exception:
            log.exception("job_crashed", job=job.name)

    def _seconds(self) -> int:
        shortest = min((job.every for job in self._jobs), default=timedelta(seconds=LONGEST_TICK))
        return min(max(int(shortest.total_seconds()), 1), LONGEST_TICK)


async def _drop_stalled(app: procrastinate.App) -> None:
    """Remove the jobs of workers that are gone: a later tick does what they would have done."""
    manager = app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS):
        await manager.finish_job(job, status=Status.FAILED, delete_job=True)


def _every(seconds: int) -> str:
    """Return the schedule of a tick: the sixth field is that of seconds."""
    return f"* * * * * */{seconds}"
