"""Probes and metrics: everybody learns whether the bot works, its watchers why not and how much."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from starlette.datastructures import Headers
from starlette.requests import Request

from bot.http import Endpoints, http_server
from bot.monitoring import Watchers
from bot.process import running
from bot.slack_metrics import note_ack
from engine import Unavailable
from engine.metrics import Measures, step_turned
from engine.steps.base import Completed, Waiting
from engine.store.measures import measure
from engine.store.pool import Connection, Pool
from tests.support.founding_rows import Rows
from tests.support.workbench import Workbench, fail, step

BROKEN = {"database": None, "catalog": "git.internal.example: refused"}
METRIC = re.compile(r"^(\w+(?:\{[^}]*\})?) (\S+)$", re.MULTILINE)


@asynccontextmanager
async def serving(
    parts: Mapping[str, str | None] = BROKEN, *, measure: Any = None, allowed: tuple[str, ...] = ()
) -> AsyncIterator[aiohttp.ClientSession]:
    async def ready() -> Mapping[str, str | None]:
        return parts

    server = http_server(ready, Endpoints(measure=measure), port=0, watchers=Watchers(allowed))
    async with running(server):
        base = f"http://127.0.0.1:{server.port}"
        async with aiohttp.ClientSession(base) as session:
            yield session


async def figures(session: aiohttp.ClientSession) -> dict[str, float]:
    async with session.get("/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain")
        return {name: float(value) for name, value in METRIC.findall(await answer.text())}


async def test_this_machine_learns_what_is_wrong() -> None:
    async with serving() as session, session.get("/readyz") as answer:
        assert answer.status == 503
        assert await answer.json() == {"database": "ok", "catalog": BROKEN["catalog"]}


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
async def test_whom_a_proxy_speaks_for_learns_only_that_something_is(header: str) -> None:
    for value in ("127.0.0.1", "for=127.0.0.1", "203.0.113.9", "unknown"):
        async with serving() as session:
            async with session.get("/readyz", headers={header: value}) as answer:
                assert answer.status == 503
                assert await answer.json() == {"database": "ok", "catalog": "not ready"}
            async with session.get("/healthz", headers={header: value}) as answer:
                assert answer.status == 200


async def test_who_is_not_allowed_learns_no_reason_and_no_figure(bench: Workbench) -> None:
    only = ("192.0.2.0/24",)
    async with serving(allowed=only, measure=bench.engine.measures) as session:
        async with session.get("/readyz") as answer:
            assert (await answer.json())["catalog"] == "not ready"
        async with session.get("/metrics") as answer:
            assert answer.status == 403
            assert "pao_" not in await answer.text()


@pytest.mark.parametrize(
    ("client", "allowed", "is_watcher"),
    [
        ("10.1.2.3", ("10.0.0.0/8",), True),
        ("10.1.2.3", ("10.1.2.3",), True),
        ("10.1.2.3", ("10.1.2.4", "2001:db8::/32"), False),
        ("2001:db8::1", ("10.0.0.0/8", "2001:db8::/32"), True),
        ("127.0.0.1", (), True),
        ("10.1.2.3", (), False),
        ("127.0.0.1", ("10.0.0.0/8",), False),
    ],
)
def test_watchers_are_addresses_and_networks(
    client: str, allowed: tuple[str, ...], is_watcher: bool
) -> None:
    scope = {"type": "http", "client": (client, 1), "headers": Headers().raw}
    assert Watchers(allowed).include(Request(scope)) is is_watcher


async def test_ready_is_ready() -> None:
    async with serving({"database": None}) as session, session.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"database": "ok"})


async def test_the_figures_of_the_database(
    bench: Workbench, connection: Connection, pool: Pool
) -> None:
    bench.script["a"] = [fail(kind="permanent")]
    bench.script["b"] = [fail(kind="permanent")]
    done = await bench.run(await bench.request([step("a")]))
    assert done.status == "failed"
    await bench.request([step("b")])
    rows = Rows(connection)
    await rows.request("update")
    await connection.execute("DELETE FROM outbox")
    await connection.execute(
        "INSERT INTO outbox (kind, payload, due, key)"
        " VALUES ('none', '{}', now() - interval '1 hour', 'k')"
    )
    await connection.execute(
        "INSERT INTO catalog_sync_status (sync_started_at, sync_completed_at, status,"
        " repository_url, branch, errors, duration_ms) VALUES (now(),"
        " now() - interval '60 s', 'completed', 'u', 'main', '[{}, {}]', 1500)"
    )
    async with serving(measure=bench.engine.measures) as session:
        found = await figures(session)
    assert found["pao_database_up"] == 1
    assert found['pao_requests{status="failed",type="create"}'] == 1
    assert found['pao_requests{status="in_progress",type="create"}'] == 1
    assert found['pao_requests{status="submitted",type="update"}'] == 1
    assert (found["pao_steps_due"], found["pao_steps_running"]) == (1, 0)
    assert found["pao_steps_oldest_due_seconds"] > 0
    assert found["pao_outbox_items"] == 1
    assert found["pao_outbox_lag_seconds"] >= 3600
    assert found["pao_catalog_sync_errors"] == 2
    assert found["pao_catalog_sync_duration_seconds"] == 1.5
    assert 59 < found["pao_catalog_sync_age_seconds"] < 90
    assert found["pao_pool_pool_max"] > 0


async def test_an_empty_installation_has_figures_too(pool: Pool) -> None:
    async def ask() -> Measures:
        return await measure(pool)

    async with serving(measure=ask) as session:
        found = await figures(session)
    assert found["pao_steps_due"] == found["pao_outbox_lag_seconds"] == 0
    assert not any(name.startswith("pao_catalog_sync") for name in found)


async def test_without_a_database_the_process_still_answers() -> None:
    async def away() -> Measures:
        raise Unavailable("The database is away")

    async with serving(measure=away) as session:
        found = await figures(session)
    assert found["pao_database_up"] == 0
    assert "pao_lease_takeovers_total" in found


async def test_many_scrapers_ask_the_database_once() -> None:
    asked = []

    async def ask() -> Measures:
        asked.append(1)
        raise Unavailable("The database is away")

    async with serving(measure=ask) as session:
        for _ in range(5):
            await figures(session)
    assert asked == [1]


async def test_what_a_process_measures_itself() -> None:
    async def away() -> Measures:
        raise Unavailable("The database is away")

    async with serving(measure=away) as session:
        before = await figures(session)
        step_turned("TerraformFile", "completed", 42.0)
        step_turned("TerraformFile", "waiting", 42.0)
        note_ack("view_submission", 0.2)
        after = await figures(session)
    name = 'pao_step_duration_seconds_count{outcome="completed",type="TerraformFile"}'
    assert after[name] == before.get(name, 0) + 1
    assert not any('outcome="waiting"' in name for name in after)
    name = 'pao_slack_ack_seconds_count{kind="view_submission"}'
    assert after[name] == before.get(name, 0) + 1


async def test_jobs_that_nobody_runs_any_more_are_told(
    bench: Workbench, connection: Connection
) -> None:
    assert (await bench.engine.health())["last tick"] is None
    await connection.execute(
        "INSERT INTO leaders (job, next_at, owner, last_run_at)"
        " VALUES ('reminders', now(), 'x', now() - interval '4 min')"
    )
    assert (await bench.engine.health())["last tick"] is None
    await connection.execute("UPDATE leaders SET last_run_at = now() - interval '10 min'")
    assert "10m" in ((await bench.engine.health())["last tick"] or "")


async def test_a_step_is_measured_from_its_first_claim_to_its_end(bench: Workbench) -> None:
    async def away() -> Measures:
        raise Unavailable("The database is away")

    count = 'pao_step_duration_seconds_count{outcome="completed",type="Scripted"}'
    total = 'pao_step_duration_seconds_sum{outcome="completed",type="Scripted"}'
    bench.script["a"] = [Waiting(3600.0, {}), Completed({})]
    request = await bench.request([step("a")])
    async with serving(measure=away) as session, bench.carrying():
        before = await figures(session)
        await bench.when(request, lambda view: view.steps[0].phase == "poll")
        await bench.connection.execute(
            "UPDATE request_steps SET started_at = started_at - interval '1 hour',"
            " next_run_at = clock_timestamp()"
        )
        await bench.ended(request)
        after = await figures(session)
    assert after[count] == before.get(count, 0) + 1
    assert after[total] - before.get(total, 0) >= 3600
    delays = "pao_step_start_delay_seconds_count"
    assert after[delays] >= before[delays] + 2
