"""The engine's figures: steps per second, workers, due to started, claims in large tables, memory.

    python -m bench.engine [--quick] [throughput] [queues] [workers] [latency] [claims] [memory]

Every figure stands beside something measured in the same run, alternating (bench/measure.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import psutil

from bench import dbos_workflows, floor
from bench.measure import ROUNDS, Figure, Goal, alternate, percentile, run_parts
from bench.procrastinate_jobs import procrastinate_jobs
from bench.worker import workers
from bench.world import LOAD, World, new_database, world
from engine.store import execution
from engine.store.pool import transaction

CHAIN = 5
CHAINS = "chains of 5 no-op steps"
WIDE = 102
"""Steps of a wide graph: one, a hundred beside each other, one."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    chains: int = 400
    wides: int = 20
    jobs: int = 400
    starts: int = 60
    finished: int = 1_000_000
    waiting: int = 100_000
    claims: int = 40
    held: int = 10_000
    workflows: int = 100


QUICK = Sizes(
    chains=100,
    wides=5,
    jobs=150,
    starts=30,
    finished=50_000,
    waiting=5_000,
    claims=20,
    held=2_000,
    workflows=30,
)


async def throughput(admin: str, sizes: Sizes) -> AsyncIterator[Figure]:
    """Steps per second of chains and wide graphs, beside the floor."""
    async with world(admin) as ours, _floor(ours) as by_hand:
        found = await alternate(
            lambda: _engine_rate(ours, sizes.chains, CHAIN),
            lambda: _floor_rate(ours, by_hand, sizes.chains, CHAIN),
        )
        yield Figure(CHAINS, "steps/s", Goal(0.5), *found, "floor")
        found = await alternate(
            lambda: _engine_rate(ours, sizes.wides, WIDE, wide=True),
            lambda: _floor_rate(ours, by_hand, sizes.wides, WIDE, wide=True),
        )
        yield Figure("wide graphs of 102 no-op steps", "steps/s", Goal(0.5), *found, "floor")


async def queues(admin: str, sizes: Sizes) -> AsyncIterator[Figure]:
    """The chains beside dbos's workflows, and beside procrastinate's jobs, also through a worker."""
    async with world(admin) as ours, procrastinate_jobs(admin) as jobs:
        chains = lambda: _engine_rate(ours, sizes.chains, CHAIN)  # noqa: E731
        if dbos_workflows.IS_INSTALLED:
            dsn = await new_database(admin, migrated=False)
            found = await alternate(chains, lambda: dbos_workflows.per_second(dsn, sizes.workflows))
            yield Figure(CHAINS, "steps/s", Goal(15), *found, "dbos")
        else:
            print("left out: chains beside dbos (bench/requirements.lock is not installed)")
        found = await alternate(chains, lambda: jobs.per_second(sizes.jobs))
        yield Figure(CHAINS, "steps/s", Goal(7), *found, "procrastinate jobs")
        async with workers(ours.dsn, 1, "procrastinate"):
            found = await alternate(
                lambda: _rate(ours, sizes.chains, CHAIN), lambda: jobs.per_second(sizes.jobs)
            )
        name = "the same through pao worker (procrastinate)"
        yield Figure(name, "steps/s", Goal(1), *found, "procrastinate jobs")


async def several_workers(admin: str, sizes: Sizes) -> AsyncIterator[Figure]:
    """The chains with two and four worker processes, beside one."""
    async with world(admin) as ours:
        for count, goal in ((2, 1.3), (4, 1.0)):
            found = await alternate(
                lambda count=count: _rate_of_workers(ours, sizes, count),  # type: ignore[misc]
                lambda: _rate_of_workers(ours, sizes, 1),
            )
            yield Figure(f"{CHAINS}, {count} workers", "steps/s", Goal(goal), *found, "one worker")


async def latency(admin: str, sizes: Sizes) -> AsyncIterator[Figure]:
    """Due to started by NOTIFY, beside procrastinate: one of each in turn."""
    rounds: list[tuple[list[float], list[float]]] = []
    async with world(admin) as ours, procrastinate_jobs(admin) as jobs, AsyncExitStack() as stack:
        await stack.enter_async_context(_carrying(ours))
        await stack.enter_async_context(jobs.worker())
        for number in range(ROUNDS + 1):
            rows: tuple[list[float], list[float]] = ([], [])
            for request in await ours.requests(sizes.starts, 1):
                rows[0].append(await _due_to_start(ours, request))
                rows[1].append(await jobs.due_to_start())
            if number:
                rounds.append(rows)
    for name, part, limit in (("p50", 0.5, 0.8), ("p99", 0.99, 1.2)):
        us = [percentile(a, part) for a, _ in rounds]
        them = [percentile(b, part) for _, b in rounds]
        yield Figure(
            f"due to started, NOTIFY, {name}",
            "ms",
            Goal(limit, at_most=True),
            us,
            them,
            "procrastinate",
        )


