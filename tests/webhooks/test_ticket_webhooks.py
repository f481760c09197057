"""Webhooks of ticket systems and of workflow runs: signed, once, and only a reason to ask."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bot.background import Background
from bot.deliveries import LARGEST_BODY
from bot.http import Endpoints, http_server
from bot.process import running
from bot.ticket_webhooks import ANY, JIRA, TicketWebhooks
from bot.webhooks import GitHubWebhooks
from engine import RequestView
from engine.steps.base import Completed, Waiting
from tests.support.engines import MANUAL
from tests.support.workbench import Workbench, states, step

SECRET = "what we share"
RESOLVED = {"ticket_id": "T-1", "status": "resolved"}
LATER = 3600.0


class Sender:
    """Sends signed deliveries to a running bot."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def send(
        self,
        to: str,
        payload: Any,
        *,
        secret: str = SECRET,
        header: str = "X-Hub-Signature",
        **headers: str,
    ) -> tuple[int, Mapping[str, Any]]:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        sent = {header: signature, "Content-Type": "application/json", **headers}
        url = f"{self._url}/webhooks/{to}"
        async with self._session.post(url, data=io.BytesIO(body), headers=sent) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def serving(bench: Workbench, secret: str | None = SECRET) -> AsyncIterator[Sender]:
    async def ready() -> Mapping[str, str | None]:
        return {}

    background = Background()
    webhooks = {
        "github": GitHubWebhooks(bench.engine, background, secret).answer,
        "jira": TicketWebhooks(bench.engine, JIRA, secret, "PAO_JIRA_WEBHOOK_SECRET").answer,
        "tickets": TicketWebhooks(bench.engine, ANY, secret, "PAO_TICKET_WEBHOOK_SECRET").answer,
    }
    server = http_server(ready, Endpoints(webhooks), port=0)
    async with aiohttp.ClientSession() as session, running(background), running(server):
        yield Sender(f"http://127.0.0.1:{server.port}", session)


@pytest.fixture
async def sender(bench: Workbench) -> AsyncIterator[Sender]:
    async with serving(bench) as sender:
        yield sender


@pytest.fixture
async def manual(bench: Workbench) -> RequestView:
    """A manual request whose ticket T-1 was resolved outside, and is not to be asked for before an hour."""
    request = await bench.request(fulfillment={"manual": MANUAL})
    await bench.outbox().work()
    bench.tickets.states["T-1"] = "resolved"
    await put_off(bench)
    return request


async def put_off(bench: Workbench) -> None:
    await bench.connection.execute(
        "UPDATE manual_tickets SET poll_count = 20,"
        " next_poll_at = clock_timestamp() + interval '1 hour' WHERE next_poll_at IS NOT NULL"
    )


async def is_due(bench: Workbench) -> bool:
    return bool(await bench.one("SELECT next_poll_at <= clock_timestamp() FROM manual_tickets"))


async def test_a_signed_delivery_makes_the_ticket_be_asked_for(
    bench: Workbench, sender: Sender, manual: RequestView
) -> None:
    assert await bench.outbox().poll() == 0
    assert await sender.send("tickets", RESOLVED) == (202, {"result": "accepted"})
    assert await bench.outbox().poll() == 1
    assert (await bench.view(manual)).status == "completed"


async def test_what_a_delivery_says_is_not_believed(
    bench: Workbench, sender: Sender, manual: RequestView
) -> None:
    bench.tickets.states["T-1"] = "open"
    await sender.send("tickets", RESOLVED)
    assert await bench.outbox().poll() == 1
    assert (await bench.view(manual)).status == "in_progress"


async def test_a_waiting_loop_is_woken(
    bench: Workbench, sender: Sender, manual: RequestView
) -> None:
    async with bench.carrying():
        await sender.send("tickets", RESOLVED)
        assert (await bench.ended(manual)).status == "completed"


