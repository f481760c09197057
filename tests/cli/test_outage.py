"""Long-running commands answer over HTTP; a database that stays away ends them with 3, for their supervisor."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.support.command_line import on_database
from tests.support.eventually import eventually
from tests.support.http_server import HttpServer
from tests.support.outage import database_away
from tests.support.pao import Pao

END_SECONDS = 60
IMPATIENT = (sys.executable, "-m", "tests.support.impatient_pao")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def answers(port: int) -> bool:
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/readyz") as answer,
        ):
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def statuses(port: int) -> dict[str, int]:
    """What each path answers to somebody who sends nothing."""
    found = {}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        for path in ("/healthz", "/metrics", "/logs/x"):
            async with session.get(path) as answer:
                found[path] = answer.status
        for path in ("/webhooks/github", "/webhooks/jira", "/webhooks/tickets"):
            async with session.post(path) as answer:
                found[path] = answer.status
    return found


@pytest.mark.parametrize("command", ["worker", "run"])
async def test_a_database_that_stays_away_ends_the_process_with_3(
    command: str, dsn: str, server_dsn: str, tmp_path: Path, http_server: HttpServer
) -> None:
    http_server.answer("POST", "/auth.test", json={"ok": True, "user_id": "UBOT", "team_id": "T1"})
    port = free_port()
    slack = {
        "PAO_SLACK_API_URL": f"{http_server.url}/",
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_SIGNING_SECRET": "secret",
    }
    settings = {"PAO_HTTP_PORT": str(port), **(slack if command == "run" else {})}
    pao = on_database(Pao(tmp_path), dsn).pao
    with pao.running(
        command, "--output", "json", program=IMPATIENT, stderr=subprocess.PIPE, **settings
    ) as process:
        await eventually(lambda: answers(port), within=END_SECONDS)
        assert await statuses(port) == {
            "/healthz": 200,
            "/metrics": 200,
            "/logs/x": 403,
            "/webhooks/github": 403,
            "/webhooks/jira": 403,
            "/webhooks/tickets": 403,
        }
        async with database_away(server_dsn, dsn):
            out, err = await asyncio.to_thread(process.communicate, timeout=END_SECONDS)
    assert process.returncode == 3, err
    assert json.loads(out)["error"]["code"] == "database_unavailable"
    assert "Error:" in err


@pytest.mark.parametrize("command", ["worker", "request"])
async def test_a_first_connection_that_fails_is_3_at_once(command: str, tmp_path: Path) -> None:
    pao = Pao(tmp_path, {"PAO_DATABASE_URL": "postgresql://127.0.0.1:1/x"})
    arguments = ["list"] if command == "request" else []
    answer = await asyncio.to_thread(pao, command, *arguments, "--output", "json")
    assert answer.code == 3
    assert answer.json["error"]["code"] == "database_unavailable"
