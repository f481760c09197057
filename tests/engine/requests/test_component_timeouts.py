"""Each component of a bundle has a timeout of its own."""

from __future__ import annotations

from engine.steps.base import Completed, Waiting
from tests.support.bundles import add_bundle, add_scripted, members, request_bundle
from tests.support.engines import ALICE
from tests.support.eventually import eventually
from tests.support.invariants import violations
from tests.support.workbench import Workbench, states


async def _late(bench: Workbench) -> None:
    """As if the steps that run had begun a day ago."""
    await bench.connection.execute(
        b"UPDATE request_steps SET started_at = started_at - interval '1 day'"
        b" WHERE started_at IS NOT NULL"
    )
    await bench.connection.execute(
        b"UPDATE service_requests"
        b" SET component_timeouts_since = component_timeouts_since - interval '1 day'"
    )


async def test_a_component_that_takes_too_long_ends_alone_with_what_needs_it(
    bench: Workbench,
) -> None:
    await add_scripted(bench, "database", "make", "fill", timeout="1h")
    await add_scripted(bench, "cache", "warm")
    await add_scripted(bench, "app", "deploy", timeout="1h")
    items = [
        {"name": "db", "catalog_item": "database"},
        {"name": "cache", "catalog_item": "cache", "depends_on": []},
        {"name": "web", "catalog_item": "app", "depends_on": ["db"]},
    ]
    await add_bundle(bench.connection, "shop", items)
    bench.script["make"] = [Waiting(3600.0, {}), Completed()]
    bench.script["warm"] = [Waiting(3600.0, {}), Completed()]
    request = await request_bundle(bench, "shop")

    async def both_wait() -> bool:
        now = states(await bench.view(request))
        return now["db/make"] == now["cache/warm"] == "running"

    async with bench.carrying():
        await eventually(both_wait)
        await bench.reap()
        assert await both_wait()
        await _late(bench)
        await bench.reap()

        async def db_ended() -> bool:
            return states(await bench.view(request))["db/make"] == "failed"

        await eventually(db_ended)
        view = await bench.view(request)
        assert states(view) == {
            "db/make": "failed",
            "db/fill": "skipped",
            "cache/warm": "running",
            "web/deploy": "skipped",
        }
        assert view.status == "in_progress"
        assert view.steps[0].attempts[-1].error_type == "timeout"
        assert await violations(bench.connection) == []
        await bench.connection.execute(
            b"UPDATE request_steps SET next_run_at = clock_timestamp() WHERE step_id = 'cache/warm'"
        )
        failed = await bench.ended(request)
    assert failed.status == "failed"
    assert (await members(bench))["cache"]["state"] == "active"
    bench.script["make"] = [Completed()]
    await bench.engine.resume(ALICE, request.request_id)
    await bench.reap()
    assert (await bench.run(request)).status == "completed"
