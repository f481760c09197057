"""The tools that other tests lean on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import httpx
import pytest

from tests.support.eventually import eventually
from tests.support.git import GitRepository
from tests.support.http_server import HttpServer

Repositories = Callable[[Mapping[str, str | bytes | None]], GitRepository]


async def test_answers_come_in_the_order_in_which_they_were_scripted(
    http_server: HttpServer,
) -> None:
    http_server.answer("GET", "/x", status=503, headers={"Retry-After": "1"}, times=2)
    http_server.answer("GET", "/x", json={"ready": True})
    async with httpx.AsyncClient(base_url=http_server.url, trust_env=False) as client:
        answers = [await client.get("/x") for _ in range(4)]
        lost = await client.post("/y", json={"a": 1})
    assert [answer.status_code for answer in answers] == [503, 503, 200, 200]
    assert answers[0].headers["Retry-After"] == "1"
    assert lost.status_code == 404
    assert http_server.requests("POST", "/y")[0].json() == {"a": 1}


async def test_an_answer_is_held_back_until_it_is_let_go(http_server: HttpServer) -> None:
    gate = asyncio.Event()
    http_server.answer("GET", "/slow", delay=gate)
    async with httpx.AsyncClient(base_url=http_server.url, trust_env=False) as client:
        asking = asyncio.create_task(client.get("/slow"))
        await eventually(lambda: http_server.requests("GET", "/slow"))
        assert not asking.done()
        gate.set()
        assert (await asking).status_code == 200


async def test_eventually_gives_what_became_true() -> None:
    answers = iter([None, 0, "there"])
    assert await eventually(lambda: next(answers)) == "there"


async def test_eventually_tells_the_last_failure() -> None:
    async def probe() -> bool:
        raise AssertionError("not yet")

    with pytest.raises(AssertionError, match="not yet"):
        await eventually(probe, within=0.05)


def test_a_repository_keeps_each_commit(git_repository: Repositories) -> None:
    repository = git_repository({"a/b.yaml": "one"})
    first = repository.head
    second = repository.commit({"a/b.yaml": None, "c.yaml": "two"})
    assert repository.git("diff", "--name-status", first, second).split() == [
        "D",
        "a/b.yaml",
        "A",
        "c.yaml",
    ]