async def claims(admin: str, sizes: Sizes) -> AsyncIterator[Figure]:
    """A claim of 1 and of 10 beside a million finished and a hundred thousand waiting steps."""
    async with world(admin) as large, world(admin) as empty:
        await _fill(large, sizes)
        for count, limit in ((1, 1.15), (10, 1.5)):
            found = await alternate(
                lambda count=count: _claim(large, count, sizes.claims),  # type: ignore[misc]
                lambda count=count: _claim(empty, count, sizes.claims),  # type: ignore[misc]
                rounds=2 * ROUNDS,
            )
            yield Figure(
                f"claim of {count} in tables of {sizes.finished + sizes.waiting:,}",
                "ms",
                Goal(limit, at_most=True),
                *found,
                "empty tables",
            )


async def memory(admin: str, sizes: Sizes) -> AsyncIterator[Figure]:
    """Resident memory that waiting steps take in the process that started them."""
    async with world(admin) as ours, _carrying(ours):
        await _wait_for_tomorrow(ours, sizes.held)  # what is warmed up once, is not counted
        before = _resident()
        await _wait_for_tomorrow(ours, sizes.held)
        grown = _resident() - before
    yield Figure(f"memory for {sizes.held:,} waiting steps", "MB", Goal(10, at_most=True), [grown])


PARTS: dict[str, Callable[[str, Sizes], AsyncIterator[Figure]]] = {
    "throughput": throughput,
    "queues": queues,
    "workers": several_workers,
    "latency": latency,
    "claims": claims,
    "memory": memory,
}


async def _engine_rate(ours: World, requests: int, steps: int, *, wide: bool = False) -> float:
    """Carry them in this process."""
    ids = await ours.requests(requests, steps, wide=wide)
    async with _carrying(ours):
        all_begun = asyncio.ensure_future(ours.noop.after(requests * steps))
        await asyncio.sleep(0)
        began = time.perf_counter()
        await ours.make_due(ids)
        await all_begun
        await ours.all_completed()
        return requests * steps / (time.perf_counter() - began)


async def _rate_of_workers(ours: World, sizes: Sizes, count: int) -> float:
    """Start so many worker processes; once each has its connections and plans, they count."""
    async with workers(ours.dsn, count):
        await _rate(ours, sizes.chains // 2, CHAIN)
        return await _rate(ours, sizes.chains, CHAIN)


async def _rate(ours: World, requests: int, steps: int) -> float:
    """Let the workers that are there carry them."""
    ids = await ours.requests(requests, steps)
    began = time.perf_counter()
    await ours.make_due(ids)
    await ours.all_completed()
    return requests * steps / (time.perf_counter() - began)


async def _floor_rate(
    ours: World, connection: floor.Connection, requests: int, steps: int, *, wide: bool = False
) -> float:
    ids = await ours.requests(requests, steps, wide=wide)
    began = time.perf_counter()
    await ours.make_due(ids)
    carried = await floor.carry_all(connection)
    taken = time.perf_counter() - began
    assert carried == requests * steps, f"the floor carried {carried}"
    return carried / taken


async def _due_to_start(ours: World, request: object) -> float:
    begun = asyncio.ensure_future(ours.noop.after(1))
    await asyncio.sleep(0)
    began = time.perf_counter()
    await ours.make_due([request])  # type: ignore[list-item]
    await begun
    return (time.perf_counter() - began) * 1000


async def _claim(on: World, count: int, times: int) -> float:
    ids = await on.requests(count * times, 1)
    await on.make_due(ids)
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        async with transaction(on.pool) as connection:
            claimed = await execution.claim(
                connection, "bench", limit=count, lease=timedelta(seconds=3600)
            )
        taken.append((time.perf_counter() - began) * 1000)
        assert len(claimed) == count, f"claimed {len(claimed)}"
    return percentile(taken, 0.5)


async def _wait_for_tomorrow(ours: World, steps: int) -> None:
    target = ours.tomorrow.started + steps
    await ours.make_due(await ours.requests(steps, 1, step_type="Tomorrow"))
    while ours.tomorrow.started < target:  # noqa: ASYNC110 (many events; one look is enough)
        await asyncio.sleep(0.05)


async def _fill(large: World, sizes: Sizes) -> None:
    """Write the history; the tables were analysed while they were nearly empty."""
    await large.connection.execute("SET synchronous_commit = off")
    batch = 20_000
    for _ in range(sizes.finished // CHAIN // batch or 1):
        await large.connection.execute(
            LOAD["add_finished"],
            {"item": large.item, "requests": min(batch, sizes.finished // CHAIN)},
        )
    await large.connection.execute(
        LOAD["add_waiting"], {"item": large.item, "requests": sizes.waiting // CHAIN}
    )
    await large.connection.execute("RESET synchronous_commit")
    await large.connection.execute("CHECKPOINT")


@asynccontextmanager
async def _carrying(ours: World) -> AsyncIterator[None]:
    carrier = ours.carrier()
    await carrier.start()
    try:
        yield
    finally:
        await carrier.stop()


@asynccontextmanager
async def _floor(ours: World) -> AsyncIterator[floor.Connection]:
    connection = await floor.connect(ours.dsn)
    try:
        yield connection
    finally:
        await connection.close()


def _resident() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


if __name__ == "__main__":
    run_parts("bench.engine", __doc__, PARTS, Sizes(), QUICK)
