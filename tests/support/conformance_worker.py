"""A worker process for the conformance suite: a real dispatcher, and a step type that leaves traces.

    python -m tests.support.conformance_worker DSN DATA_DIR DISPATCHER LEASE_SECONDS SLOTS CLOCK_SECONDS

A `Traced` step writes when it begins and ends into the table `traces` (by connections of its own, so
that nothing of the engine's is asked for them), waits there for as long as its name is in `gates`,
and runs at most once at a time if the engine keeps its word. CLOCK_SECONDS is by how much the
process's clock is wrong. Ends at SIGTERM with 0.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import apscheduler.triggers.interval  # noqa: F401 (before its clock is shifted; it is imported late)
import procrastinate  # noqa: F401 (the same)
from pydantic import BaseModel

from engine.dispatch.base import Dispatcher
from engine.execution.run import Surroundings
from engine.secrets import Cipher, SecretFiles
from engine.steps.base import Completed, StepContext
from engine.steps.extension import Registry
from engine.store.pool import close_pool, connect, new_pool, open_pool
from tests.support.encryption import KEY
from tests.support.engines import config
from tests.support.workbench import Anything
from tests.support.wrong_clock import shift_clock

TRACES = """
CREATE TABLE traces (id bigserial PRIMARY KEY, worker int NOT NULL, request text NOT NULL,
    step text NOT NULL, what text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE gates (name text PRIMARY KEY);
"""
LOOK_SECONDS = 0.02


class Traced:
    """Writes its beginning and its end."""

    name: ClassVar[str] = "Traced"
    template_model: ClassVar[type[BaseModel]] = Anything
    verifications: ClassVar[frozenset[str]] = frozenset()
    outputs: ClassVar[frozenset[str] | None] = None

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def start(self, context: StepContext) -> Completed:
        connection = await connect(self._dsn, "traces")
        try:
            await self._trace(connection, context, "begun")
            while await self._is_shut(connection, context.step_name):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS)
            await self._trace(connection, context, "ended")
        finally:
            await connection.close()
        return Completed({"worker": os.getpid()})

    async def poll(self, context: StepContext) -> Completed:
        return Completed({})

    async def cancel(self, context: StepContext) -> None:
        return

    async def _trace(self, connection: Any, context: StepContext, what: str) -> None:
        await connection.execute(
            "INSERT INTO traces (worker, request, step, what) VALUES (%s, %s, %s, %s)",
            (os.getpid(), context.request_id, context.step_name, what),
        )

    async def _is_shut(self, connection: Any, name: str) -> bool:
        cursor = await connection.execute("SELECT FROM gates WHERE name = %s", (name,))
        return await cursor.fetchone() is not None


async def main(dsn: str, data_dir: Path, dispatcher: str, lease: float, slots: int) -> None:
    settings = config(
        dsn,
        data_dir,
        dispatcher=dispatcher,
        lease=timedelta(seconds=lease),
        worker_concurrency=slots,
        shutdown_grace=timedelta(seconds=10),
    )
    pool = new_pool(dsn, max_size=slots + 6)
    await open_pool(pool)
    around = Surroundings(
        pool=pool,
        steps=Registry("step type", {"Traced": Traced(dsn)}),
        verifications=Registry("verification", {}),
        cipher=Cipher([KEY]),
        secret_files=SecretFiles(None),
        data_dir=data_dir,
    )

    async def no_sync() -> None:
        return

    systems: Any = Registry("ticket system", {})
    carrier = Dispatcher(around, systems, settings, no_sync)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await carrier.start()
    print("ready", flush=True)  # noqa: T201
    await ended.wait()
    await _tell_ending(dsn)
    await carrier.stop()
    await close_pool(pool)


async def _tell_ending(dsn: str) -> None:
    async with await connect(dsn, "traces") as connection:
        await connection.execute(
            b"INSERT INTO traces (worker, request, step, what) VALUES (%s, '', '', 'ending')",
            (os.getpid(),),
        )


if __name__ == "__main__":
    dsn_, data_dir_, dispatcher_, lease_, slots_, clock_ = sys.argv[1:]
    if float(clock_):
        shift_clock(timedelta(seconds=float(clock_)))
    asyncio.run(main(dsn_, Path(data_dir_), dispatcher_, float(lease_), int(slots_)))
