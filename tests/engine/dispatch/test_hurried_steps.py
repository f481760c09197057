"""A step that waits for an outside job is asked for at once when somebody says that the job moved."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from engine.steps.base import Completed, StepContext, Waiting
from engine.store import execution
from engine.store.execution import Finish
from engine.store.pool import transaction
from tests.support.eventually import eventually
from tests.support.workbench import Workbench, fail, step, step_of

HOUR = 3600.0
LEASE = timedelta(seconds=30)


class Look:
    """A look at the outside job that lasts until it is let go; what it saw is old by then."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.begun, self.release = asyncio.Event(), asyncio.Event()

    async def __call__(self, context: StepContext) -> Any:
        await context.remember_job("77", None)
        self.begun.set()
        await self.release.wait()
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.mark.parametrize("phase", ["start", "poll"])
async def test_a_hurry_during_a_look_makes_another_look_follow_at_once(
    bench: Workbench, phase: str
) -> None:
    look = Look(Waiting(HOUR, {}, job_id="77"))
    before = [Waiting(0.0, {}, job_id="77")] if phase == "poll" else []
    bench.script["a"] = [*before, look, Completed({"seen": "the end"})]
    request = await bench.request([step("a")])
    async with bench.carrying():
        await look.begun.wait()
        assert await bench.engine.nudge_job("Scripted", "77")
        look.release.set()
        done = await bench.ended(request)
    assert (done.status, done.outputs) == ("completed", {"seen": "the end"})
    assert len(step_of(done, "a").attempts) == 1


async def test_a_hurry_during_a_look_that_ends_the_step_changes_nothing(bench: Workbench) -> None:
    look = Look(Completed({"seen": "the end"}))
    bench.script["a"] = [look]
    request = await bench.request([step("a")])
    async with bench.carrying():
        await look.begun.wait()
        assert await bench.engine.nudge_job("Scripted", "77")
        look.release.set()
        done = await bench.ended(request)
    assert done.outputs == {"seen": "the end"}
    assert not await bench.engine.nudge_job("Scripted", "77")


async def test_a_hurry_does_not_shorten_the_pause_before_another_attempt(bench: Workbench) -> None:
    look = Look(fail(retry_after=HOUR))
    bench.script["a"] = [look, Completed()]
    policy = {"max_attempts": 2, "initial_delay": "1h", "max_delay": "1h"}
    request = await bench.request([step("a", retry_policy=policy)])
    async with bench.carrying():
        await look.begun.wait()
        assert await bench.engine.nudge_job("Scripted", "77")
        look.release.set()
        view = await bench.when(request, lambda one: one.steps[0].status == "retrying")
    assert view.steps[0].status == "retrying"
    assert await bench.one("SELECT next_run_at > now() FROM request_steps")


async def test_a_hurry_under_an_earlier_lease_says_nothing_of_a_later_look(
    bench: Workbench,
) -> None:
    await bench.request([step("a")])
    async with transaction(bench.pool) as connection:
        (one,) = await execution.claim(connection, "w", limit=1, lease=LEASE)
        await execution.remember_job(connection, one.attempt_id, one.lease_token, "77", None)
    assert await bench.engine.nudge_job("Scripted", "77")
    waiting = Finish(one.id, one.lease_token, "waiting", phase="poll", delay=HOUR)
    async with transaction(bench.pool) as connection:
        assert await execution.finish(connection, [waiting])
    assert await bench.one("SELECT next_run_at <= clock_timestamp() FROM request_steps")

    await look_once_more(bench)
    assert await bench.one("SELECT next_run_at > clock_timestamp() FROM request_steps")


async def look_once_more(bench: Workbench) -> None:
    """Somebody looks again, undisturbed, and finds the job under way."""
    async with transaction(bench.pool) as connection:
        (one,) = await execution.claim(connection, "w", limit=1, lease=LEASE)
        waiting = Finish(one.id, one.lease_token, "waiting", phase="poll", delay=HOUR)
        assert await execution.finish(connection, [waiting])


async def test_a_hurry_of_a_waiting_step_wakes_whoever_sleeps(bench: Workbench) -> None:
    bench.script["a"] = [Waiting(HOUR, {}, job_id="77"), Completed()]
    request = await bench.request([step("a")])
    async with bench.carrying():
        await eventually(
            lambda: bench.one(
                "SELECT next_run_at > now() AND lease_owner IS NULL FROM request_steps"
            )
        )
        assert await bench.engine.nudge_job("Scripted", "77")
        assert (await bench.ended(request)).status == "completed"