async def test_a_ticket_is_asked_for_often_for_an_hour_after_a_delivery(
    bench: Workbench, sender: Sender, manual: RequestView
) -> None:
    bench.tickets.states["T-1"] = "open"
    await sender.send("tickets", RESOLVED)
    waits = []
    for _ in range(8):
        await bench.outbox().poll()
        waits.append(
            await bench.one("SELECT (next_poll_at - clock_timestamp())::text FROM manual_tickets")
        )
        await bench.connection.execute("UPDATE manual_tickets SET next_poll_at = now()")
    assert "00:00:05" < waits[0] < "00:00:08"
    assert "00:00:29" < waits[-1] <= "00:00:30"
    await bench.connection.execute(
        "UPDATE manual_tickets SET nudged_at = nudged_at - interval '2 hours', poll_count = 30"
    )
    await bench.outbox().poll()
    assert await bench.one(
        "SELECT next_poll_at > clock_timestamp() + interval '290 s' FROM manual_tickets"
    )


@pytest.mark.parametrize("to", ["tickets", "jira", "github"])
async def test_unsigned_and_wrongly_signed_deliveries_are_refused_and_leave_no_trace(
    bench: Workbench, sender: Sender, manual: RequestView, to: str
) -> None:
    for options in ({"secret": "another"}, {"header": "X-Signature"}):
        status, answer = await sender.send(to, RESOLVED, **options)
        assert status == 401
        assert "signature" in answer["error"].lower()
    assert not await is_due(bench)
    assert await bench.one("SELECT count(*) FROM webhook_deliveries") == 0


@pytest.mark.parametrize(
    ("to", "setting"),
    [("jira", "PAO_JIRA_WEBHOOK_SECRET"), ("tickets", "PAO_TICKET_WEBHOOK_SECRET")],
)
async def test_without_a_secret_everything_is_refused(
    bench: Workbench, to: str, setting: str
) -> None:
    async with serving(bench, None) as sender:
        status, answer = await sender.send(to, RESOLVED)
    assert status == 403
    assert f"{setting} is not set" in answer["error"]


async def test_a_delivery_counts_once_by_its_id(
    bench: Workbench, sender: Sender, manual: RequestView
) -> None:
    once = {"Idempotency-Key": "d1"}
    assert (await sender.send("tickets", RESOLVED, **once))[1]["result"] == "accepted"
    await put_off(bench)
    assert (await sender.send("tickets", RESOLVED, **once))[1] == {
        "result": "ignored",
        "reason": "this delivery was taken before",
    }
    assert not await is_due(bench)
    assert (await sender.send("tickets", RESOLVED, **{"Idempotency-Key": "d2"}))[1] == {
        "result": "accepted"
    }
    assert await is_due(bench)


async def test_a_delivery_without_an_id_counts_once_by_its_contents(
    bench: Workbench, sender: Sender, manual: RequestView
) -> None:
    await sender.send("tickets", RESOLVED)
    await put_off(bench)
    assert (await sender.send("tickets", RESOLVED))[1]["result"] == "ignored"
    assert not await is_due(bench)
    assert (await sender.send("tickets", RESOLVED | {"n": 2}))[1]["result"] == "accepted"


@pytest.mark.parametrize("away", [-7200, 7200, 1e20, float("nan")])
async def test_a_recorded_delivery_is_of_no_use_later(
    bench: Workbench, sender: Sender, manual: RequestView, away: float
) -> None:
    for scale in (1, 1000):
        made = {"timestamp": (time.time() + away) * scale}
        status, answer = await sender.send("tickets", RESOLVED | made)
        assert (status, answer["result"]) == (202, "ignored")
    assert not await is_due(bench)
    made = {"timestamp": int(time.time() * 1000)}
    assert (await sender.send("tickets", RESOLVED | made))[1]["result"] == "accepted"


async def test_the_system_and_the_id_must_be_those_of_a_ticket_that_is_followed(
    bench: Workbench, sender: Sender, manual: RequestView
) -> None:
    for other in ({"ticket_id": "T-2"}, {"ticket_id": "T-1", "system": "servicenow"}):
        status, answer = await sender.send("tickets", other)
        assert (status, answer["result"]) == (202, "ignored")
    assert not await is_due(bench)
    named = {"id": "T-1", "system": "webhook"}
    assert (await sender.send("tickets", named))[1]["result"] == "accepted"


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"{", b"\xff", b"[" * 100_000, {}, {"ticket_id": ""}, {"ticket_id": True},
     {"ticket_id": "x" * 256}, {"ticket_id": "a\0b"}, {"ticket_id": ["T-1"]},
     {"ticket_id": "\ud800"}, {"ticket_id": "T-1", "system": "a\0"}, {"ticket_id": "T-1", "system": "\ud800"}],
    ids=ascii,
)  # fmt: skip
async def test_what_names_no_ticket_is_refused(sender: Sender, payload: Any) -> None:
    assert (await sender.send("tickets", payload))[0] == 400


