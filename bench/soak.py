"""The endurance run: `pao run` under load for a while, its resident memory and the slope of it.

    python -m bench.soak [--minutes 10]

A twin of Slack, an HTTP service and a catalog of one item stand around a real `pao run` in a process
of its own. People ask for the catalog and their requests, and order; each order is a request of two
HTTP steps that becomes an instance. The slope is the least-squares line through the second half of
the run, when caches and pools are full; the database is another process and does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import linear_regression

import psutil
import psycopg
from aiohttp import web

from bench.catalog import git
from bench.measure import Figure, Goal, say_errors_only, show
from bench.world import KEY, durable_server, new_database
from bot.manifest import manifest
from bot.playground.installation import Installation
from tests.support.pao import command
from tests.support.slack_twin import SlackTwin

EVERY = 5.0
"""Seconds between two looks at the memory."""

MEGABYTES_PER_HOUR = 5.0
"""A slope below it is nil: allocators breathe."""

ITEM = """\
name: cache
display_name: Cache
version: 1.0.0
owner: platform
description: A cache in memory.
presentation:
  fields:
    - name: size
      type: selection
      oneof: [small, large]
      default: small
fulfillment:
  automation:
    steps:
      - name: network
        type: HttpPost
        template: {{url: "{url}/network", body: {{size: "{{{{ size }}}}"}}}}
      - name: cache
        type: HttpPost
        depends_on: [network]
        template: {{url: "{url}/cache", body: {{network: "{{{{ steps.network.outputs.id }}}}"}}}}
  manual:
    system: webhook
    template: {{url: "{url}/ticket"}}
"""


async def soak(minutes: float) -> list[Figure]:
    """Load a `pao run` for so long; return what its memory did."""
    with durable_server() as admin, tempfile.TemporaryDirectory(prefix="pao-soak-") as folder:
        dsn = await new_database(admin)
        async with (
            _service() as url,
            SlackTwin(installation=Installation.from_manifest(manifest())) as twin,
        ):
            catalog = _catalog(Path(folder) / "repository", url)
            with _pao_run(dsn, catalog, Path(folder) / "data", twin) as process:
                try:
                    await _connected(twin, process)
                    await _synced(dsn)
                    samples, orders = await _load(twin, process.pid, minutes)
                finally:
                    process.terminate()
                    await asyncio.to_thread(process.wait, 60)
    return _figures(samples, orders)


async def _connected(twin: SlackTwin, process: subprocess.Popen[bytes]) -> None:
    while not twin.playground.sockets.connected:
        if process.poll() is not None:
            raise RuntimeError(f"pao run ended with {process.returncode}")
        await asyncio.sleep(0.1)


async def _synced(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        while True:
            cursor = await connection.execute("SELECT count(*) FROM catalog_items WHERE is_active")
            if await cursor.fetchone() == (1,):
                return
            await asyncio.sleep(0.1)


def _figures(samples: Sequence[tuple[float, float]], orders: int) -> list[Figure]:
    late = samples[len(samples) // 2 :]
    hours, megabytes = zip(*late, strict=True)
    slope = linear_regression(hours, megabytes).slope
    most = max(size for _, size in samples)
    return [
        Figure(
            f"resident memory of pao run, {orders} orders", "MB", Goal(150, at_most=True), [most]
        ),
        Figure("  its slope", "MB/h", Goal(MEGABYTES_PER_HOUR, at_most=True), [slope]),
    ]


async def _load(twin: SlackTwin, pid: int, minutes: float) -> tuple[list[tuple[float, float]], int]:
    """Act as people for so long; return (hours, megabytes) now and then, and how many orders."""
    process = psutil.Process(pid)
    samples: list[tuple[float, float]] = []
    begun, orders, looked = time.monotonic(), 0, 0.0
    while (passed := time.monotonic() - begun) < minutes * 60:
        if passed - looked >= EVERY or not samples:
            looked = passed
            samples.append((passed / 3600, process.memory_info().rss / 2**20))
            print(f"{passed:6.0f} s  {samples[-1][1]:6.1f} MB  {orders} orders", flush=True)
        user = ("alice", "bob", "carol")[orders % 3]
        await twin.command(user, "general", "/pao catalog")
        await twin.command(user, "general", "/pao request cache")
        form = await twin.view(user, "request_form")
        await twin.submit(user, form)
        await twin.command(user, "general", "/pao requests")
        orders += 1
    return samples, orders


@asynccontextmanager
async def _service() -> AsyncIterator[str]:
    """A service that makes whatever it is asked for; gives its address."""

    async def make(request: web.Request) -> web.Response:
        return web.json_response({"id": request.path.strip("/")})

    app = web.Application()
    app.router.add_post("/{kind}", make)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def _catalog(folder: Path, url: str) -> str:
    file = folder / "catalog" / "caches" / "cache.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(ITEM.format(url=url))
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-qm", "One")
    return folder.as_uri()


def _pao_run(dsn: str, catalog: str, data: Path, twin: SlackTwin) -> subprocess.Popen[bytes]:
    settings = {
        "PAO_DATABASE_URL": dsn,
        "PAO_CATALOG_URL": catalog,
        "PAO_DATA_DIR": str(data),
        "PAO_ENCRYPTION_KEYS": KEY,
        "PAO_OUTBOUND_ALLOW": "127.0.0.1",
        "PAO_SLACK_API_URL": twin.playground.api_url,
        "SLACK_BOT_TOKEN": twin.playground.bot_token,
        "SLACK_APP_TOKEN": twin.playground.app_token,
    }
    data.mkdir()
    with (data / "pao.log").open("w") as log:
        return subprocess.Popen(
            command("run"), env={**os.environ, **settings}, stdout=log, stderr=log
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    given = parser.parse_args()
    say_errors_only()
    show(asyncio.run(soak(given.minutes)))


if __name__ == "__main__":
    main()
