"""A worker of the benchmarks: the dispatcher that `pao worker` runs, with no-op steps, in its own process.

    python -m bench.worker DATABASE_URL apscheduler|procrastinate

Says `ready` once it claims, and drains when its standard input ends.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Literal

from bench.measure import say_errors_only
from bench.world import world_on
from engine.dispatch.base import Dispatcher
from engine.steps.extension import Registry

Kind = Literal["apscheduler", "procrastinate"]


@asynccontextmanager
async def workers(dsn: str, count: int, kind: Kind = "apscheduler") -> AsyncIterator[None]:
    """So many worker processes, ready to claim, for the block's time."""
    children = [await _started(dsn, kind) for _ in range(count)]
    try:
        await asyncio.gather(*map(_is_ready, children))
        yield
    finally:
        await asyncio.gather(*map(_ended, children))


async def _started(dsn: str, kind: Kind) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    words = (sys.executable, "-m", "bench.worker", dsn, kind)
    return await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe)


async def _is_ready(child: asyncio.subprocess.Process) -> None:
    assert child.stdout is not None
    if b"ready" not in await child.stdout.readline():
        raise RuntimeError("a worker did not come up")


async def _ended(child: asyncio.subprocess.Process) -> None:
    assert child.stdin is not None
    child.stdin.close()
    await child.wait()


async def work(dsn: str, kind: Kind) -> None:
    """Carry steps until standard input ends."""

    async def no_catalog() -> None: ...

    async with world_on(dsn) as ours:
        config = replace(ours.config, dispatcher=kind)
        dispatcher = Dispatcher(ours.around, Registry("ticket system", {}), config, no_catalog)
        await dispatcher.start()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await dispatcher.stop()


if __name__ == "__main__":
    say_errors_only()
    asyncio.run(
        work(sys.argv[1], "procrastinate" if sys.argv[2] == "procrastinate" else "apscheduler")
    )
