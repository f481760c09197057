"""The figures of a large fleet: eligibility, and lists of requests.

python -m bench.lifecycle [--quick] [eligibility] [lists]
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.measure import ROUNDS, Figure, Goal, alternate, percentile, run_parts
from bench.world import LOAD, World, world
from engine.requests import views
from engine.results import Actor
from engine.store.paging import write_cursor
from engine.store.pool import transaction

ADMIN = Actor("U9", "Admin", None, (), is_admin=True, audit_name="U9")
BATCH = 100_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. `sample`: instances that are judged one by one; the rest is counted up."""

    instances: int = 100_000
    sample: int = 200
    requests: int = 1_000_000
    depth: int = 50_000
    pages: int = 40


QUICK = Sizes(instances=5_000, sample=50, requests=50_000, depth=5_000, pages=20)


async def eligibility(admin: str, sizes: Sizes) -> AsyncIterator[Figure]:
    """Every instance judged by one statement, and the instances of one item of fifty."""
    async with world(admin) as fleet:
        await fleet.connection.execute(LOAD["add_fleet_items"], {})
        await fleet.connection.execute(LOAD["add_fleet"], {"instances": sizes.instances})
        await fleet.connection.execute("ANALYZE")
        await _timed(fleet, "refresh_all", {})  # the first one writes the cache
        share = sizes.instances / sizes.sample
        by_one, by_call = await alternate(
            lambda: _timed(fleet, "evaluate_all", {}),
            lambda: _timed(fleet, "evaluate_one_by_one", {"instances": sizes.sample}),
        )
        yield Figure(
            f"eligibility of {sizes.instances:,} instances, 50 operations",
            "/s",
            Goal(200),
            [sizes.instances / seconds for seconds in by_one],
            [sizes.instances / (seconds * share) for seconds in by_call],
            "by a call each",
        )
        found = await alternate(
            lambda: _timed(fleet, "refresh_item", {"item": "fleet-7"}),
            lambda: _timed(fleet, "refresh_all", {}),
        )
        yield Figure(
            "eligibility after one item of 50 changed",
            "s",
            Goal(1 / 20, at_most=True),
            *found,
            "all instances",
        )


async def lists(admin: str, sizes: Sizes) -> AsyncIterator[Figure]:
    """A page of requests deep in the list, beside the first page."""
    async with world(admin) as large:
        await large.connection.execute("SET synchronous_commit = off")
        for begin in range(1, sizes.requests + 1, BATCH):
            count = min(BATCH, sizes.requests + 1 - begin)
            listed = {"item": large.item, "from": begin, "requests": count}
            await large.connection.execute(LOAD["add_listed"], listed)
        await large.connection.execute("VACUUM ANALYZE service_requests")
        deep = await _cursor(large, sizes.depth)
        found = await alternate(
            lambda: _page(large, deep, sizes.pages),
            lambda: _page(large, None, sizes.pages),
            rounds=2 * ROUNDS,
        )
        yield Figure(
            f"a page at depth {sizes.depth:,} of {sizes.requests:,} requests",
            "ms",
            Goal(1.8, at_most=True),
            *found,
            "first page",
        )


PARTS: dict[str, Callable[[str, Sizes], AsyncIterator[Figure]]] = {
    "eligibility": eligibility,
    "lists": lists,
}


async def _timed(on: World, statement: str, parameters: Mapping[str, Any]) -> float:
    began = time.perf_counter()
    await on.connection.execute(LOAD[statement], parameters)
    return time.perf_counter() - began


async def _cursor(large: World, depth: int) -> str:
    cursor = await large.connection.execute(
        "SELECT created_at, id FROM service_requests ORDER BY created_at DESC, id DESC OFFSET %s LIMIT 1",
        [depth],
    )
    row = await cursor.fetchone()
    assert row is not None
    return write_cursor(row[0], row[1])


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


if __name__ == "__main__":
    run_parts("bench.lifecycle", __doc__, PARTS, Sizes(), QUICK)
