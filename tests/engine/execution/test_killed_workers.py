"""Whatever is killed with -9, and whenever: the work goes on, and nothing is made twice."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, RequestView
from engine.requests import submit, views
from engine.requests.submit import Intake
from engine.results import Submission
from engine.secrets import Cipher
from engine.store.pool import Connection, Pool, transaction
from tests.support.doomed_worker import POINTS
from tests.support.engines import ALICE, KEY, add_item, automation, config
from tests.support.eventually import eventually
from tests.support.http_server import HttpServer

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def worker(dsn: str, data_dir: Path, url: str, point: str) -> AsyncIterator[Any]:
    arguments = ["-m", "tests.support.doomed_worker", dsn, str(data_dir), url, point]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def submitted(pool: Pool, settings: Any) -> RequestView:
    intake = Intake(settings, Cipher([KEY]), frozenset({"Doomed"}))
    async with transaction(pool) as connection:
        id_ = await submit.submit(connection, intake, ALICE, Submission({}, item="database"))
        return await views.view(connection, id_)


@pytest.mark.parametrize("point", POINTS)
async def test_the_work_goes_on_after_a_kill(
    *,
    point: str,
    dsn: str,
    pool: Pool,
    connection: Connection,
    http_server: HttpServer,
    tmp_path: Path,
) -> None:
    http_server.answer("POST", "/things", json={})
    steps = [
        {"name": name, "type": "Doomed", "template": {}, "verification": {"type": "doomed"}}
        for name in ("first", "second")
    ]
    await add_item(connection, fulfillment=automation(steps))
    request = await submitted(pool, config(dsn, tmp_path))

    async with worker(dsn, tmp_path, http_server.url, point) as doomed:
        assert await asyncio.wait_for(doomed.wait(), 60) == -signal.SIGKILL

    async with (
        worker(dsn, tmp_path, http_server.url, point),
        Engine(config(dsn, tmp_path)) as engine,
    ):

        async def ended() -> RequestView | None:
            view = await engine.request(ALICE, request.request_id)
            return view if view.status in ("completed", "failed") else None

        done = await eventually(ended, within=60)

    assert done is not None
    assert [one.status for one in done.steps] == ["completed", "completed"]
    keys = [one.headers["idempotency-key"] for one in http_server.requests("POST", "/things")]
    assert len(set(keys)) == 2, "each step made its thing under one key only"
    assert len(keys) == (3 if point == "start after the effect" else 2)
    lost = [
        attempt.error_type
        for one in done.steps
        for attempt in one.attempts
        if attempt.status == "failed"
    ]
    assert lost == ([] if point == "after the finish is written" else ["worker_lost"])
