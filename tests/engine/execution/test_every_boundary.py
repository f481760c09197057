"""A worker dies at each statement of claim, run and finish in turn: the end is always the same.

    for at in 1, 2, 3 ...:  a request is carried by a worker that dies at its `at`-th statement;
                            another goes on; the tables are in order and everything happened once

The statements are those that the driver sends, counted there, so a new one is tried without a word
here; a walk is over when the request ends before the death can come. A worker dies before the
statement is sent, or after a COMMIT took effect and before its answer came: then nobody in the dead
process knows what was written. After any other statement nothing is kept, as before the next one.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar, Literal

import psycopg
import pytest
from structlog.testing import capture_logs

from engine import RequestView
from engine.dispatch.base import Carrier
from engine.steps.base import Completed, StepContext, Waiting
from engine.store.pool import Pool, close_pool, new_pool, open_pool
from engine.verifications.base import Verdict
from tests.support.bundles import add_bundle, add_scripted, request_bundle
from tests.support.engines import ALICE, automation
from tests.support.eventually import eventually
from tests.support.invariants import violations
from tests.support.workbench import FINAL, Workbench, fail, states, step

Moment = Literal["before", "after"]
"""Before a statement; after a COMMIT."""

MOMENTS = pytest.mark.parametrize("moment", ["before", "after"])
COMMIT = "_commit_gen"
"""What the driver calls the conversation of a COMMIT."""

CARRIERS = ("claim-loop", "step ", "finish-flusher")
"""Names of the tasks whose statements are counted: those that claim, run and finish."""

GATEKEEPERS = ("gates-loop", "gate ")
"""Those that run checks and open requests."""

TICKETS = ("outbox-loop",)
"""That which makes tickets."""


PAST = b"lease_expires_at = clock_timestamp() - interval '1 s' WHERE lease_owner IS NOT NULL"
RUN_OUT = (
    b"UPDATE request_steps SET " + PAST + b" AND lease_owner <> 'reaper'",
    b"UPDATE outbox SET " + PAST,
    b"UPDATE service_requests SET gate_at = clock_timestamp() WHERE gate IS NOT NULL",
)
"""What makes the leases of the dead run out."""


@dataclass
class Death:
    """Comes at the `at`-th statement (`after`: COMMIT); then no statement of the process gets through."""

    at: int
    moment: Moment
    carriers: tuple[str, ...] = CARRIERS
    passed: int = 0
    has_come: bool = False
    pool: Pool | None = None

    def is_due(self, conversation: str) -> bool:
        if self.moment == "before" or conversation == COMMIT:
            self.passed += 1
            return self.passed == self.at
        return False

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
            is_due = death.is_due(gen.__name__)
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


async def live_and_die(
    bench: Workbench,
    dsn: str,
    death: Death,
    is_done: Callable[[], Awaitable[object]],
) -> bool:
    """Carry requests until `is_done` or the death has come, and end the process; say whether done."""
    config = replace(
        bench.config, database_outage=timedelta(seconds=0), shutdown_grace=timedelta(0)
    )

    async def is_over() -> bool:
        return death.has_come or bool(await is_done())

    with capture_logs():  # what the dying say is long
        async with mortal_pool(dsn, death) as pool:
            around = replace(bench.around, pool=pool, outage_seconds=0)
            carrier = Carrier(around, bench.systems, config)
            await carrier.start()
            await eventually(is_over, every=0.01)
            await carrier.stop()
    assert await violations(bench.connection) == []
    return bool(await is_done())


async def restart(bench: Workbench, is_done: Callable[[], Awaitable[object]]) -> None:
    """Let another process go on, once the leases of the dead one have run out."""
    async with bench.carrying():
        for statement in RUN_OUT:
            await bench.connection.execute(statement)
        await bench.reap()
        await bench.connection.execute(b"SELECT pg_notify('pao_steps', '')")
        await eventually(is_done)
    assert await violations(bench.connection) == []


def ends(bench: Workbench, request: RequestView) -> Callable[[], Awaitable[bool]]:
    async def has_ended() -> bool:
        return (await bench.view(request)).status in FINAL

    return has_ended


async def once(bench: Workbench, request: RequestView, *kinds: str) -> None:
    """Each of these was told exactly once."""
    told = await bench.kinds(request)
    assert {kind: told.count(kind) for kind in kinds} == dict.fromkeys(kinds, 1)


@MOMENTS
async def test_a_death_at_any_statement_changes_nothing_about_the_end(
    bench: Workbench, dsn: str, moment: Moment
) -> None:
    things: dict[str, int] = {}

    async def make(context: StepContext) -> Waiting:
        await context.log("making\n")
        await context.remember({"begun": True})
        await context.check_lease()
        return Waiting(0.0, {"thing": things.setdefault(context.idempotency_key, len(things))})

    async def look(context: StepContext) -> Completed:
        return Completed({"thing": context.external["thing"]})

    async def play(context: StepContext) -> Waiting | Completed:
        return await (look if "thing" in context.external else make)(context)

    bench.script["a"] = [play]
    bench.verification.script = [Verdict(verified=True, expected="made", actual="made")]
    for at in itertools.count(1):
        steps = [step("a", verification={"type": "scripted"}), step("b", depends_on=["a"])]
        request = await bench.request(steps, item=f"item-{at}")
        is_done = ends(bench, request)
        was_done = await live_and_die(bench, dsn, Death(at, moment), is_done)
        await restart(bench, is_done)
        done = await bench.view(request)
        assert (done.status, done.outputs) == ("completed", {"thing": at - 1})
        assert len(things) == at
        await once(bench, request, "request.completed")
        assert (await bench.kinds(request)).count("step.completed") == 2
        for one in done.steps:
            *lost, last = one.attempts
            assert last.status == "completed"
            assert {one.error_type for one in lost} <= {"worker_lost", "worker_stopped"}
        if was_done:  # every statement up to the commit of the end was tried
            break
    assert at > (30 if moment == "before" else 8)


@MOMENTS
async def test_a_death_at_any_statement_of_a_failure_rolls_back_and_asks_for_one_ticket(
    bench: Workbench, dsn: str, moment: Moment
) -> None:
    undone: set[str] = set()

    async def undo(context: StepContext) -> Completed:
        undone.add(context.idempotency_key)
        return Completed()

    bench.script["a"] = [fail(kind="permanent")]
    bench.script["undo"] = [undo]
    for at in itertools.count(1):
        fulfillment = automation([step("a"), step("b", depends_on=["a"])])
        fulfillment["rollback"] = {"steps": [step("undo")]}
        request = await bench.request(item=f"item-{at}", fulfillment=fulfillment)
        is_done = ends(bench, request)
        was_done = await live_and_die(bench, dsn, Death(at, moment), is_done)
        await restart(bench, is_done)
        done = await bench.view(request)
        assert done.status == "failed"
        assert done.can_resume
        assert states(done) == {"a": "failed", "b": "skipped", "rollback:undo": "completed"}
        assert len(undone) == at
        await once(bench, request, "step.failed", "request.failed", "ticket.requested")
        items = "SELECT count(*) FROM outbox o JOIN service_requests r ON r.id = o.request_id"
        assert await bench.one(items + " WHERE r.request_id = %s", request.request_id) == 1
        if was_done:
            break
    assert at > (20 if moment == "before" else 5)


@MOMENTS
async def test_a_death_at_any_statement_of_a_ticket_leaves_one_ticket(
    bench: Workbench, dsn: str, moment: Moment
) -> None:
    bench.script["a"] = [fail(kind="permanent")]
    for at in itertools.count(1):
        request = await bench.request([step("a")], item=f"item-{at}")

        async def has_ticket(request: RequestView = request) -> bool:
            return bool((await bench.view(request)).steps[0].tickets[0:1]) and bool(
                await bench.one(KEPT, request.request_id)
            )

        was_done = await live_and_die(bench, dsn, Death(at, moment, TICKETS), has_ticket)
        await restart(bench, has_ticket)
        assert len(bench.tickets.made) == at
        assert await bench.one(KEPT, request.request_id) == 1
        await once(bench, request, "ticket.requested", "ticket.created")
        if was_done:
            break
    assert at > (5 if moment == "before" else 1)


KEPT = (
    "SELECT count(*) FROM manual_tickets t JOIN service_requests r ON r.id = t.request_id"
    " WHERE r.request_id = %s"
)


@MOMENTS
async def test_a_death_at_any_statement_of_a_look_at_checks_starts_the_request_once(
    bench: Workbench, dsn: str, moment: Moment
) -> None:
    for at in itertools.count(1):
        request = await bench.request(
            [step("a")], item=f"item-{at}", pre_execution_checks=["scripted", "scripted"]
        )
        is_done = ends(bench, request)
        was_done = await live_and_die(bench, dsn, Death(at, moment, GATEKEEPERS), is_done)
        await restart(bench, is_done)
        done = await bench.view(request)
        assert done.status == "completed"
        assert (await bench.kinds(request)).count("check.passed") == 2
        await once(bench, request, "request.started")
        assert [one.passed for one in done.checks] == [True, True]
        if was_done:
            break
    assert at > (10 if moment == "before" else 2)


@MOMENTS
async def test_a_death_leaves_no_member_of_a_bundle_half_way(
    bench: Workbench, dsn: str, moment: Moment
) -> None:
    await add_scripted(bench, "db", "make-db")
    await add_scripted(bench, "web", "make-web", fields=[{"name": "url", "type": "string"}])
    url = {"url": "https://{{ components.db.outputs.endpoint }}"}
    web = {"name": "web", "catalog_item": "web", "parameters": url}
    await add_bundle(bench.connection, "stack", [{"name": "db", "catalog_item": "db"}, web])
    bench.script["make-db"] = [Completed({"endpoint": "db:1"})]
    bench.script["make-web"] = [Completed({"address": "web:80"})]
    for at in itertools.count(1):
        request = await request_bundle(bench, "stack")
        is_done = ends(bench, request)
        was_done = await live_and_die(bench, dsn, Death(at, moment), is_done)
        await restart(bench, is_done)
        done = await bench.view(request)
        assert done.status == "completed", done
        made = await bench.engine.instance(ALICE, str(done.instance_id))
        assert made.service_outputs == {"db": {"endpoint": "db:1"}, "web": {"address": "web:80"}}
        assert {one.instance_state for one in made.members} == {"active"}
        if was_done:
            break
    assert at > (20 if moment == "before" else 5)
    told = await bench.one(
        "SELECT max(count) FROM (SELECT count(*) FROM events WHERE kind = 'instance.changed'"
        " AND data ->> 'to' = 'active' GROUP BY instance_id) AS activation"
    )
    assert told == 1
