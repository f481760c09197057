"""One ticket for one cause, whatever breaks: each of the four systems, each boundary of making one.

claimed ── (down) ──> the system is called ── (the answer is lost) ──> it answered
        ── (the worker dies) ──> the ticket is kept
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine import RequestView
from engine.config import TicketSystemSettings
from engine.execution.tickets import Tickets
from engine.outbound import Outbound
from engine.steps.extension import Registry
from engine.tickets.base import Ticket, TicketDraft, TicketSystem
from engine.tickets.email import EmailTickets
from engine.tickets.jira import JiraTickets
from engine.tickets.servicenow import ServiceNowTickets
from engine.tickets.webhook import WebhookTickets
from tests.support import jira_server, servicenow_server
from tests.support.engines import ALICE, automation, rows_of
from tests.support.faulty_server import FaultyServer, bound
from tests.support.http_server import serving
from tests.support.smtp_server import running_smtp
from tests.support.steps import services
from tests.support.workbench import Workbench, fail, step, step_of


@dataclass
class Outside:
    """A ticket system that runs: its part of the engine, and what can be done to it."""

    system: TicketSystem
    template: Mapping[str, Any]
    go_down: Callable[[], None]
    come_back: Callable[[], None]
    lose_an_answer: Callable[[], None]
    tickets: Callable[[], int]
    """How many different tickets there are, seen by the people who work there."""


@dataclass
class Desk(FaultyServer):
    """A company's own service that keeps to the Idempotency-Key."""

    made: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def _answer(self, request: Request) -> Response:
        key = request.headers["idempotency-key"]
        ticket = self.made.setdefault(key, {"id": f"T-{len(self.made) + 1}"})
        return JSONResponse(ticket, status_code=201)


def faulty(
    system: TicketSystem, template: Mapping[str, Any], server: FaultyServer, part: str, made: Any
) -> Outside:
    return Outside(
        system,
        template,
        lambda: server.fault("POST", part, Response(status_code=503)),
        lambda: None,
        lambda: server.fault("POST", part, lose_answer=True),
        lambda: len(made),
    )


@asynccontextmanager
async def jira(folder: Path) -> AsyncIterator[Outside]:
    async with jira_server.running_jira() as server:
        settings = TicketSystemSettings(
            jira_url=server.url, jira_user=jira_server.USER, jira_token=jira_server.TOKEN
        )
        system = JiraTickets(services(Outbound(), folder, tickets=settings))
        template = {"project": "OPS", "issue_type": "Task", "summary": "x"}
        yield faulty(system, template, server, "/issue", server.issues)


@asynccontextmanager
async def servicenow(folder: Path) -> AsyncIterator[Outside]:
    way_out = Outbound()
    async with servicenow_server.running_servicenow() as server:
        settings = TicketSystemSettings(
            servicenow_url=server.url,
            servicenow_user=servicenow_server.USER,
            servicenow_password=servicenow_server.PASSWORD,
        )
        system = ServiceNowTickets(services(way_out, folder, tickets=settings))
        yield faulty(system, {"short_description": "x"}, server, "/incident", server.records)
    await way_out.stop()


@asynccontextmanager
async def email(folder: Path) -> AsyncIterator[Outside]:
    async with running_smtp(None) as server:
        settings = TicketSystemSettings(
            smtp_host="127.0.0.1",
            smtp_port=server.port,
            smtp_from="pao@acme.example",
            smtp_tls=False,
        )

        def lose_an_answer() -> None:
            server.hang_up_after = "DATA"

        def come_back() -> None:
            server.hang_up_after = None
            server.refuse.clear()

        yield Outside(
            EmailTickets(services(Outbound(), folder, tickets=settings)),
            {"to": "ops@acme.example", "subject": "x"},
            lambda: server.refuse.update(MAIL="451 later"),
            come_back,
            lose_an_answer,
            lambda: len({one.message["Message-ID"] for one in server.delivered}),
        )


@asynccontextmanager
async def webhook(folder: Path) -> AsyncIterator[Outside]:
    way_out = Outbound(["127.0.0.1"])
    async with bound() as (listener, url):
        desk = Desk(url)
        async with serving(desk, listener):
            system = WebhookTickets(services(way_out, folder))
            yield faulty(system, {"url": f"{url}/tickets"}, desk, "/tickets", desk.made)
    await way_out.stop()


SYSTEMS = {"jira": jira, "servicenow": servicenow, "email": email, "webhook": webhook}


@pytest.fixture(params=SYSTEMS)
async def outside(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Outside]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(SYSTEMS[request.param](tmp_path))


