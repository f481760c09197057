"""The state machines of requests and steps, under random commands, completions, deaths and take-overs.

A worker here is a list of claims. It may write what became of a claim, write it twice, write it long
after the step was taken over, or die and say nothing. People command meanwhile: the request that was
ordered last, which may be a copy of the one before, or the decommission of what that made. After every
move the tables must be in order (tests/support/invariants.py), and from every state everything comes
to an end.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Awaitable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine import Actor, Conflict, Forbidden, InvalidInput, NotFound, RequestView, Submission
from engine.execution.finish import write_finishes
from engine.requests import submit, views
from engine.requests.submit import Intake
from engine.secrets import Cipher
from engine.store import execution
from engine.store.execution import Claim, Finish
from engine.store.pool import close_pool, connect, new_pool, open_pool, transaction
from tests.support.encryption import KEY
from tests.support.engines import ADMIN, ALICE, automation
from tests.support.invariants import violations
from tests.support.workbench import FINAL, Workbench, step, workbench

T = TypeVar("T")
NUMBERS = itertools.count()
WORKERS = st.sampled_from(["one", "two"])
OUTCOMES = st.sampled_from(["completed", "completed", "failed", "retrying", "waiting", "skipped"])
PHASES = st.sampled_from(["start", "poll", "verify"])
INDEXES = st.integers(0, 5)
GRAPHS = st.sampled_from(
    [
        {"a": [], "b": ["a"], "c": ["b"]},
        {"a": [], "b": [], "c": ["a", "b"], "d": ["c"]},
        {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]},
    ]
)
CAROL = Actor("U5", "Carol", None, ("dba",), audit_name="U5")
DAVE = Actor("U6", "Dave", None, ("dba",), audit_name="U6")
DBA = {"approvers": [{"user": "U5"}, {"team": "dba"}], "expires": "1h"}
APPROVALS = st.sampled_from(
    [None, None, {**DBA, "count": 2}, {**DBA, "required": "size == 'large'"}]
)
TERRAFORM = {"type": "TerraformFile", "template": {"module_source": "modules/x"}}
ROUNDS = 60
MOST_REQUESTS = 3
ENDED_STEPS = {"completed", "failed", "skipped", "pending"}


class Requests(RuleBasedStateMachine):
    """A few requests of a small graph, one after the other, their workers and their people."""

    bench: Workbench
    runner: asyncio.Runner

    @initialize(
        graph=GRAPHS,
        has_rollback=st.booleans(),
        has_checks=st.booleans(),
        approval=APPROVALS,
        is_terraform=st.booleans(),
    )
    def submit(
        self,
        graph: dict[str, list[str]],
        approval: dict[str, Any] | None,
        *,
        has_rollback: bool,
        has_checks: bool,
        is_terraform: bool,
    ) -> None:
        kind = TERRAFORM if is_terraform else {}
        steps = [step(name, depends_on=before, **kind) for name, before in graph.items()]
        more = {"pre_execution_checks": ["scripted"]} if has_checks else {}
        fulfillment = automation(steps, **more)
        if has_rollback:
            fulfillment["rollback"] = {"steps": [step("undo")]}
        self.held: dict[str, list[Claim]] = defaultdict(list)
        self.ids: list[UUID] = []
        self.requests: list[RequestView] = []
        self.item = f"item-{next(NUMBERS)}"
        self._take_in(
            self.do(
                self.bench.request(
                    item=self.item,
                    fulfillment=fulfillment,
                    columns={"approval": approval} if approval else None,
                )
            )
        )

    # Workers

    @rule(worker=WORKERS, limit=st.integers(1, 3))
    def claim(self, worker: str, limit: int) -> None:
        self.held[worker] += self.do(self._claim(worker, limit))

    @precondition(lambda self: any(self.held.values()))
    @rule(index=INDEXES, outcome=OUTCOMES, phase=PHASES, forgets=st.booleans())
    def finish(self, index: int, outcome: Any, phase: Any, *, forgets: bool) -> None:
        worker = next(name for name, claims in self.held.items() if claims)
        one = self.held[worker][index % len(self.held[worker])]
        is_ours = self.do(self._is_current(one))
        written = self.do(write_finishes(self.bench.pool, [_finish(one, outcome, phase)]))
        assert bool(written) == is_ours
        if forgets:
            self.held[worker].remove(one)

    @rule(worker=WORKERS, outcome=OUTCOMES)
    def finish_all_at_once(self, worker: str, outcome: Any) -> None:
        finishes = {one.id: _finish(one, outcome, "poll") for one in self.held.pop(worker, [])}
        if finishes:
            self.do(write_finishes(self.bench.pool, list(finishes.values())))

    @rule(worker=WORKERS)
    def die(self, worker: str) -> None:
        self.held[worker].clear()

    @rule()
    def take_over(self) -> None:
        self.do(self._take_over())

    @rule(rarely=st.integers(0, 7))
    def pause(self, rarely: int) -> None:
        if not rarely:
            self.do(self.bench.engine.pause(ADMIN))

    @rule()
    def unpause(self) -> None:
        self.do(self.bench.engine.unpause(ADMIN))

    @rule(rarely=st.integers(0, 3))
    def work_to_the_end(self, rarely: int) -> None:
        if not rarely:
            self._carry_all()

    # Time and people

    @rule()
    def clone(self) -> None:
        if len(self.ids) < MOST_REQUESTS:
            copy = self.do(self.bench.engine.clone(ALICE, self.request.request_id))
            if copy.instance is None:
                wanted = Submission(copy.parameters, item=self.item, team=copy.team)
                self.order(self._submitted(wanted))

    @rule()
    def decommission(self) -> None:
        view = self.do(self.bench.view(self.request))
        if len(self.ids) < MOST_REQUESTS and view.instance_id is not None:
            wanted = Submission(
                {},
                request_type="decommission",
                instance=view.instance_id,
                confirmation=view.instance_name,
            )
            self.order(self.bench.engine.submit(ALICE, wanted))

    @rule()
    def take_too_long(self) -> None:
        self.do(
            self._execute(
                "UPDATE service_requests SET timeout_at = clock_timestamp() - interval '1 s'"
                " WHERE id = ANY (%s) AND status = 'in_progress' AND timeout_at IS NOT NULL"
            )
        )
        self.do(self.bench.reap())

    @rule(index=INDEXES)
    def retry(self, index: int) -> None:
        name = self.names[index % len(self.names)]
        self.command(self.bench.engine.retry(ALICE, self.request.request_id, name))

    @rule(index=INDEXES)
    def skip(self, index: int) -> None:
        name = self.names[index % len(self.names)]
        self.command(self.bench.engine.skip(ADMIN, self.request.request_id, name, "not needed"))

    @rule(index=INDEXES)
    def resolve(self, index: int) -> None:
        name = self.names[index % len(self.names)]
        self.command(self.bench.engine.resolve(ALICE, self.request.request_id, name))

    @rule(size=st.sampled_from([None, "small", "large"]), unverified=st.booleans())
    def resume(self, size: str | None, *, unverified: bool) -> None:
        changes = {} if size is None else {"size": size}
        who = ADMIN if unverified else ALICE
        self.command(
            self.bench.engine.resume(
                who, self.request.request_id, changes, skip_verification=unverified
            )
        )

    @rule(who=st.sampled_from([CAROL, DAVE]))
    def approve(self, who: Actor) -> None:
        self.command(self.bench.engine.approve(who, self.request.request_id))

    @rule(rarely=st.integers(0, 3))
    def reject(self, rarely: int) -> None:
        if not rarely:
            self.command(self.bench.engine.reject(CAROL, self.request.request_id, reason="no"))

    @rule(rarely=st.integers(0, 3))
    def wait_too_long_for_approval(self, rarely: int) -> None:
        if not rarely:
            late = "UPDATE approvals SET expires_at = requested_at WHERE request_id = ANY (%s)"
            self.do(self._execute(late))
            self.do(self.bench.look_at_gates())

    @rule(reason=st.sampled_from([None, None, "not now"]))
    def look_at_gates(self, reason: str | None) -> None:
        self.bench.check.script = [reason]
        self.do(self.bench.look_at_gates())

    @rule()
    def a_look_dies(self) -> None:
        """Another took the gate and was never heard of again."""
        self.do(
            self._execute(
                "UPDATE service_requests SET gate_token = gate_token + 1 WHERE id = ANY (%s)"
            )
        )

    @rule(rarely=st.integers(0, 3))
    def cancel(self, rarely: int) -> None:
        if not rarely:
            self.command(self.bench.engine.cancel(ALICE, self.request.request_id))

    @rule(rarely=st.integers(0, 2), destroy=st.booleans(), completion=st.booleans())
    def abort(self, rarely: int, *, destroy: bool, completion: bool) -> None:
        if not rarely:
            self.command(
                self.bench.engine.abort(
                    ALICE, self.request.request_id, destroy=destroy, completion=completion
                )
            )

    @rule()
    def make_and_follow_tickets(self) -> None:
        self.do(self.bench.outbox().work())

    # What must hold

    @invariant()
    def the_tables_are_in_order(self) -> None:
        if hasattr(self, "ids"):
            assert self.do(violations(self.bench.connection)) == []

    def teardown(self) -> None:
        """Whatever was left: once workers do their work, the request comes to an end."""
        if not hasattr(self, "ids"):
            return
        self._carry_all()
        views = [self.do(self.bench.view(request)) for request in self.requests]
        for at, view in enumerate(views):
            assert view.status in FINAL
            assert {one.status for one in view.steps} <= ENDED_STEPS
            if view.status == "failed":
                later = {one.instance_id for one in views[at + 1 :]}
                assert view.can_resume or view.instance_id in later

    # How it is done

    def _carry_all(self) -> None:
        """Approve, check and complete whatever there is, until nothing is left."""
        self.unpause()
        self.bench.check.script = [None]
        for _ in range(ROUNDS):
            for request, who in itertools.product(self.requests, (CAROL, DAVE)):
                self.command(self.bench.engine.approve(who, request.request_id))
            self.do(self.bench.look_at_gates())
            self.do(self._take_over())
            claims = self.do(self._claim("last", 10))
            if not claims:
                break
            finishes = [
                _finish(one, "failed" if one.phase == "cancel" else "completed", "start")
                for one in claims
            ]
            assert len(self.do(write_finishes(self.bench.pool, finishes))) == len(claims)
            self.the_tables_are_in_order()

    @property
    def request(self) -> RequestView:
        """The request that was ordered last."""
        return self.requests[-1]

    def order(self, submitting: Awaitable[RequestView]) -> None:
        """Order something more; that may be refused in words."""
        with suppress(Conflict, InvalidInput, Forbidden, NotFound):
            self._take_in(self.do(submitting))

    def _take_in(self, request: RequestView) -> None:
        self.requests.append(request)
        self.ids.append(self.do(self.bench.engine._internal_id(request.request_id)))
        self.names = [one.step_id for one in request.steps]

    async def _submitted(self, wanted: Submission) -> RequestView:
        intake = Intake(self.bench.config, Cipher([KEY]), frozenset({"Scripted", "TerraformFile"}))
        async with transaction(self.bench.pool) as connection:
            request_id = await submit.submit(connection, intake, ALICE, wanted)
            return await views.view(connection, request_id)

    def do(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.runner.run(awaited())

    def command(self, work: Awaitable[object]) -> None:
        """Do what a person asks for, which may be refused in words."""
        try:
            self.do(work)
        except (Conflict, InvalidInput, Forbidden, NotFound):
            return

    async def _claim(self, worker: str, limit: int) -> list[Claim]:
        lease = self.bench.config.lease
        async with transaction(self.bench.pool) as connection:
            return [
                one
                for id_ in self.ids
                for one in await execution.claim(
                    connection, worker, limit=limit, lease=lease, request_id=id_
                )
            ]

    async def _take_over(self) -> None:
        await self._execute(
            "UPDATE request_steps SET lease_expires_at = clock_timestamp() - interval '1 s'"
            " WHERE request_id = ANY (%s) AND lease_owner IS NOT NULL"
        )
        await self.bench.reap()

    async def _is_current(self, one: Claim) -> bool:
        query = (
            "SELECT lease_token = %s AND lease_owner IS NOT NULL FROM request_steps WHERE id = %s"
        )
        return bool(await self.bench.one(query, one.lease_token, one.id))

    async def _execute(self, statement: str) -> None:
        await self.bench.connection.execute(statement.encode(), (self.ids,))


def _finish(one: Claim, outcome: Any, phase: Any) -> Finish:
    return Finish(
        one.id,
        one.lease_token,
        outcome,
        phase=phase,
        skip_reason="condition" if outcome == "skipped" else None,
        error_type="broken" if outcome in ("failed", "retrying") else None,
        kind=None if outcome == "waiting" else f"step.{outcome}",
    )


def test_every_history_leaves_the_tables_in_order_and_comes_to_an_end(
    dsn: str, tmp_path: Path
) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        bench = runner.run(_opened(stack, dsn, tmp_path))
        try:
            machine = type("Machine", (Requests,), {"bench": bench, "runner": runner})
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=25,
                    stateful_step_count=25,
                    deadline=None,
                    phases=[Phase.generate, Phase.shrink],
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(stack.aclose())


async def _opened(stack: AsyncExitStack, dsn: str, folder: Path) -> Workbench:
    pool = new_pool(dsn, max_size=4)
    await open_pool(pool)
    stack.push_async_callback(close_pool, pool)
    connection = await connect(dsn)
    stack.push_async_callback(connection.close)
    return await stack.enter_async_context(workbench(dsn, pool, connection, folder))
