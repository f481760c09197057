"""procrastinate's own no-op jobs, beside which the engine's steps are measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import procrastinate
import psycopg
from procrastinate.schema import SchemaManager
from procrastinate.tasks import Task

from bench.world import new_database

CONCURRENCY = 20
"""Where its throughput was best of 1, 5, 10, 20 and 50 on two cores."""


@dataclass
class Jobs:
    """An app with one task that does nothing but say that it was started."""

    app: procrastinate.App
    task: Task[Any, Any, Any] = field(init=False)
    on_start: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        @self.app.task(name="noop")
        async def noop() -> None:
            self.on_start.set()

        self.task = noop

    async def per_second(self, count: int) -> float:
        """Defer `count` jobs, then measure how fast a worker takes them."""
        await self.task.batch_defer_async(*({} for _ in range(count)))
        began = time.perf_counter()
        await self.app.run_worker_async(
            wait=False,
            concurrency=CONCURRENCY,
            install_signal_handlers=False,
            listen_notify=False,
            delete_jobs="always",
        )
        return count / (time.perf_counter() - began)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """A worker that waits for jobs."""
        running = asyncio.create_task(
            self.app.run_worker_async(
                concurrency=CONCURRENCY, install_signal_handlers=False, delete_jobs="always"
            )
        )
        try:
            await asyncio.sleep(0.5)
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def due_to_start(self) -> float:
        """Milliseconds from before a job is deferred to its start."""
        self.on_start.clear()
        began = time.perf_counter()
        await self.task.defer_async()
        await self.on_start.wait()
        return (time.perf_counter() - began) * 1000


@asynccontextmanager
async def procrastinate_jobs(admin: str) -> AsyncIterator[Jobs]:
    """procrastinate on a database of its own, with its own schema and pool."""
    dsn = await new_database(admin, migrated=False)
    connector = procrastinate.PsycopgConnector(conninfo=dsn, min_size=2, max_size=CONCURRENCY + 4)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(SchemaManager.get_schema().encode())
    app = procrastinate.App(connector=connector)
    async with app.open_async():
        yield Jobs(app)