async def asking(bench: Workbench, outside: Outside) -> RequestView:
    """A request whose step failed for good; its ticket is due, and none was made."""
    bench.tickets.down = True
    bench.script["a"] = [fail("the cloud is full", kind="permanent")]
    manual = {"system": outside.system.name, "template": outside.template}
    fulfillment = {**automation([step("a")]), "manual": manual}
    request = await bench.run(await bench.request(fulfillment=fulfillment))
    await due_now(bench)
    return request


async def due_now(bench: Workbench) -> None:
    await bench.connection.execute("UPDATE outbox SET due = clock_timestamp()")


def worker(bench: Workbench, system: Any, owner: str = "one") -> Tickets:
    systems: Registry[Any] = Registry("ticket system", {system.name: system})
    return Tickets(bench.around, systems, owner=owner)


async def until_made(bench: Workbench, outside: Outside, owner: str = "one") -> None:
    for _ in range(8):
        await due_now(bench)
        if not await worker(bench, outside.system, owner).work():
            return
    raise AssertionError("The ticket was never made")


async def assert_one(bench: Workbench, outside: Outside, request: RequestView) -> None:
    (ticket,) = step_of(await bench.view(request), "a").tickets
    assert (ticket.status, ticket.last_error) == ("open", None)
    assert outside.tickets() == 1
    kept = await rows_of(bench.connection, "SELECT ticket_id FROM manual_tickets")
    assert kept == [ticket.ticket_id]
    assert (await bench.kinds(request)).count("ticket.created") == 1


async def assert_waits(bench: Workbench, request: RequestView) -> None:
    """Nothing is lost, people see why, and the request goes on as ever."""
    view = await bench.view(request)
    (ticket,) = step_of(view, "a").tickets
    assert (ticket.ticket_id, ticket.status) == (None, "creating")
    assert ticket.last_error
    assert (view.status, view.can_resume) == ("failed", True)
    assert "ticket.delayed" in await bench.kinds(request)


async def test_a_system_that_is_down_delays_and_loses_nothing(
    bench: Workbench, outside: Outside
) -> None:
    request = await asking(bench, outside)
    outside.go_down()
    assert await worker(bench, outside.system).work() == 1
    await assert_waits(bench, request)
    outside.come_back()
    await until_made(bench, outside)
    await assert_one(bench, outside, request)


async def test_an_answer_that_was_lost_makes_no_second_ticket(
    bench: Workbench, outside: Outside
) -> None:
    request = await asking(bench, outside)
    outside.lose_an_answer()
    assert await worker(bench, outside.system).work() == 1
    await assert_waits(bench, request)
    outside.come_back()
    await until_made(bench, outside, "another")
    await assert_one(bench, outside, request)


@dataclass
class Doomed:
    """Makes the ticket; then its worker is killed before anything is kept."""

    system: TicketSystem
    made: asyncio.Event = field(default_factory=asyncio.Event)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.system, name)

    async def create(self, draft: TicketDraft) -> Ticket:
        await self.system.create(draft)
        self.made.set()
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_worker_that_dies_after_the_creation_makes_no_second_ticket(
    bench: Workbench, outside: Outside
) -> None:
    request = await asking(bench, outside)
    doomed = Doomed(outside.system)
    work: Awaitable[int] = asyncio.ensure_future(worker(bench, doomed).work())
    await doomed.made.wait()
    await due_now(bench)
    assert await worker(bench, outside.system, "another").work() == 0  # its lease still stands
    work.cancel()  # type: ignore[attr-defined]
    with suppress(asyncio.CancelledError):
        await work
    assert await rows_of(bench.connection, "SELECT ticket_id FROM manual_tickets") == []
    await bench.connection.execute("UPDATE outbox SET lease_expires_at = clock_timestamp()")
    await until_made(bench, outside, "another")
    await assert_one(bench, outside, request)


async def test_a_ticket_that_is_given_up_while_it_is_made_is_kept_and_closed(
    bench: Workbench, outside: Outside
) -> None:
    request = await asking(bench, outside)
    doomed = Doomed(outside.system)
    go_on = asyncio.Event()

    async def create(draft: TicketDraft) -> Ticket:
        ticket = await outside.system.create(draft)
        doomed.made.set()
        await go_on.wait()
        return ticket

    doomed.create = create  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group:
        group.create_task(worker(bench, doomed).work())
        await doomed.made.wait()
        await bench.engine.abort(ALICE, request.request_id, cleanup=False)
        go_on.set()
    await until_made(bench, outside)
    (ticket,) = step_of(await bench.view(request), "a").tickets
    assert (ticket.status, outside.tickets()) == ("closed", 1)
    done = "SELECT kind FROM outbox WHERE kind = 'ticket.close' AND done_at IS NOT NULL"
    assert await rows_of(bench.connection, done) == ["ticket.close"]
