"""The engine's figures: steps per second, due to started, claims in large tables, memory, lists.

    python -m bench.engine [--quick] [throughput] [latency] [claims] [memory] [lists]

Every figure stands beside something measured in the same run, alternating (bench/measure.py).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import psutil
import structlog

from bench import floor
from bench.measure import ROUNDS, Figure, Goal, alternate, percentile, show
from bench.procrastinate_jobs import procrastinate_jobs
from bench.world import LOAD, World, durable_server, world
from engine.requests import views
from engine.results import Actor
from engine.store import execution
from engine.store.paging import write_cursor
from engine.store.pool import transaction

CHAIN = 5
WIDE = 102
"""Steps of a wide graph: one, a hundred beside each other, one."""

ADMIN = Actor("U9", "Admin", None, (), is_admin=True, audit_name="U9")


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
    pages: int = 40


QUICK = Sizes(
    chains=100, wides=5, jobs=150, starts=30, finished=50_000, waiting=5_000, claims=20, held=2_000
)


async def throughput(admin: str, sizes: Sizes) -> AsyncIterator[Figure]:
    """Steps per second of chains and wide graphs, beside the floor and procrastinate."""
    async with world(admin) as ours, procrastinate_jobs(admin) as jobs, _floor(ours) as by_hand:
        chains = lambda: _engine_rate(ours, sizes.chains, CHAIN)  # noqa: E731
        found = await alternate(
            chains, lambda: _floor_rate(ours, by_hand, sizes.chains, CHAIN), rounds=ROUNDS
        )
        yield Figure("chains of 5 no-op steps", "steps/s", Goal(0.5), *found, "floor")
        found = await alternate(
            lambda: _engine_rate(ours, sizes.wides, WIDE, wide=True),
            lambda: _floor_rate(ours, by_hand, sizes.wides, WIDE, wide=True),
        )
        yield Figure("wide graphs of 102 no-op steps", "steps/s", Goal(0.5), *found, "floor")
        found = await alternate(chains, lambda: jobs.per_second(sizes.jobs))
        yield Figure("chains of 5 no-op steps", "steps/s", Goal(7), *found, "procrastinate jobs")


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


async def lists(admin: str, sizes: Sizes) -> AsyncIterator[Figure]:
    """A page of requests at a depth of 50,000, beside the first page."""
    async with world(admin) as large:
        await _fill(large, sizes)
        depth = min(50_000, sizes.finished // 10)
        cursor = await large.connection.execute(
            "SELECT created_at, id FROM service_requests ORDER BY created_at DESC, id DESC"
            " OFFSET %s LIMIT 1",
            [depth],
        )
        row = await cursor.fetchone()
        assert row is not None
        deep = write_cursor(row[0], row[1])
        found = await alternate(
            lambda: _page(large, deep, sizes.pages),
            lambda: _page(large, None, sizes.pages),
            rounds=2 * ROUNDS,
        )
        yield Figure(
            f"a page of requests at depth {depth:,}",
            "ms",
            Goal(1.8, at_most=True),
            *found,
            "first page",
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
    "latency": latency,
    "claims": claims,
    "memory": memory,
    "lists": lists,
}


async def _engine_rate(ours: World, requests: int, steps: int, *, wide: bool = False) -> float:
    ids = await ours.requests(requests, steps, wide=wide)
    async with _carrying(ours):
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
    ours.noop.on_start.clear()
    began = time.perf_counter()
    await ours.make_due([request])  # type: ignore[list-item]
    await ours.noop.on_start.wait()
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


async def _page(on: World, cursor: str | None, times: int) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        async with transaction(on.pool) as connection:
            page = await views.page(
                connection, ADMIN, scope="all", status=None, limit=20, cursor=cursor
            )
        taken.append((time.perf_counter() - began) * 1000)
        assert len(page.items) == 20
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


async def measured(parts: Sequence[str], sizes: Sizes) -> list[Figure]:
    """Measure the parts, one after the other, on one server."""
    figures: list[Figure] = []
    with durable_server() as admin:
        for part in parts:
            async for figure in PARTS[part](admin, sizes):
                print(f"measured: {figure.name}", flush=True)
                figures.append(figure)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.engine", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    show(asyncio.run(measured(given.parts or list(PARTS), QUICK if given.quick else Sizes())))


if __name__ == "__main__":
    main()
