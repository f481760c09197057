"""A workbench: the engine's insides on the test's database, with a step type that tests script.

    bench.script["create"] = [fail("boom"), Completed({"id": 1})]

A script is a list of what each call of the step of that name does, in order (the last repeats): a
Completed or Waiting is returned, an exception raised, a callable awaited with the context.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from engine import Actor, Engine, EngineConfig, RequestView, StepFailed, StepView, Submission
from engine.checks.base import CheckFacts
from engine.checks.registry import CHECKS
from engine.dispatch.base import Carrier
from engine.execution.reaper import reap
from engine.execution.run import Surroundings
from engine.execution.tickets import Tickets
from engine.outbound import Outbound
from engine.requests import submit, views
from engine.requests.gates import Gates
from engine.requests.manual import ManualWork
from engine.requests.step_approvals import StepApprovals
from engine.requests.submit import Intake
from engine.secrets import Cipher, SecretFiles
from engine.steps.approval import Approval
from engine.steps.base import Completed, StepContext
from engine.steps.extension import Registry
from engine.steps.manual import Manual
from engine.steps.services import StepServices
from engine.store.pool import Connection, Pool, transaction
from engine.tickets.base import Ticket, TicketDraft
from engine.verifications.base import Verdict
from tests.support.engines import ALICE, KEY, add_item, automation, config
from tests.support.eventually import eventually

FINAL = {"completed", "failed", "cancelled", "aborted"}


def fail(message: str = "boom", **facts: Any) -> StepFailed:
    return StepFailed(facts.pop("error_type", "broken"), message, **facts)


def step(name: str, **config: Any) -> dict[str, Any]:
    return {"name": name, "type": "Scripted", "template": {}, **config}


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


@dataclass
class Scripted:
    """The step type of the tests."""

    script: dict[str, list[Any]]
    calls: list[tuple[str, str, StepContext]] = field(default_factory=list)
    name: ClassVar[str] = "Scripted"
    template_model: ClassVar[type[BaseModel]] = Anything
    verifications: ClassVar[frozenset[str]] = frozenset({"scripted"})
    outputs: ClassVar[frozenset[str] | None] = None

    async def start(self, context: StepContext) -> Any:
        return await self._play("start", context)

    async def poll(self, context: StepContext) -> Any:
        return await self._play("poll", context)

    async def cancel(self, context: StepContext) -> None:
        self.calls.append(("cancel", context.step_name, context))

    async def _play(self, phase: str, context: StepContext) -> Any:
        self.calls.append((phase, context.step_name, context))
        script = self.script[context.step_name]
        scene = script.pop(0) if len(script) > 1 else (script[0] if script else Completed({}))
        if isinstance(scene, BaseException):
            raise scene
        return await scene(context) if callable(scene) else scene

    def phases(self, step_name: str) -> list[str]:
        return [phase for phase, name, _ in self.calls if name == step_name]


@dataclass
class ScriptedVerification:
    """A verification that gives the verdicts of its script."""

    script: list[Verdict] = field(default_factory=list)
    name: ClassVar[str] = "scripted"
    model: ClassVar[type[BaseModel]] = Anything

    async def check(
        self, context: StepContext, properties: BaseModel, result: Completed
    ) -> Verdict:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@dataclass
class ScriptedCheck:
    """A pre-execution check that says what its script says: a reason, None, or an exception."""

    script: list[Any] = field(default_factory=lambda: [None])
    asked: list[CheckFacts] = field(default_factory=list)
    name: ClassVar[str] = "scripted"

    async def check(self, facts: CheckFacts, template: Mapping[str, Any] | None) -> str | None:
        self.asked.append(facts)
        scene = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(scene, BaseException):
            raise scene
        return await scene(facts, template) if callable(scene) else scene


@dataclass
class ScriptedTickets:
    """A ticket system in memory: finds the ticket of a key, or makes it."""

    down: bool = False
    complaint: str = "the ticket system is down"
    made: dict[str, TicketDraft] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    comments: list[tuple[str, str, bool]] = field(default_factory=list)
    followed: list[Ticket] = field(default_factory=list)
    name: ClassVar[str] = "webhook"
    template_model: ClassVar[type[BaseModel]] = Anything
    can_follow: ClassVar[bool] = True

    async def create(self, draft: TicketDraft) -> Ticket:
        if self.down:
            raise fail(self.complaint, kind="transient")
        self.made.setdefault(draft.key, draft)
        ticket_id = f"T-{list(self.made).index(draft.key) + 1}"
        self.states.setdefault(ticket_id, "open")
        return self._ticket(ticket_id)

    async def follow(self, ticket: Ticket) -> Ticket:
        self.followed.append(ticket)
        return self._ticket(ticket.ticket_id)

    async def comment(self, ticket: Ticket, text: str, *, close: bool = False) -> None:
        self.comments.append((ticket.ticket_id, text, close))

    def _ticket(self, ticket_id: str) -> Ticket:
        status: Any = self.states[ticket_id]
        return Ticket(ticket_id, f"http://tickets/{ticket_id}", status)


@dataclass
class Workbench:
    """What tests of execution work with."""

    pool: Pool
    connection: Connection
    config: EngineConfig
    steps: Scripted
    verification: ScriptedVerification
    check: ScriptedCheck
    tickets: ScriptedTickets
    around: Surroundings
    engine: Engine

    @property
    def script(self) -> dict[str, list[Any]]:
        return self.steps.script

    @property
    def systems(self) -> Registry[Any]:
        return Registry("ticket system", {"webhook": self.tickets})

    async def request(
        self,
        steps: Sequence[Mapping[str, Any]] = (),
        *,
        parameters: Mapping[str, Any] | None = None,
        item: str = "database",
        actor: Actor = ALICE,
        fulfillment: Mapping[str, Any] | None = None,
        fields: Sequence[Mapping[str, Any]] | None = None,
        submission: Mapping[str, Any] | None = None,
        columns: Mapping[str, Any] | None = None,
        **section: Any,
    ) -> RequestView:
        """Put an item with these steps into service and request it."""
        await add_item(
            self.connection,
            item,
            fulfillment=fulfillment or automation(steps, **section),
            **({} if fields is None else {"fields": fields}),
            **(columns or {}),
        )
        wanted = Submission(parameters or {}, item=item, **(submission or {}))
        intake = Intake(
            self.config, Cipher([KEY]), frozenset({"Scripted", "TerraformFile", "approval"})
        )
        async with transaction(self.pool) as connection:
            request_id = await submit.submit(connection, intake, actor, wanted)
            return await views.view(connection, request_id)

    def carrier(self, **settings: Any) -> Carrier:
        changed = replace(self.config, **settings)
        return Carrier(self.around, self.systems, changed)

    @asynccontextmanager
    async def carrying(self, **settings: Any) -> AsyncIterator[Carrier]:
        carrier = self.carrier(**settings)
        await carrier.start()
        try:
            yield carrier
        finally:
            await carrier.stop()

    def outbox(self) -> Tickets:
        return Tickets(self.around, self.systems, owner="test")

    async def look_at_gates(self) -> bool:
        """Run what checks are due, open what is, expire what has waited too long."""
        return await Gates(self.pool, self.around.checks, self.config).work()

    async def reap(self) -> int:
        return await reap(self.pool, self.config.lease)

    async def view(self, request: RequestView) -> RequestView:
        return await self.engine.request(ALICE, request.request_id)

    async def ended(self, request: RequestView) -> RequestView:
        """The request once it has ended."""
        return await self.when(request, lambda view: view.status in FINAL)

    async def when(self, request: RequestView, holds: Callable[[RequestView], bool]) -> RequestView:
        async def look() -> RequestView | None:
            view = await self.view(request)
            return view if holds(view) else None

        found = await eventually(look)
        assert found is not None
        return found

    async def run(self, request: RequestView, **settings: Any) -> RequestView:
        """Carry everything until the request has ended."""
        async with self.carrying(**settings):
            return await self.ended(request)

    async def kinds(self, request: RequestView) -> list[str]:
        """The kinds of the request's events, in order."""
        return [
            kind
            async for kind in self._column(
                "SELECT e.kind FROM events e JOIN service_requests r ON r.id = e.request_id"
                " WHERE r.request_id = %s ORDER BY e.id",
                request.request_id,
            )
        ]

    async def _column(self, query: str, *values: Any) -> AsyncIterator[Any]:
        cursor = await self.connection.execute(query.encode(), values)
        for row in await cursor.fetchall():
            yield row[0]

    async def one(self, query: str, *values: Any) -> Any:
        cursor = await self.connection.execute(query.encode(), values)
        row = await cursor.fetchone()
        return None if row is None else row[0]


