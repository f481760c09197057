"""A worker dies at each statement of claim, run and finish in turn: the end is always the same.

Its connections stop before the statement is sent, or after it took effect and before the answer came
(a COMMIT too: then nobody in the dead process knows what was written).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar, Literal

import psycopg
import pytest

from engine import RequestView
from engine.dispatch.base import Carrier
from engine.steps.base import Completed, StepContext
from engine.store.pool import Pool, close_pool, new_pool, open_pool
from tests.support.bundles import add_bundle, add_scripted, request_bundle
from tests.support.engines import ALICE
from tests.support.eventually import eventually
from tests.support.invariants import violations
from tests.support.workbench import Workbench, step

Moment = Literal["before", "after"]
CARRIERS = ("claim-loop", "step ", "finish-flusher")
"""Names of the tasks whose statements are counted: those that claim, run and finish."""

GATEKEEPERS = ("gates-loop", "gate ")
"""Those that run checks and open requests."""


@dataclass
class Death:
    """Comes at the `at`-th statement; then no statement of the process gets through."""

    at: int
    moment: Moment
    carriers: tuple[str, ...] = CARRIERS
    passed: int = 0
    has_come: bool = False
    pool: Pool | None = None

    def is_due(self) -> bool:
        self.passed += 1
        return self.passed == self.at

    def come(self) -> None:
        self.has_come = True
        if self.pool is not None:
            self.pool.timeout = 0.05  # the dead wait for nothing


class Mortal(psycopg.AsyncConnection[Any]):
    """A connection of a process that dies."""

    death: ClassVar[Death | None] = None
    _carrier = ""

    async def wait(self, gen: Any, **settings: Any) -> Any:
        death, task = self.death, asyncio.current_task()
        name = task.get_name() if task else ""
        if not name.startswith("Task-"):  # a commit is a task of its own
            self._carrier = name
        if death is None:
            return await super().wait(gen, **settings)
        if not death.has_come and self._carrier.startswith(death.carriers):
            is_due = death.is_due()
            if is_due and death.moment == "after":
                await super().wait(gen, **settings)
            if is_due:
                death.come()
        if death.has_come:
            self.pgconn.finish()
            raise psycopg.OperationalError("the process is dead")
        return await super().wait(gen, **settings)


@asynccontextmanager
async def mortal_pool(dsn: str, death: Death) -> AsyncIterator[Pool]:
    pool = new_pool(dsn, max_size=4)
    pool.connection_class = type("Doomed", (Mortal,), {})
    pool._check = None
    await open_pool(pool)
    pool.connection_class.death = death
    death.pool = pool
    try:
        yield pool
    finally:
        pool.connection_class.death = None
        await close_pool(pool)


async def live_and_die(bench: Workbench, dsn: str, request: RequestView, death: Death) -> None:
    """Carry the request until it is done or the death has come, and end the process."""
    config = replace(
        bench.config, database_outage=timedelta(seconds=0), shutdown_grace=timedelta(0)
    )
    async with mortal_pool(dsn, death) as pool:
        around = replace(bench.around, pool=pool, outage_seconds=0)
        carrier = Carrier(around, bench.systems, config)
        await carrier.start()

        async def is_over() -> bool:
            return death.has_come or (await bench.view(request)).status == "completed"

        await eventually(is_over, every=0.01)
        await carrier.stop()


async def restart(bench: Workbench, request: RequestView) -> RequestView:
    """Let another process go on, once the leases of the dead one have run out."""
    async with bench.carrying():
        await bench.connection.execute(
            "UPDATE request_steps SET lease_expires_at = clock_timestamp() - interval '1 s'"
            " WHERE lease_owner IS NOT NULL AND lease_owner <> 'reaper'"
        )
        await bench.connection.execute(
            "UPDATE service_requests SET gate_at = clock_timestamp() WHERE gate IS NOT NULL"
        )
        await bench.reap()
        return await bench.ended(request)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_death_at_any_statement_changes_nothing_about_the_end(
    bench: Workbench, dsn: str, moment: Moment
) -> None:
    things: dict[str, int] = {}

    async def make(context: StepContext) -> Completed:
        await context.log("making\n")
        await context.remember({"begun": True})
        await context.check_lease()
        thing = things.setdefault(context.idempotency_key, len(things))
        return Completed({"thing": thing})

    bench.script["a"] = [make]
    for at in itertools.count(1):
        request = await bench.request([step("a")], item=f"item-{at}")
        death = Death(at, moment)
        await live_and_die(bench, dsn, request, death)
        has_ended = (await bench.view(request)).status == "completed"
        done = await restart(bench, request)
        told = await bench.kinds(request)
        assert (done.status, done.outputs) == ("completed", {"thing": at - 1})
        assert len(things) == at
        assert (told.count("step.completed"), told.count("request.completed")) == (1, 1)
        *lost, last = done.steps[0].attempts
        assert last.status == "completed"
        assert {one.error_type for one in lost} <= {"worker_lost", "worker_stopped"}
        assert await violations(bench.connection) == []
        if has_ended:  # every statement up to the commit of the end was tried
            break
    assert at > 10


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_death_at_any_statement_of_a_look_at_checks_starts_the_request_once(
    bench: Workbench, dsn: str, moment: Moment
) -> None:
    for at in itertools.count(1, 2):
        request = await bench.request(
            [step("a")], item=f"item-{at}", pre_execution_checks=["scripted", "scripted"]
        )
        await live_and_die(bench, dsn, request, Death(at, moment, GATEKEEPERS))
        assert await violations(bench.connection) == []
        has_ended = (await bench.view(request)).status == "completed"
        done = await restart(bench, request)
        told = await bench.kinds(request)
        assert done.status == "completed"
        assert (told.count("check.passed"), told.count("request.started")) == (2, 1)
        assert [one.passed for one in done.checks] == [True, True]
        if has_ended:
            break
    assert at > 10


async def test_a_death_leaves_no_member_of_a_bundle_half_way(bench: Workbench, dsn: str) -> None:
    await add_scripted(bench, "db", "make-db")
    await add_scripted(bench, "web", "make-web", fields=[{"name": "url", "type": "string"}])
    url = {"url": "https://{{ components.db.outputs.endpoint }}"}
    web = {"name": "web", "catalog_item": "web", "parameters": url}
    await add_bundle(bench.connection, "stack", [{"name": "db", "catalog_item": "db"}, web])
    bench.script["make-db"] = [Completed({"endpoint": "db:1"})]
    bench.script["make-web"] = [Completed({"address": "web:80"})]
    for at in itertools.count(3, 4):
        request = await request_bundle(bench, "stack")
        await live_and_die(bench, dsn, request, Death(at, "after"))
        assert await violations(bench.connection) == []
        has_ended = (await bench.view(request)).status == "completed"
        done = await restart(bench, request)
        assert done.status == "completed", done
        assert await violations(bench.connection) == []
        made = await bench.engine.instance(ALICE, str(done.instance_id))
        assert made.service_outputs == {"db": {"endpoint": "db:1"}, "web": {"address": "web:80"}}
        assert {one.instance_state for one in made.members} == {"active"}
        if has_ended:
            break
    told = await bench.one(
        "SELECT max(count) FROM (SELECT count(*) FROM events WHERE kind = 'instance.changed'"
        " AND data ->> 'to' = 'active' GROUP BY instance_id) AS activation"
    )
    assert told == 1
