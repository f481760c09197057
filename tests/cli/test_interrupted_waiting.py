"""Ctrl-C while a command drives its request; and what `pao run` says where no Slack is set up."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from pathlib import Path

import pytest

from engine.store.pool import Connection
from tests.support.command_line import on_database
from tests.support.engines import add_item, automation
from tests.support.eventually import eventually
from tests.support.http_server import HttpServer
from tests.support.pao import Pao

ORDER = ("request", "submit", "--item", "database", "--wait", "--output", "json")
END_SECONDS = 60


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_waiting_ends_and_the_step_is_given_back_but_the_request_goes_on(
    number: signal.Signals,
    connection: Connection,
    dsn: str,
    tmp_path: Path,
    http_server: HttpServer,
) -> None:
    answered = asyncio.Event()
    http_server.answer("POST", "/create", json={"endpoint": "db"}, delay=answered)
    step = {"name": "make", "type": "HttpPost", "template": {"url": f"{http_server.url}/create"}}
    await add_item(connection, fulfillment=automation([step]))

    pao = on_database(Pao(tmp_path), dsn).pao
    with pao.running(*ORDER, stderr=subprocess.PIPE, PAO_SHUTDOWN_GRACE="0s") as process:
        await eventually(lambda: http_server.requests("POST", "/create"), within=END_SECONDS)
        process.send_signal(number)
        out, err = await asyncio.to_thread(process.communicate, timeout=END_SECONDS)
    answered.set()

    assert process.returncode == 1, err
    told = json.loads(out)
    assert told["timed_out"] is True
    assert f"Follow it by: pao request get {told['request_id']} --watch" in err
    cursor = await connection.execute(
        "SELECT r.status, s.status, s.lease_owner, s.group_attempts, s.next_run_at <= now()"
        " FROM request_steps s JOIN service_requests r ON r.id = s.request_id"
    )
    assert await cursor.fetchall() == [("in_progress", "retrying", None, 0, True)]


def test_a_bot_without_slack_says_what_there_is_instead(tmp_path: Path) -> None:
    answer = Pao(tmp_path)("run")
    assert (answer.code, answer.out) == (2, "")
    for hint in ("SLACK_BOT_TOKEN", "`pao demo`", "`pao worker`"):
        assert hint in answer.err
