"""Calls to the outside carry the span that they belong to, by whichever library they are made."""

from __future__ import annotations

import asyncio
import re

import pytest

from engine.config import TicketSystemSettings
from engine.jira import Jira
from engine.outbound import Outbound
from engine.spans import in_span, span_id, trace_id, traceparent
from tests.support.http_server import HttpServer
from tests.support.jira_server import TOKEN, USER, running_jira
from tests.support.raw_server import answer, raw_server

W3C = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")
"""https://www.w3.org/TR/trace-context/#traceparent-header"""


@pytest.fixture
async def outbound():
    way_out = Outbound(["127.0.0.1"])
    yield way_out
    await way_out.stop()


def of(request_id: str, step_id: str | None = None) -> str:
    return f"00-{trace_id(request_id)}-{span_id(request_id, step_id)}-01"


def test_the_header_is_the_standards_and_ends_with_its_block() -> None:
    with in_span("req-1", "deploy"):
        told = traceparent()
        with in_span("req-1"):
            assert traceparent() == of("req-1") != told
        assert traceparent() == told == of("req-1", "deploy")
    assert told
    assert W3C.fullmatch(told)
    assert traceparent() is None


async def test_steps_at_the_same_time_keep_their_spans_apart(
    outbound, http_server: HttpServer
) -> None:
    http_server.answer("GET", "/x", json={})

    async def call(number: int) -> None:
        with in_span("req-1", f"step-{number}"):
            await outbound.request("GET", f"{http_server.url}/x?n={number}")

    await asyncio.gather(*map(call, range(5)))
    told = {one.query["n"]: one.headers["traceparent"] for one in http_server.received}
    assert told == {str(number): of("req-1", f"step-{number}") for number in range(5)}


async def test_outside_of_a_span_nothing_is_told(outbound, http_server: HttpServer) -> None:
    http_server.answer("GET", "/x", json={})
    await outbound.request("GET", f"{http_server.url}/x")
    assert "traceparent" not in http_server.received[0].headers


async def test_what_the_document_says_wins(outbound, http_server: HttpServer) -> None:
    http_server.answer("GET", "/x", json={})
    with in_span("req-1"):
        await outbound.request("GET", f"{http_server.url}/x", headers={"Traceparent": "own"})
    assert http_server.received[0].headers["traceparent"] == "own"


async def test_the_span_follows_a_redirect_to_another_origin(
    outbound, http_server: HttpServer
) -> None:
    http_server.answer("GET", "/there", json={})
    redirect = f"HTTP/1.1 302 Found\r\nLocation: {http_server.url}/there\r\n\r\n".encode()
    async with raw_server(answer(redirect)) as first:
        with in_span("req-1", "deploy"):
            await outbound.request("GET", first.url)
    assert http_server.received[0].headers["traceparent"] == of("req-1", "deploy")


async def test_the_jira_library_tells_the_span_of_each_call() -> None:
    async with running_jira() as server:
        jira = Jira(TicketSystemSettings(jira_url=server.url, jira_user=USER, jira_token=TOKEN))
        for step_id in ("a", "b", None):
            if step_id is None:
                await jira.find(["x"])
            else:
                with in_span("req-1", step_id):
                    await jira.find(["x"])
        searches = server.calls("GET", "/search")
    told = [one.headers.get("traceparent") for one in searches]
    assert told == [of("req-1", "a"), of("req-1", "b"), None]
