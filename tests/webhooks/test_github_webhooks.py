"""GitHub's webhooks, over real HTTP, against a real database and repository."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from bot.background import Background
from bot.deliveries import LARGEST_BODY
from bot.http import Endpoints, http_server
from bot.process import running
from bot.webhooks import GitHubWebhooks
from engine import Engine, EngineConfig
from engine.store.catalog import SYNC_LOCK
from engine.store.migrate import LOCK_SPACE
from engine.store.pool import Connection
from tests.support.git import GitRepository

SECRET = "a long random secret"
ITEM = """\
name: item
version: 1.0.0
description: An item.
owner: platform
presentation: {fields: []}
fulfillment:
  manual: {system: email, template: {to: a@example.com, subject: An item}}
"""
PUSH = {"ref": "refs/heads/main"}


def signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Sender:
    """Delivers as GitHub does; `syncs` are the triggers of what was synced."""

    def __init__(
        self, url: str, session: aiohttp.ClientSession, background: Background, look: Connection
    ) -> None:
        self._url = url
        self._session = session
        self._look = look
        self.background = background

    async def push(self, delivery: str = "d1", **payload: Any) -> tuple[int, Mapping[str, Any]]:
        return await self.send("push", json.dumps(PUSH | payload).encode(), delivery=delivery)

    async def send(
        self,
        event: str,
        body: Any,
        *,
        signed: str | None = None,
        delivery: str = "d1",
        **more: str,
    ) -> tuple[int, Mapping[str, Any]]:
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery,
            "X-Hub-Signature-256": signature(body) if signed is None else signed,
            **more,
        }
        async with self._session.post(self._url, data=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def syncs(self) -> list[str]:
        await self.background.drained()
        cursor = await self._look.execute("SELECT trigger FROM catalog_sync_status ORDER BY id")
        return [row[0] for row in await cursor.fetchall()]


Delivering = Callable[..., Any]


@pytest.fixture
def repository(
    git_repository: Callable[[Mapping[str, str | bytes | None]], GitRepository],
) -> GitRepository:
    return git_repository({"catalog/a/item.yaml": ITEM})


@pytest.fixture
def delivering(
    dsn: str, repository: GitRepository, tmp_path: Path, connection: Connection
) -> Delivering:
    """`async with delivering(secret)` gives a Sender to a server with that secret."""

    @asynccontextmanager
    async def serve(secret: str | None = SECRET) -> AsyncIterator[Sender]:
        config = EngineConfig(
            database_url=dsn, data_dir=tmp_path / "data", catalog_url=repository.url
        )
        background = Background()

        async def ready() -> Mapping[str, str | None]:
            return {}

        async with Engine(config) as engine, aiohttp.ClientSession() as session:
            webhooks = GitHubWebhooks(engine, background, secret)
            server = http_server(ready, Endpoints({"github": webhooks.answer}), port=0)
            async with running(background), running(server):
                url = f"http://127.0.0.1:{server.port}/webhooks/github"
                yield Sender(url, session, background, connection)

    return serve


async def test_a_push_to_the_branch_syncs(delivering: Delivering, connection: Connection) -> None:
    async with delivering() as sender:
        assert await sender.push() == (202, {"result": "accepted"})
        assert await sender.syncs() == ["webhook"]
    cursor = await connection.execute("SELECT name FROM catalog_items WHERE is_active")
    assert await cursor.fetchall() == [("item",)]


async def test_a_delivery_that_comes_again_does_nothing(delivering: Delivering) -> None:
    async with delivering() as sender:
        assert (await sender.push("same"))[0] == 202
        assert await sender.syncs() == ["webhook"]
        assert await sender.push("same") == (
            202,
            {"result": "ignored", "reason": "this delivery was taken before"},
        )
        assert await sender.syncs() == ["webhook"]
        assert (await sender.push("another"))[1] == {"result": "accepted"}
        assert await sender.syncs() == ["webhook", "webhook"]


async def test_a_replay_is_known_to_every_process(delivering: Delivering) -> None:
    async with delivering() as sender:
        await sender.push("same")
        assert await sender.syncs() == ["webhook"]
    async with delivering() as sender:
        assert (await sender.push("same"))[1]["result"] == "ignored"
        assert await sender.syncs() == ["webhook"]


@pytest.mark.parametrize(
    "signed",
    [
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        signature(json.dumps(PUSH).encode(), "another secret"),
        signature(b"another body"),
        signature(json.dumps(PUSH).encode()).removeprefix("sha256="),
        "sha256=\xe4\xf6",
    ],
)
async def test_a_wrong_signature_is_refused_and_leaves_no_trace(
    delivering: Delivering, connection: Connection, signed: str
) -> None:
    async with delivering() as sender:
        status, answer = await sender.send("push", json.dumps(PUSH).encode(), signed=signed)
        assert status == 401
        assert "X-Hub-Signature-256" in answer["error"]
        assert await sender.syncs() == []
    cursor = await connection.execute("SELECT count(*) FROM webhook_deliveries")
    assert await cursor.fetchone() == (0,)


async def test_without_a_secret_everything_is_refused(delivering: Delivering) -> None:
    async with delivering(None) as sender:
        status, answer = await sender.push()
        assert status == 403
        assert "PAO_GITHUB_WEBHOOK_SECRET is not set" in answer["error"]
        assert await sender.syncs() == []


async def test_a_ping_is_answered(delivering: Delivering) -> None:
    async with delivering() as sender:
        assert await sender.send("ping", b'{"zen": "Keep it simple."}') == (200, {"result": "pong"})
        assert (await sender.send("ping", b"{}", signed=""))[0] == 401
        assert await sender.syncs() == []


async def test_other_branches_tags_and_events_are_ignored_politely(delivering: Delivering) -> None:
    async with delivering() as sender:
        for ref in ("refs/heads/feature", "refs/tags/main", "main", None, ["refs/heads/main"]):
            status, answer = await sender.push(ref=ref)
            assert (status, answer["result"]) == (202, "ignored")
        status, answer = await sender.send("issues", b"{}")
        assert (status, answer["result"]) == (202, "ignored")
        assert await sender.syncs() == []
        # The id of an ignored delivery is not used up.
        assert (await sender.push())[1] == {"result": "accepted"}
        assert await sender.syncs() == ["webhook"]


async def test_a_form_is_read_as_well(delivering: Delivering) -> None:
    body = urlencode({"payload": json.dumps(PUSH)}).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with delivering() as sender:
        assert (await sender.send("push", body, **form))[1] == {"result": "accepted"}
        assert await sender.syncs() == ["webhook"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
async def test_what_is_no_delivery_is_refused(delivering: Delivering, body: bytes) -> None:
    async with delivering() as sender:
        assert (await sender.send("push", body))[0] == 400
        assert (await sender.send("push", b"{}", delivery=""))[0] == 400
        assert (await sender.send("push", b"{}", delivery="d" * 1000))[0] == 400
        assert await sender.syncs() == []


async def test_a_huge_body_is_refused_before_it_is_read(delivering: Delivering) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(LARGEST_BODY // (1 << 20) + 1):
            yield b" " * (1 << 20)

    async with delivering() as sender:
        large = io.BytesIO(b" " * (LARGEST_BODY + 1))
        assert (await sender.send("push", large, signed="sha256=x"))[0] == 413
        assert (await sender.send("push", chunks(), signed="sha256=x"))[0] == 413
        assert await sender.syncs() == []


async def test_pushes_during_a_sync_share_the_next(
    delivering: Delivering, connection: Connection
) -> None:
    # As a sync of another process: until it ends, the first of ours waits.
    await connection.execute("SELECT pg_advisory_lock(%s, %s)", [LOCK_SPACE, SYNC_LOCK])
    async with delivering() as sender:
        for number in range(5):
            assert (await sender.push(f"d{number}"))[0] == 202
        await connection.execute("SELECT pg_advisory_unlock_all()")
        assert await sender.syncs() == ["webhook", "webhook"]


async def test_a_sync_under_way_ends_before_the_bot_does(
    delivering: Delivering, connection: Connection
) -> None:
    async with delivering() as sender:
        await sender.push()
    cursor = await connection.execute("SELECT status FROM catalog_sync_status")
    assert await cursor.fetchall() == [("completed",)]