def step_of(view: RequestView, name: str) -> StepView:
    return next(one for one in view.steps if one.name == name)


def states(view: RequestView) -> dict[str, str]:
    return {one.step_id: one.status for one in view.steps}


@asynccontextmanager
async def workbench(
    dsn: str, pool: Pool, connection: Connection, data_dir: Path, **settings: Any
) -> AsyncIterator[Workbench]:
    settings = {"lease": timedelta(seconds=5), "shutdown_grace": timedelta(seconds=5)} | settings
    configuration = config(dsn, data_dir, **settings)
    steps = Scripted(defaultdict(list))
    verification = ScriptedVerification()
    outbound = Outbound(configuration.outbound_allow)
    services = StepServices(
        outbound=outbound,
        export_module=_no_module,
        data_dir=data_dir,
        manual=ManualWork(pool),
        approvals=StepApprovals(pool, Cipher([KEY]), configuration.teams),
    )
    check = ScriptedCheck()
    own_steps: dict[str, Any] = {
        "Scripted": steps,
        "TerraformFile": steps,
        "manual": Manual(services),
        "approval": Approval(services),
    }
    around = Surroundings(
        pool=pool,
        steps=Registry("step type", own_steps),
        verifications=Registry("verification", {"scripted": verification}),
        cipher=Cipher([KEY]),
        secret_files=SecretFiles(configuration.secrets_dir, configuration.secrets_allow),
        data_dir=services.data_dir,
        checks=Registry("check", {**CHECKS.build(services).parts, "scripted": check}),
    )
    async with Engine(configuration) as engine:
        tickets = ScriptedTickets()
        yield Workbench(
            pool, connection, configuration, steps, verification, check, tickets, around, engine
        )
    await outbound.stop()


async def _no_module(commit: str, path: str, target: Path) -> None:
    await asyncio.sleep(0)
