"""A process that runs brings the catalog up to date by itself: at its start, and again and again."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.store.pool import Connection
from tests.support.command_line import on_database
from tests.support.eventually import eventually
from tests.support.git import GitRepository
from tests.support.http_server import HttpServer
from tests.support.pao import Pao

ITEM = """\
name: cache
version: VERSION
owner: platform
description: Keeps what was asked
presentation: {fields: []}
fulfillment: {manual: {system: jira, template: {project: P, issue_type: T, summary: S}}}
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def repository(
    git_repository: Callable[[Mapping[str, str | bytes | None]], GitRepository],
) -> GitRepository:
    return git_repository({"catalog/c/cache.yaml": ITEM.replace("VERSION", "1.0.0")})


@pytest.fixture
def pao(dsn: str, http_server: HttpServer, repository: GitRepository, tmp_path: Path) -> Pao:
    http_server.answer("POST", "/auth.test", json={"ok": True, "user_id": "UBOT", "team_id": "T1"})
    settings = {
        "PAO_CATALOG_URL": repository.url,
        "PAO_HTTP_PORT": str(free_port()),
        "PAO_SLACK_API_URL": f"{http_server.url}/",
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_SIGNING_SECRET": "secret",
    }
    known = on_database(Pao(tmp_path / "data"), dsn).pao
    return replace(known, environment={**known.environment, **settings})


class Catalog:
    """What the database says of it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def is_at(self, version: str) -> bool:
        return await self._value("SELECT version FROM catalog_items", []) == version

    async def syncs(self, trigger: str) -> Any:
        query = "SELECT count(*) FROM catalog_sync_status WHERE trigger = %s"
        return await self._value(query, [trigger])

    async def _value(self, query: str, parameters: list[str]) -> Any:
        found = await (await self.connection.execute(query, parameters)).fetchone()
        return found[0] if found else None


@pytest.fixture
def catalog(connection: Connection) -> Catalog:
    return Catalog(connection)


@pytest.mark.parametrize("command", ["worker", "run"])
async def test_a_process_syncs_at_its_start_and_by_the_interval(
    command: str, repository: GitRepository, pao: Pao, catalog: Catalog
) -> None:
    with pao.running(command, PAO_CATALOG_SYNC_INTERVAL="0.2s"):
        await eventually(lambda: catalog.is_at("1.0.0"), within=30)
        repository.commit({"catalog/c/cache.yaml": ITEM.replace("VERSION", "1.1.0")})
        await eventually(lambda: catalog.is_at("1.1.0"), within=30)
        assert await catalog.syncs("start") == 1
        assert await catalog.syncs("interval") > 0

    repository.commit({"catalog/c/cache.yaml": ITEM.replace("VERSION", "1.2.0")})
    with pao.running(command, PAO_CATALOG_SYNC_INTERVAL="1h"):
        await eventually(lambda: catalog.is_at("1.2.0"), within=30)
        assert await catalog.syncs("start") == 2
