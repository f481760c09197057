"""What is said again as time passes: approvals, tickets, runs that take long. Time is moved in the database."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from engine.config import EngineConfig
from engine.dispatch.periodic import periodic_jobs, run_job
from engine.requests.reminders import PACE, remind, tell_overruns
from engine.store.pool import Connection, Pool
from tests.support.founding_rows import Rows

RULES = [{"user": "U4"}, {"team": "platform"}]
CHANGED_AT = {"approvals": "requested_at", "manual_tickets": "created_at"}


@pytest.fixture
def rows(connection: Connection) -> Rows:
    return Rows(connection)


async def approval(rows: Rows, request: UUID, **columns: Any) -> UUID:
    values = {
        "request_id": request,
        "key": "k",
        "approvers": RULES,
        "approver_users": ["U4"],
        "approver_teams": ["platform"],
        "needed": 1,
        **columns,
    }
    names = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    found = [Jsonb(value) if name == "approvers" else value for name, value in values.items()]
    statement = f"INSERT INTO approvals ({names}) VALUES ({marks}) RETURNING id"
    return UUID(str(await rows.value(statement, *found)))


async def ticket(rows: Rows, request: UUID, **columns: Any) -> UUID:
    values = {
        "request_id": request,
        "ticket_system": "jira",
        "ticket_id": "OPS-1",
        "ticket_type": "fulfillment",
        "status": "open",
        "summary": "Please",
        **columns,
    }
    names = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    statement = f"INSERT INTO manual_tickets ({names}) VALUES ({marks}) RETURNING id"
    return UUID(str(await rows.value(statement, *values.values())))


async def pass_hours(rows: Rows, table: str, hours: float) -> None:
    """Let everything in a table have happened so much earlier."""
    asked = CHANGED_AT[table]
    await rows.connection.execute(
        f"UPDATE {table} SET {asked} = {asked} - make_interval(hours => %s),"
        " reminded_at = reminded_at - make_interval(hours => %s)".encode(),
        (hours, hours),
    )


@pytest.mark.parametrize(
    ("table", "kind"),
    [("approvals", "approval.reminded"), ("manual_tickets", "ticket.reminded")],
)
async def test_what_waits_is_said_again_at_growing_intervals(
    rows: Rows, pool: Pool, table: str, kind: str
) -> None:
    request = await rows.request(status="in_progress")
    await (approval if table == "approvals" else ticket)(rows, request)
    assert await remind(pool) == 0
    for said, pause in enumerate((4, 8, 16, 32, 64, 72, 72), start=1):
        await pass_hours(rows, table, pause - 1)
        assert await remind(pool) == 0
        await pass_hours(rows, table, 1)
        assert await remind(pool) == 1
        assert [event["times"] for event in await rows.events(kind)][-1] == said


async def test_a_reminder_says_whom_and_what_it_is_about(rows: Rows, pool: Pool) -> None:
    request = await rows.request(status="in_progress")
    await approval(rows, request)
    await ticket(rows, request, ticket_url="https://jira.example.com/OPS-1")
    for table in CHANGED_AT:
        await pass_hours(rows, table, 4)
    await remind(pool)
    assert await rows.events("approval.reminded") == [
        {"step": None, "approvers": RULES, "times": 1, "expires_at": None}
    ]
    assert await rows.events("ticket.reminded") == [
        {
            "ticket_id": "OPS-1",
            "url": "https://jira.example.com/OPS-1",
            "system": "jira",
            "type": "fulfillment",
            "summary": "Please",
            "times": 1,
        }
    ]
    told = "SELECT DISTINCT request_id FROM events WHERE kind LIKE '%%.reminded'"
    assert await rows.all(told) == [request]


async def test_an_approval_that_soon_expires_is_said_again_half_way(rows: Rows, pool: Pool) -> None:
    request = await rows.request()
    id_ = await approval(rows, request)
    await rows.connection.execute(
        "UPDATE approvals SET requested_at = clock_timestamp() - interval '31 min',"
        " expires_at = clock_timestamp() + interval '29 min' WHERE id = %s",
        [id_],
    )
    assert await remind(pool) == 1
    assert await remind(pool) == 0


async def test_what_waits_no_more_is_not_said_again(rows: Rows, pool: Pool) -> None:
    request = await rows.request(status="in_progress")
    for number, status in enumerate(["approved", "rejected", "expired", "withdrawn"]):
        values = {"key": f"k{number}", "status": status}
        await approval(rows, request, **values, ended_at="2020-01-01")
    for number, status in enumerate(["resolved", "closed"]):
        await ticket(rows, request, ticket_id=f"OPS-{number}", status=status)
    for table in CHANGED_AT:
        await pass_hours(rows, table, 1000)
    assert await remind(pool) == 0


async def test_a_ticket_that_nobody_can_say_to_be_done_is_left_alone(
    rows: Rows, pool: Pool
) -> None:
    ended = await rows.request()
    await rows.move(ended, "cancelled")
    mail = await ticket(rows, ended, ticket_type="cleanup", ticket_system="email")
    await pass_hours(rows, "manual_tickets", 4)
    assert await remind(pool) == 0
    await rows.connection.execute(
        "UPDATE manual_tickets SET next_poll_at = clock_timestamp() WHERE id = %s", [mail]
    )
    assert await remind(pool) == 1


async def test_after_the_last_time_there_is_silence(rows: Rows, pool: Pool) -> None:
    request = await rows.request(status="in_progress")
    await ticket(rows, request, reminders=PACE.most)
    await pass_hours(rows, "manual_tickets", 10000)
    assert await remind(pool) == 0


async def test_many_processes_say_it_once(rows: Rows, pool: Pool) -> None:
    request = await rows.request(status="in_progress")
    for number in range(20):
        await ticket(rows, request, ticket_id=f"OPS-{number}")
    await pass_hours(rows, "manual_tickets", 4)
    assert sum(await asyncio.gather(*(remind(pool) for _ in range(5)))) == 20
    assert len(await rows.events("ticket.reminded")) == 20


async def running_update(rows: Rows, estimate: Any, minutes: float) -> UUID:
    """An update that has run for so long."""
    request = await rows.request(
        "update", plan={"targets": {"estimated_duration": estimate} if estimate else {}}
    )
    await rows.move(request, "validating", "in_progress")
    await rows.connection.execute(
        "UPDATE events SET at = at - make_interval(secs => %s)"
        " WHERE request_id = %s AND kind = 'request.started'",
        (minutes * 60, request),
    )
    return request


@pytest.mark.parametrize("estimate", ["10m", "PT10M", 600])
async def test_a_run_that_takes_longer_than_its_document_expects_says_so_once(
    rows: Rows, pool: Pool, estimate: Any
) -> None:
    await running_update(rows, estimate, 9.5)
    assert await tell_overruns(pool) == 0
    late = await running_update(rows, estimate, 10.5)
    assert await tell_overruns(pool) == 1
    assert await tell_overruns(pool) == 0
    assert await rows.events("request.overrunning") == [{"estimated_duration": estimate}]
    told = "SELECT request_id FROM events WHERE kind = 'request.overrunning'"
    assert await rows.all(told) == [late]


async def test_waiting_for_a_window_is_not_running(rows: Rows, pool: Pool) -> None:
    request = await running_update(rows, "10m", 60)
    await rows.connection.execute(
        "UPDATE service_requests SET not_before = clock_timestamp() - interval '5 min' WHERE id = %s",
        [request],
    )
    assert await tell_overruns(pool) == 0


async def test_without_a_readable_estimate_nothing_is_late(rows: Rows, pool: Pool) -> None:
    await running_update(rows, None, 10000)
    await running_update(rows, "a moment", 10000)
    ended = await running_update(rows, "1m", 10000)
    await rows.move(ended, "failed")
    assert await tell_overruns(pool) == 0


async def test_the_periodic_jobs_do_all_of_it(
    rows: Rows, pool: Pool, dsn: str, tmp_path: Any
) -> None:
    await ticket(rows, await rows.request(status="in_progress"))
    await pass_hours(rows, "manual_tickets", 4)
    await running_update(rows, "1m", 5)
    instance = await rows.instance()
    await rows.connection.execute(
        "INSERT INTO eligible_operations (instance_id, operation_type, operation_name,"
        " operation_version, eligibility_status) VALUES (%s, 'upgrade', 'to-2', '2.0.0', 'eligible')",
        [instance],
    )

    async def no_sync() -> None:
        raise AssertionError

    config = EngineConfig(database_url=dsn, data_dir=tmp_path)
    jobs = {job.name: job for job in periodic_jobs(pool, config, no_sync)}
    for name in ("reminders", "digests"):
        assert await run_job(pool, "one", jobs[name])
        assert not await run_job(pool, "another", jobs[name])
    for kind in ("ticket.reminded", "request.overrunning", "operations.eligible"):
        assert len(await rows.events(kind)) == 1
