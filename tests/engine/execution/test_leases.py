"""Leases: a lost worker's steps go on elsewhere, and what it says afterwards counts for nothing."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from engine.errors import PaoError
from engine.execution.finish import Finisher
from engine.execution.lease import Lease, LeaseLost, Leases
from engine.steps.base import Completed, StepContext, Waiting
from engine.store import execution
from engine.store.execution import Claim, Finish
from engine.store.pool import transaction
from tests.support.eventually import eventually
from tests.support.workbench import Workbench, fail, states, step, step_of

LEASE = timedelta(seconds=30)


async def claim(bench: Workbench, owner: str, limit: int = 10) -> list[Claim]:
    async with transaction(bench.pool) as connection:
        return await execution.claim(connection, owner, limit=limit, lease=LEASE)


async def finish(bench: Workbench, *finishes: Finish) -> int:
    async with transaction(bench.pool) as connection:
        return len(await execution.finish(connection, finishes))


async def expire(bench: Workbench) -> None:
    await bench.connection.execute(
        "UPDATE request_steps SET lease_expires_at = clock_timestamp() - interval '1 second'"
        " WHERE lease_owner IS NOT NULL"
    )


def completed(one: Claim, **facts: Any) -> Finish:
    return Finish(one.id, one.lease_token, "completed", kind="step.completed", **facts)


async def test_a_step_is_claimed_by_one_worker_only(bench: Workbench) -> None:
    await bench.request([step("a"), step("b", depends_on=[])])
    claims = await asyncio.gather(*(claim(bench, f"w{n}") for n in range(8)))
    ids = [one.id for some in claims for one in some]
    assert len(ids) == len(set(ids)) == 2


async def test_a_stale_worker_cannot_write_after_its_step_was_taken_over(bench: Workbench) -> None:
    request = await bench.request([step("a")])
    (stale,) = await claim(bench, "stale")
    await expire(bench)
    assert await bench.reap() == 1
    (fresh,) = await claim(bench, "fresh")
    assert fresh.lease_token > stale.lease_token
    assert await finish(bench, completed(stale, outputs={"from": "stale"})) == 0
    async with transaction(bench.pool) as connection:
        assert not await execution.renew(connection, {stale.id: stale.lease_token}, LEASE)
        assert await execution.remember(connection, stale.id, stale.lease_token, {"x": 1}) is None
    assert await finish(bench, completed(fresh, outputs={"from": "fresh"})) == 1
    view = await bench.view(request)
    assert (view.status, view.outputs) == ("completed", {"from": "fresh"})


async def test_finishes_take_their_steps_in_order_however_they_come(bench: Workbench) -> None:
    request = await bench.request([step("a"), step("b", depends_on=[])])
    first, second = sorted(await claim(bench, "w"), key=lambda one: one.step_id)
    one_waits = (
        "SELECT count(*) = 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with transaction(bench.pool) as other:
        await other.execute("SELECT FROM request_steps WHERE step_id = 'a' FOR UPDATE")
        writing = asyncio.create_task(finish(bench, completed(second), completed(first)))
        await eventually(lambda: bench.one(one_waits))
        free = "SELECT id FROM request_steps WHERE step_id = 'b' FOR UPDATE NOWAIT"
        assert await bench.one(free) == second.id
    assert await writing == 2
    assert (await bench.view(request)).status == "completed"


async def test_a_finish_counts_once(bench: Workbench) -> None:
    await bench.request([step("a"), step("b")])
    (one,) = await claim(bench, "w")
    assert await finish(bench, completed(one)) == 1
    assert await finish(bench, completed(one)) == 0


async def test_a_lost_worker_uses_up_no_attempt_and_its_attempt_says_so(bench: Workbench) -> None:
    bench.script["a"] = [fail(), fail(), Completed()]
    request = await bench.request([step("a")])
    for _ in range(3):
        await claim(bench, "dies")
        await expire(bench)
        await bench.reap()
    done = await bench.run(request)
    assert done.status == "completed"
    errors = [one.error_type for one in step_of(done, "a").attempts]
    assert errors == ["worker_lost"] * 3 + ["broken"] * 2 + [None]


async def test_ten_losses_fail_the_step_for_good(bench: Workbench) -> None:
    request = await bench.request([step("a"), step("b")])
    for _ in range(10):
        assert len(await claim(bench, "dies")) == 1
        await expire(bench)
        await bench.reap()
    view = await bench.view(request)
    assert view.status == "failed"
    assert states(view) == {"a": "failed", "b": "skipped"}
    assert not await claim(bench, "next")


async def test_a_step_that_was_lost_while_polled_is_polled_again(bench: Workbench) -> None:
    bench.script["a"] = [Waiting(0.0, {"job": 3}), Completed()]
    request = await bench.request([step("a")])
    (one,) = await claim(bench, "w")
    waiting = Finish(one.id, one.lease_token, "waiting", phase="poll", external={"job": 3})
    assert await finish(bench, waiting) == 1
    await claim(bench, "dies")
    await expire(bench)
    await bench.reap()
    bench.script["a"] = [Completed({"id": 1})]
    done = await bench.run(request)
    assert done.status == "completed"
    assert bench.steps.phases("a") == ["poll"]
    assert bench.steps.calls[0][2].external["job"] == 3


async def test_leases_are_renewed_while_a_step_runs(bench: Workbench) -> None:
    release = asyncio.Event()

    async def long(_: StepContext) -> Completed:
        await release.wait()
        return Completed()

    bench.script["a"] = [long]
    request = await bench.request([step("a")])
    query = "SELECT lease_expires_at FROM request_steps WHERE lease_owner IS NOT NULL"
    async with bench.carrying(lease=timedelta(seconds=1)):
        await bench.when(request, lambda view: view.steps[0].status == "running")
        first = await bench.one(query)
        from tests.support.eventually import eventually

        async def renewed() -> bool:
            return bool(await bench.one(query) > first)

        await eventually(renewed)
        assert await bench.reap() == 0
        release.set()
        assert (await bench.ended(request)).status == "completed"


async def test_a_worker_whose_step_was_taken_is_interrupted_and_writes_nothing(
    bench: Workbench,
) -> None:
    begun, interrupted = asyncio.Event(), asyncio.Event()

    async def long(_: StepContext) -> Completed:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            interrupted.set()
        return Completed({"from": "stale"})

    bench.script["a"] = [long, Completed({"from": "fresh"})]
    request = await bench.request([step("a")])
    async with bench.carrying(lease=timedelta(seconds=1)):
        await begun.wait()
        await expire(bench)
        await bench.reap()
        await interrupted.wait()
        done = await bench.ended(request)
    assert done.outputs == {"from": "fresh"}


async def test_a_lease_is_not_trusted_beyond_what_the_own_clock_says(bench: Workbench) -> None:
    leases = Leases(bench.pool, timedelta(seconds=10))
    await bench.request([step("a")])
    (one,) = await claim(bench, "w")
    (good,) = leases.hold([one], time.monotonic())
    good.check()
    (old,) = leases.hold([one], time.monotonic() - 9.5)
    with pytest.raises(LeaseLost):
        old.check()
    with pytest.raises(LeaseLost):
        Lease(one.id, 1, time.monotonic() + 5, is_lost=True).check()


async def test_a_step_checks_its_lease_before_an_effect(bench: Workbench) -> None:
    async def effect(context: StepContext) -> Completed:
        await expire(bench)
        await bench.reap()
        await context.remember({"will": "not be kept"})
        return Completed()

    bench.script["a"] = [effect, Completed({"second": True})]
    request = await bench.request([step("a")])
    done = await bench.run(request)
    assert done.outputs == {"second": True}
    assert step_of(done, "a").attempts[0].error_type == "worker_lost"


async def test_what_has_finished_together_is_written_together(bench: Workbench) -> None:
    for n in range(20):
        await bench.request([step("a"), step("b")], item=f"item-{n}")
    claims = await claim(bench, "w", limit=20)
    finisher = Finisher(bench.pool, outage_seconds=5)
    writes = [asyncio.ensure_future(finisher.write(completed(one))) for one in claims]
    await asyncio.sleep(0)
    before = await bench.one("SELECT pg_current_xact_id()::text::bigint")
    finisher.start()
    done = await asyncio.gather(*writes)
    after = await bench.one("SELECT pg_current_xact_id()::text::bigint")
    await finisher.stop()
    assert None not in done
    assert after - before <= 4


async def test_one_finish_that_cannot_be_stored_takes_no_other_with_it(bench: Workbench) -> None:
    bench.script["a"] = [Completed({"deep": _deep(150)})]
    bad = await bench.request([step("a")], item="bad")
    good = await bench.request([step("b")], item="good")
    async with bench.carrying():
        assert (await bench.ended(good)).status == "completed"
        assert (await bench.ended(bad)).status == "failed"


async def test_a_worker_that_stops_gives_its_steps_back_uncounted(bench: Workbench) -> None:
    begun = asyncio.Event()

    async def long(_: StepContext) -> Completed:
        begun.set()
        await asyncio.Event().wait()
        return Completed()

    bench.script["a"] = [long, fail(), fail(), Completed()]
    request = await bench.request([step("a")])
    async with bench.carrying(shutdown_grace=timedelta(0)):
        await begun.wait()
    view = await bench.view(request)
    assert step_of(view, "a").status == "retrying"
    assert step_of(view, "a").attempts[0].error_type == "worker_stopped"
    assert await bench.one("SELECT count(*) FROM request_steps WHERE lease_owner IS NOT NULL") == 0
    assert (await bench.run(request)).status == "completed"


async def test_a_worker_that_stops_lets_what_runs_come_to_its_end(bench: Workbench) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def long(_: StepContext) -> Completed:
        begun.set()
        await release.wait()
        return Completed({"done": True})

    bench.script["a"] = [long]
    request = await bench.request([step("a"), step("b")])
    carrier = bench.carrier()
    await carrier.start()
    await begun.wait()
    stopping = asyncio.ensure_future(carrier.stop())
    await asyncio.sleep(0)
    release.set()
    await stopping
    assert states(await bench.view(request)) == {"a": "completed", "b": "pending"}


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


async def test_a_step_that_comes_back_to_the_worker_that_lost_it_is_carried_once(
    bench: Workbench,
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    carried: list[str] = []

    async def stale(_: StepContext) -> Completed:
        begun.set()
        carried.append("stale begins")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            carried.append("stale ends")
            ended.set()
        return Completed({"from": "stale"})

    async def fresh(_: StepContext) -> Completed:
        carried.append("fresh begins")
        return Completed({"from": "fresh"})

    bench.script["a"] = [stale, fresh]
    request = await bench.request([step("a")])
    # The lease is so long that no renewal tells of the loss.
    async with bench.carrying(lease=timedelta(seconds=60)) as carrier:
        await begun.wait()
        await expire(bench)
        await bench.reap()
        carrier.wake()
        done = await bench.ended(request)
        await ended.wait()
    assert done.outputs == {"from": "fresh"}
    assert carried == ["stale begins", "stale ends", "fresh begins"]


async def test_a_finish_that_breaks_the_writer_holds_up_no_other(bench: Workbench) -> None:
    for n in range(2):
        await bench.request([step("a")], item=f"item-{n}")
    bad, good = await claim(bench, "w", limit=2)
    finisher = Finisher(bench.pool, outage_seconds=5)
    finisher.start()
    broken = finisher.write(Finish(bad.id, bad.lease_token, "completed", error_type=object()))  # type: ignore[arg-type]
    writes = await asyncio.gather(broken, finisher.write(completed(good)), return_exceptions=True)
    await finisher.stop()
    assert isinstance(writes[0], PaoError)
    assert writes[1] is not None
    assert not isinstance(writes[1], BaseException)
