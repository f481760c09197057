"""Tickets of the system `webhook`, made and followed over real HTTP."""

import pytest

from engine.errors import OutboundRefused, StepFailed
from engine.outbound import Outbound
from engine.tickets.base import Ticket, TicketDraft
from engine.tickets.webhook import WebhookTickets
from tests.support.raw_server import answer, raw_server
from tests.support.steps import services


@pytest.fixture
async def system(tmp_path):
    way_out = Outbound(["127.0.0.1"])
    yield WebhookTickets(services(way_out, tmp_path))
    await way_out.stop()


def draft(url: str, **template: object) -> TicketDraft:
    return TicketDraft(
        key="key-1",
        summary="Make a database",
        description="It failed: no space left",
        template={"url": url, **template},
        request_id="req-1",
        ticket_type="fulfillment",
        parameters={"size": 2},
    )


async def test_without_a_body_the_ticket_tells_all_there_is(system, http_server) -> None:
    http_server.answer("POST", "/t", status=201, json={"id": 42, "url": "/t/42"})
    ticket = await system.create(draft(http_server.url + "/t"))
    assert ticket == Ticket(
        "42", http_server.url + "/t/42", "open", None, {"status_url": http_server.url + "/t/42"}
    )
    (received,) = http_server.requests("POST", "/t")
    assert received.headers["idempotency-key"] == "key-1"
    assert received.json() == {
        "summary": "Make a database",
        "description": "It failed: no space left",
        "type": "fulfillment",
        "request_id": "req-1",
        "parameters": {"size": 2},
        "idempotency_key": "key-1",
    }


async def test_a_body_of_the_documents_own_gets_the_description(system, http_server) -> None:
    http_server.answer("POST", "/t", json={"ticket_id": "T-1"})
    url = http_server.url + "/t"
    bodies = ({"title": "x"}, {"title": "x", "description": "Please."}, '{"title": "x"}', "Please.")
    for body in bodies:
        await system.create(draft(url, body=body))
    bare, described, json_text, text = http_server.requests("POST", "/t")
    assert bare.json() == {"title": "x", "description": "It failed: no space left"}
    assert described.json()["description"] == "Please.\n\nIt failed: no space left"
    assert json_text.json() == bare.json()
    assert text.body == b"Please.\n\nIt failed: no space left"


async def test_method_headers_and_the_path_of_the_id_are_the_documents(system, http_server) -> None:
    http_server.answer("PUT", "/t", json={"data": {"key": "OPS-7"}, "status": "In Progress"})
    template = {
        "method": "PUT",
        "headers": {"Authorization": "Bearer t"},
        "id_path": "$.data.key",
        "status_url": "/api/{id}?full=1",
    }
    ticket = await system.create(draft(http_server.url + "/t", **template))
    assert (ticket.ticket_id, ticket.status) == ("OPS-7", "in_progress")
    assert ticket.external == {"status_url": http_server.url + "/api/OPS-7?full=1"}
    assert http_server.requests("PUT", "/t")[0].headers["authorization"] == "Bearer t"


@pytest.mark.parametrize("body", [b"", b"created", b"[]", b'{"id": null}'])
async def test_a_ticket_whose_id_is_not_told_is_there_all_the_same(system, http_server, body):
    http_server.answer("POST", "/t", body=body, headers={"Location": "/t/9"})
    ticket = await system.create(draft(http_server.url + "/t"))
    assert (ticket.ticket_id, ticket.url) == ("key-1", http_server.url + "/t/9")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("done", "resolved"),
        ("Resolved", "resolved"),
        ("CLOSED", "resolved"),
        ("complete", "resolved"),
        ("in_progress", "in_progress"),
        ("new", "open"),
    ],
)
async def test_the_words_of_a_status(system, http_server, said: str, status: str) -> None:
    http_server.answer("GET", "/t/1", json={"status": said})
    ticket = Ticket("1", None, "open", None, {"status_url": http_server.url + "/t/1"})
    followed = await system.follow(ticket)
    assert (followed.status, followed.external_status) == (status, said)
    assert followed.external == ticket.external


async def test_an_answer_without_a_status_changes_nothing(system, http_server) -> None:
    http_server.answer("GET", "/t/1", body=b"<html>")
    ticket = Ticket("1", None, "in_progress", "x", {"status_url": http_server.url + "/t/1"})
    assert await system.follow(ticket) == ticket
    nowhere = Ticket("1", None, "open")
    assert await system.follow(nowhere) == nowhere


async def test_a_status_may_need_the_documents_headers(system, http_server) -> None:
    http_server.answer("GET", "/t/1", json={"status": "done"})
    template = {"url": http_server.url + "/t", "headers": {"X-Key": "k"}}
    async with raw_server(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as other:
        for address in (http_server.url + "/t/1", other.url):
            ticket = Ticket("1", None, "open", None, {"status_url": address}, template)
            await system.follow(ticket)
    assert http_server.requests("GET", "/t/1")[0].headers["x-key"] == "k"
    assert b"x-key" not in other.requests[0].lower()


@pytest.mark.parametrize(("status", "kind"), [(503, "transient"), (422, "permanent")])
async def test_a_refusal_says_whether_to_try_again(system, http_server, status, kind) -> None:
    http_server.answer("POST", "/t", status=status, headers={"Retry-After": "60"})
    with pytest.raises(StepFailed) as caught:
        await system.create(draft(http_server.url + "/t"))
    assert (caught.value.kind, caught.value.retry_after) == (kind, 60)


async def test_webhooks_are_inside_the_guard(tmp_path, http_server) -> None:
    way_out = Outbound()
    with pytest.raises(OutboundRefused):
        await WebhookTickets(services(way_out, tmp_path)).create(draft(http_server.url + "/t"))
    await way_out.stop()
    assert http_server.received == []


async def test_a_comment_is_no_error(system) -> None:
    await system.comment(Ticket("1", None, "open"), "not needed any more", close=True)
