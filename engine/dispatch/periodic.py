"""The list of periodic jobs, and the guard that lets one process run each.

A job is a coroutine function that does one round. Jobs that must not run twice at a time across
processes are guarded by the `leaders` table: whoever moves the job's next time forward runs it.
The others are safe anywhere: the reaper's statements lock what they take, and leftovers lie on each
machine's own disk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from engine.config import EngineConfig
from engine.execution.leftovers import sweep
from engine.execution.reaper import reap
from engine.instances import eligibility
from engine.instances.digests import send_digests
from engine.requests.reminders import remind, tell_overruns
from engine.store import form_sessions, periodic
from engine.store.pool import Pool, transaction

HOURLY: Final = timedelta(hours=1)
SOON: Final = timedelta(seconds=15)
EVERY_MINUTE: Final = timedelta(minutes=1)
EARLY: Final = 0.9
"""Part of its interval after which a guarded job may run again: clocks of processes drift."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A periodic job; `alone`: at one process at a time."""

    name: str
    every: timedelta
    run: Callable[[], Awaitable[object]]
    alone: bool = True


def periodic_jobs(
    pool: Pool, config: EngineConfig, sync: Callable[[], Awaitable[object]]
) -> Sequence[Job]:
    """Return the jobs of a dispatcher."""

    async def take_over() -> None:
        await reap(pool, config.lease)

    async def expire_forms() -> None:
        async with transaction(pool) as connection:
            await form_sessions.expire(connection)

    async def forget_old() -> None:
        await apply_retention(pool, config.retention)

    async def remove_leftovers() -> None:
        await sweep(pool, config.data_dir)

    async def say_again() -> None:
        await remind(pool)
        await tell_overruns(pool)

    async def tell_owners() -> None:
        await send_digests(pool, config.teams)

    async def judge_again() -> None:
        await eligibility.refresh(pool)

    jobs = [
        Job("reaper", config.lease / 3, take_over, alone=False),
        Job("leftovers", HOURLY, remove_leftovers, alone=False),
        Job("form_sessions", HOURLY, expire_forms),
        Job("reminders", EVERY_MINUTE, say_again),
        Job("digests", HOURLY, tell_owners),
        Job("eligibility", SOON, judge_again),
    ]
    if config.catalog_url:
        jobs.append(Job("catalog_sync", config.catalog_sync_interval, sync))
    if config.retention:
        jobs.append(Job("retention", HOURLY, forget_old))
    return jobs


async def apply_retention(pool: Pool, age: timedelta | None) -> int:
    """Remove what is older than `age`, in batches of their own transactions; None keeps all."""
    removed = 0
    while age is not None:
        async with transaction(pool) as connection:
            count = await periodic.delete_batch(connection, age)
        removed += count
        if not count:
            break
    return removed


async def run_job(pool: Pool, owner: str, job: Job) -> bool:
    """Run one round of a job, unless another process does; say whether it ran."""
    if job.alone:
        async with transaction(pool) as connection:
            if not await periodic.lead(connection, job.name, job.every * EARLY, owner):
                return False
    log.debug("job_run", job=job.name)
    await job.run()
    return True
