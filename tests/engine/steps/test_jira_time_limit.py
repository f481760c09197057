"""A call of the jira library ends after its whole time, whatever the server does meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.config import TicketSystemSettings
from engine.errors import StepFailed
from engine.jira import Jira, NewIssue
from engine.jira.client import THREADS
from tests.support.raw_server import RawServer, raw_server

NEW = NewIssue(label="pao-1", project="OPS", issue_type="Task", summary="Make a database")
KIND = json.dumps({"versionNumbers": [9, 12, 0], "deploymentType": "Cloud"}).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"


@asynccontextmanager
async def dripping_jira(*, tells_its_kind: bool) -> AsyncIterator[RawServer]:
    """Serve a byte now and then, for ever: each begins the library's own time limit anew."""
    over = asyncio.Event()

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if tells_its_kind and b"serverInfo" in server.requests[-1]:
            writer.write(HEAD + b"content-length: %d\r\n\r\n" % len(KIND) + KIND)
            return
        writer.write(HEAD + b"content-length: 100000\r\n\r\n")
        while not over.is_set():
            writer.write(b" ")
            await writer.drain()
            try:
                await asyncio.wait_for(over.wait(), 0.05)
            except TimeoutError:
                continue

    async with raw_server(script) as server:
        try:
            yield server
        finally:
            over.set()


def jira_at(server: RawServer) -> Jira:
    settings = TicketSystemSettings(jira_url=server.url, jira_user="bot", jira_token="s3cret")
    return Jira(settings, call_seconds=0.5)


async def failure_of(call) -> StepFailed:
    async with asyncio.timeout(10):
        with pytest.raises(StepFailed) as caught:
            await call
    return caught.value


async def test_a_creation_without_an_answer_is_unknown() -> None:
    async with dripping_jira(tells_its_kind=True) as server:
        error = await failure_of(jira_at(server).create(NEW))
        assert any(b"POST /rest/api/2/issue " in request for request in server.requests)
    assert (error.error_type, error.kind) == ("timeout", "unknown")
    assert "within 0.5 s" in error.message


async def test_a_question_without_an_answer_is_asked_again() -> None:
    async with dripping_jira(tells_its_kind=True) as server:
        error = await failure_of(jira_at(server).find(["pao-1"]))
    assert (error.error_type, error.kind) == ("timeout", "transient")


async def test_a_creation_that_never_left_may_be_tried_again() -> None:
    async with dripping_jira(tells_its_kind=False) as server:
        error = await failure_of(jira_at(server).create(NEW))
        assert not any(b"POST" in request for request in server.requests)
    assert (error.error_type, error.kind) == ("timeout", "transient")


async def test_what_was_given_up_does_not_leave_later() -> None:
    over = asyncio.Event()

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.write(HEAD + b"content-length: %d\r\n\r\n" % len(KIND) + KIND)

    async with raw_server(script) as server:
        jira = jira_at(server)
        assert (await failure_of(jira.create(NEW))).kind == "transient"
        over.set()
        await asyncio.to_thread(jira._threads.shutdown)
        assert [request.split()[1] for request in server.requests] == [b"/rest/api/2/serverInfo"]


async def test_the_wait_for_a_thread_counts_too() -> None:
    async with dripping_jira(tells_its_kind=False) as server:
        jira = jira_at(server)
        errors = await asyncio.gather(*(failure_of(jira.create(NEW)) for _ in range(2 * THREADS)))
        assert len(server.requests) == THREADS
    assert {(error.error_type, error.kind) for error in errors} == {("timeout", "transient")}
