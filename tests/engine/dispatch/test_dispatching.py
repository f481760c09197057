"""The dispatcher: wakes, starts, stops, survives; and drives one request for who waits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from engine import Engine, RequestView, Submission, Unavailable
from engine.dispatch import loop
from engine.dispatch.apscheduler import PeriodicJobs
from engine.dispatch.base import Dispatcher
from engine.dispatch.drive import drive
from engine.dispatch.periodic import Job, apply_retention, run_job
from engine.dispatch.procrastinate import ProcrastinateJobs
from engine.steps.base import Completed, StepContext, Waiting
from engine.store import execution
from engine.store.pool import Connection, Pool, transaction
from tests.support.engines import ALICE, MANUAL, add_item, automation, config
from tests.support.eventually import eventually
from tests.support.http_server import HttpServer
from tests.support.outage import database_away
from tests.support.services import keeps_the_service_protocol
from tests.support.workbench import Workbench, fail, states, step

LISTENING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'pao-listen'"
    " AND query LIKE 'LISTEN%%' AND state = 'idle'"
)


async def nothing() -> None:
    return


async def test_the_dispatcher_keeps_the_service_protocol(bench: Workbench) -> None:
    await keeps_the_service_protocol(
        lambda: Dispatcher(bench.around, bench.systems, bench.config, nothing)
    )


async def test_periodic_jobs_keep_the_service_protocol(pool: Pool) -> None:
    job = Job("nothing", timedelta(hours=1), nothing)
    await keeps_the_service_protocol(lambda: PeriodicJobs(pool, "me", [job]))


async def test_the_engine_keeps_the_service_protocol(dsn: str, tmp_path: Path) -> None:
    engine = Engine(config(dsn, tmp_path))
    await engine.stop()
    await engine.start()
    await engine.start()
    await engine.stop()
    await engine.stop()


async def test_the_other_dispatcher_keeps_the_service_protocol(bench: Workbench) -> None:
    settings = replace(bench.config, dispatcher="procrastinate")
    await keeps_the_service_protocol(
        lambda: Dispatcher(bench.around, bench.systems, settings, nothing)
    )


async def test_ticks_wake_and_run_the_jobs_and_leave_nothing_behind(
    dsn: str, pool: Pool, connection: Connection
) -> None:
    woken, ran = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        ran.set()

    async def is_gone() -> bool:
        cursor = await connection.execute("SELECT count(*) FROM procrastinate_jobs")
        return await cursor.fetchone() == (0,)

    jobs = ProcrastinateJobs(pool, dsn, "me", [Job("job", timedelta(seconds=1), run)], woken.set)
    await jobs.start()
    async with asyncio.timeout(30):
        await woken.wait()
        await ran.wait()
    await jobs.stop()
    await eventually(is_gone)


async def test_ticks_come_back_when_the_worker_of_procrastinate_lost_its_connections(
    dsn: str, pool: Pool, connection: Connection
) -> None:
    ticks = 0

    def count() -> None:
        nonlocal ticks
        ticks += 1

    jobs = ProcrastinateJobs(pool, dsn, "me", [Job("job", timedelta(seconds=1), nothing)], count)
    await jobs.start()
    await eventually(lambda: ticks > 0, within=30)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'pao-procrastinate'"
    )
    before = ticks
    await eventually(lambda: ticks > before + 1, within=30)
    await jobs.stop()


async def test_the_jobs_of_a_worker_that_is_gone_are_removed(
    dsn: str, pool: Pool, connection: Connection
) -> None:
    await connection.execute(
        "WITH gone AS (INSERT INTO procrastinate_workers (last_heartbeat)"
        "              VALUES (now() - interval '1 hour') RETURNING id)"
        " INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id)"
        " SELECT 'pao', 'pao:tick', 'doing', id FROM gone"
    )

    async def are_removed() -> bool:
        cursor = await connection.execute(
            "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing' AND queueing_lock IS NULL"
        )
        return await cursor.fetchone() == (0,)

    job = Job("job", timedelta(seconds=1), nothing)
    jobs = ProcrastinateJobs(pool, dsn, "me", [job], lambda: None)
    await jobs.start()
    await eventually(are_removed, within=30)
    await jobs.stop()


async def test_a_submission_wakes_a_worker_that_would_not_look_by_itself(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TICK", 3600.0)
    async with bench.carrying():
        await eventually(lambda: bench.one(LISTENING))
        request = await bench.request([step("a")])
        assert (await bench.ended(request)).status == "completed"


async def test_two_workers_share_the_work_and_run_nothing_twice(bench: Workbench) -> None:
    requests = [
        await bench.request([step("a"), step("b"), step("c")], item=f"item-{n}") for n in range(12)
    ]
    async with bench.carrying(), bench.carrying():
        for request in requests:
            assert (await bench.ended(request)).status == "completed"
    assert len(bench.steps.calls) == 36


async def test_a_stop_of_procrastinate_ends_though_an_error_takes_the_place_of_its_cancellation(
    dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = asyncio.Event()

    async def work(_: ProcrastinateJobs) -> None:
        working.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("the heartbeat failed")

    monkeypatch.setattr(ProcrastinateJobs, "_work", work)
    jobs = ProcrastinateJobs(pool, dsn, "me", [], lambda: None)
    await jobs.start()
    await working.wait()
    working.clear()
    async with asyncio.timeout(20):
        await jobs.stop()
    assert not working.is_set()


async def test_losing_every_connection_loses_no_step(bench: Workbench) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def long(_: StepContext) -> Completed:
        begun.set()
        await release.wait()
        return Completed({"kept": True})

    bench.script["a"] = [long]
    request = await bench.request([step("a"), step("b")])
    async with bench.carrying():
        await begun.wait()
        await bench.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        release.set()
        done = await bench.ended(request)
    assert (done.status, done.outputs) == ("completed", {"kept": True})
    assert bench.steps.phases("a") == ["start"]


async def test_a_step_whose_effect_succeeded_in_an_outage_is_written_after_it(
    bench: Workbench, server_dsn: str, dsn: str
) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def long(_: StepContext) -> Completed:
        begun.set()
        await release.wait()
        return Completed({"kept": True})

    bench.script["a"] = [long]
    request = await bench.request([step("a"), step("b")])
    bench.pool.timeout = 0.1
    async with bench.carrying(lease=timedelta(seconds=60)) as carrier:
        await begun.wait()
        async with database_away(server_dsn, dsn):
            release.set()
            await eventually(lambda: carrier.unwritten)
            with capture_logs() as logs:
                await eventually(lambda: [one for one in logs if one["event"] == "database_away"])
            assert carrier.unwritten == 1
        done = await bench.ended(request)
    assert (done.status, done.outputs) == ("completed", {"kept": True})
    assert bench.steps.phases("a") == ["start"]


async def test_a_stop_during_an_outage_does_not_wait_for_the_database(
    bench: Workbench, server_dsn: str, dsn: str
) -> None:
    begun = asyncio.Event()

    async def endless(_: StepContext) -> Completed:
        begun.set()
        await asyncio.Event().wait()
        return Completed()

    bench.script["a"] = [endless]
    await bench.request([step("a")])
    config = replace(
        bench.config, database_outage=timedelta(minutes=5), shutdown_grace=timedelta(0)
    )
    bench.pool.timeout = 0.1
    dispatcher = Dispatcher(bench.around, bench.systems, config, nothing)
    await dispatcher.start()
    await begun.wait()
    async with database_away(server_dsn, dsn), asyncio.timeout(60):
        await dispatcher.stop()


async def test_an_outage_that_lasts_too_long_ends_the_dispatcher_with_the_reason(
    bench: Workbench, server_dsn: str, dsn: str
) -> None:
    config = replace(
        bench.config, database_outage=timedelta(seconds=1), shutdown_grace=timedelta(0)
    )
    bench.pool.timeout = 0.1
    dispatcher = Dispatcher(bench.around, bench.systems, config, nothing)
    await dispatcher.start()
    async with database_away(server_dsn, dsn):
        with pytest.raises(Unavailable):
            await asyncio.wait_for(dispatcher.wait(), 30)
    await dispatcher.stop()


async def test_drive_carries_its_own_request_only_and_shows_how_it_goes(
    bench: Workbench,
) -> None:
    other = await bench.request([step("z")], item="other")
    mine = await bench.request([step("a"), step("b")])
    request_id = await bench.engine._internal_id(mine.request_id)
    shown: list[RequestView] = []
    done = await drive(
        bench.around, bench.systems, bench.config, request_id, on_change=shown.append
    )
    assert done.status == "completed"
    assert shown[-1] == done
    assert states(await bench.view(other)) == {"z": "pending"}


async def test_drive_is_not_held_up_by_what_others_left_due(bench: Workbench) -> None:
    await bench.request([step("z")], item="other")
    bench.script["a"] = [fail(), Completed()]
    policy = {"max_attempts": 2, "initial_delay": "300ms", "backoff_strategy": "fixed"}
    mine = await bench.request([step("a", retry_policy=policy)])
    request_id = await bench.engine._internal_id(mine.request_id)
    view = await drive(bench.around, bench.systems, bench.config, request_id, limit=4.0)
    assert (view.timed_out, view.status) == (False, "completed")


async def test_drive_ends_after_the_ticket_of_a_failure_was_tried(bench: Workbench) -> None:
    bench.script["a"] = [fail(kind="permanent")]
    mine = await bench.request([step("a")])
    request_id = await bench.engine._internal_id(mine.request_id)
    done = await drive(bench.around, bench.systems, bench.config, request_id)
    assert done.status == "failed"
    assert done.steps[0].tickets[0].ticket_id == "T-1"


async def test_the_timeout_of_drive_ends_the_waiting_not_the_request(bench: Workbench) -> None:
    bench.script["a"] = [Waiting(3600.0, {})]
    mine = await bench.request([step("a")])
    request_id = await bench.engine._internal_id(mine.request_id)
    view = await drive(bench.around, bench.systems, bench.config, request_id, limit=1.0)
    assert (view.timed_out, view.status) == (True, "in_progress")
    assert (await bench.view(mine)).status == "in_progress"


async def test_a_job_that_must_be_alone_runs_in_one_process(pool: Pool) -> None:
    ran: list[str] = []

    def job(owner: str) -> Job:
        async def note() -> None:
            ran.append(owner)

        return Job("alone", timedelta(hours=1), note)

    outcomes = await asyncio.gather(*(run_job(pool, f"p{n}", job(f"p{n}")) for n in range(6)))
    assert sum(outcomes) == len(ran) == 1


async def test_a_job_that_fails_runs_again_the_next_time(pool: Pool) -> None:
    rounds: list[int] = []

    async def broken() -> None:
        rounds.append(1)
        raise ValueError("once more")

    jobs = PeriodicJobs(pool, "me", [Job("j", timedelta(milliseconds=20), broken, alone=False)])
    await jobs.start()
    await eventually(lambda: len(rounds) >= 3)
    await jobs.stop()


async def test_retention_removes_what_is_old_of_requests_that_ended(bench: Workbench) -> None:
    async def talk(context: StepContext) -> Completed:
        await context.log("hello\n")
        return Completed()

    bench.script["a"] = [talk]
    await bench.run(await bench.request([step("a")]))
    running = await bench.request(fulfillment={"manual": MANUAL}, item="other")
    for statement in (
        "UPDATE events SET at = at - interval '40 days'",
        "UPDATE attempt_logs SET at = at - interval '40 days'",
    ):
        await bench.connection.execute(statement)
    await apply_retention(bench.pool, timedelta(days=30))
    assert await bench.one("SELECT count(*) FROM attempt_logs") == 0
    left = await bench.one(
        "SELECT string_agg(DISTINCT r.request_id, '') FROM events e"
        " JOIN service_requests r ON r.id = e.request_id"
    )
    assert left == running.request_id


async def test_a_whole_dispatcher_carries_what_people_submit(
    dsn: str, connection: Connection, http_server: HttpServer, tmp_path: Path
) -> None:
    http_server.answer("POST", "/a", status=503, times=1)
    http_server.answer("POST", "/a", json={"id": 1})
    http_server.answer("POST", "/b", status=400)
    http_server.answer("POST", "/tickets", json={"id": "T-9", "status": "open"}, status=201)
    manual = {"system": "webhook", "template": {"url": f"{http_server.url}/tickets"}}
    steps = [
        {"name": name, "type": "HttpPost", "template": {"url": f"{http_server.url}/{name}"}}
        for name in ("a", "b")
    ]
    await add_item(connection, fulfillment={**automation(steps), "manual": manual})
    async with Engine(config(dsn, tmp_path)) as engine:
        dispatcher = engine.dispatcher()
        await dispatcher.start()
        try:
            view = await engine.submit(ALICE, Submission({}, item="database"))

            async def has_ticket() -> bool:
                now = await engine.request(ALICE, view.request_id)
                return [t.ticket_id for s in now.steps for t in s.tickets] == ["T-9"]

            await eventually(has_ticket)
            failed = await engine.request(ALICE, view.request_id)
            assert failed.status == "failed"
            assert [len(one.attempts) for one in failed.steps] == [2, 1]
        finally:
            await dispatcher.stop()


async def test_what_was_taken_over_is_claimed_at_once_by_a_worker_that_sleeps(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TICK", 3600.0)
    request = await bench.request([step("a")])
    async with transaction(bench.pool) as connection:
        await execution.claim(connection, "dead", limit=1, lease=timedelta(0))
    async with bench.carrying():
        await eventually(lambda: bench.one(LISTENING))
        assert await bench.reap() == 1
        assert (await bench.ended(request)).status == "completed"


async def test_what_a_worker_gives_back_is_claimed_at_once_by_another_that_sleeps(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TICK", 3600.0)
    begun = asyncio.Event()

    async def endless(_: StepContext) -> Completed:
        begun.set()
        await asyncio.Event().wait()
        return Completed()

    bench.script["a"] = [endless, Completed()]
    request = await bench.request([step("a")])
    ending = bench.carrier(shutdown_grace=timedelta(0))
    await ending.start()
    await begun.wait()
    async with bench.carrying():
        await eventually(lambda: bench.one(LISTENING + " HAVING count(*) = 2"))
        await ending.stop()
        assert (await bench.ended(request)).status == "completed"