async def test_what_is_too_large_is_refused(sender: Sender) -> None:
    assert (await sender.send("tickets", b" " * (LARGEST_BODY + 1)))[0] == 413
    long = {"Idempotency-Key": "d" * 101}
    assert (await sender.send("tickets", RESOLVED, **long))[0] == 400


async def test_jira_tells_of_an_issue_by_its_key(bench: Workbench, sender: Sender) -> None:
    await bench.request(fulfillment={"manual": MANUAL})
    await bench.outbox().work()
    await put_off(bench)
    event = {"webhookEvent": "jira:issue_updated", "issue": {"id": "10001", "key": "T-1"}}
    assert (await sender.send("jira", event))[1]["result"] == "ignored"
    await bench.connection.execute("UPDATE manual_tickets SET ticket_system = 'jira'")
    once = {"X-Atlassian-Webhook-Identifier": "w1"}
    assert (await sender.send("jira", event, **once))[1] == {"result": "accepted"}
    assert await is_due(bench)
    for wrong in ({}, {"issue": None}, {"issue": {"key": None}}):
        assert (await sender.send("jira", wrong))[0] == 400


async def waiting_step(bench: Workbench, step_type: str) -> RequestView:
    """A request whose step waits for run 77 for an hour; its type is `step_type` in the database."""
    bench.script["run"] = [Waiting(LATER, {}, job_id="77"), Completed({})]
    request = await bench.request([step("run")])
    async with bench.carrying():
        await bench.when(request, lambda v: states(v) == {"run": "running"} and _has_job(v))
    await bench.connection.execute("UPDATE request_steps SET step_type = %s", [step_type])
    return request


def _has_job(view: RequestView) -> bool:
    return any(one.external_job_id == "77" for one in view.steps[0].attempts)


def run(id_: Any) -> dict[str, Any]:
    return {"action": "completed", "workflow_run": {"id": id_, "conclusion": "success"}}


async def github(sender: Sender, payload: Any, delivery: str = "d1") -> tuple[int, Any]:
    headers = {"X-GitHub-Event": "workflow_run", "X-GitHub-Delivery": delivery}
    return await sender.send("github", payload, header="X-Hub-Signature-256", **headers)


async def test_a_workflow_run_moves_its_waiting_step_on_once(
    bench: Workbench, sender: Sender
) -> None:
    await waiting_step(bench, "GitHubWorkflow")
    due = "SELECT next_run_at <= clock_timestamp() FROM request_steps"
    assert (await github(sender, run(78), "other"))[1]["result"] == "ignored"
    assert not await bench.one(due)
    assert await github(sender, run(77)) == (202, {"result": "accepted"})
    assert await bench.one(due)
    await bench.connection.execute(
        "UPDATE request_steps SET next_run_at = clock_timestamp() + interval '1 hour'"
    )
    assert (await github(sender, run(77)))[1]["reason"] == "this delivery was taken before"
    assert not await bench.one(due)


async def test_a_step_moved_on_by_a_run_goes_on_at_once(bench: Workbench, sender: Sender) -> None:
    request = await waiting_step(bench, "GitHubWorkflow")
    await github(sender, run(77))
    await bench.connection.execute("UPDATE request_steps SET step_type = 'Scripted'")
    assert (await bench.run(request)).status == "completed"
    assert bench.steps.phases("run") == ["start", "poll"]


async def test_a_run_of_another_kind_of_step_moves_nothing(
    bench: Workbench, sender: Sender
) -> None:
    await waiting_step(bench, "Scripted")
    assert (await github(sender, run(77)))[1]["result"] == "ignored"
    for wrong in (run("77"), run(True), run(None), {"workflow_run": 77}, {}):
        assert (await github(sender, wrong, str(wrong)[:50]))[0] == 400
