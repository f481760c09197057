"""update_request_status: which moves are allowed, and what a move writes down."""

from __future__ import annotations

import itertools
from uuid import uuid4

import psycopg
import pytest

from tests.support.founding_rows import Rows

NEXT = {
    "submitted": {"validating", "cancelled", "failed"},
    "validating": {"in_progress", "cancelled", "failed"},
    "in_progress": {"completed", "failed", "cancelled", "aborted"},
    "failed": {"resuming", "aborted"},
    "resuming": {"in_progress", "failed", "aborted"},
    "completed": set(),
    "cancelled": set(),
    "aborted": set(),
}
PAIRS = list(itertools.product(NEXT, NEXT))
ENDED = {"completed", "failed", "cancelled", "aborted"}


@pytest.mark.parametrize(("before", "after"), PAIRS)
async def test_the_table_decides_about_every_pair(rows: Rows, before: str, after: str) -> None:
    allowed = await rows.value("SELECT is_valid_status_transition(%s, %s)", before, after)

    assert allowed is (after in NEXT[before])


@pytest.mark.parametrize(
    ("before", "after"), [(None, "submitted"), ("submitted", None), (None, None)]
)
async def test_null_is_never_valid(rows: Rows, before: str | None, after: str | None) -> None:
    query = "SELECT is_valid_status_transition(%s::varchar, %s::varchar)"

    assert await rows.value(query, before, after) is False


@pytest.mark.parametrize(("before", "after"), [("submitted", "done"), ("open", "failed")])
async def test_an_unknown_status_raises(rows: Rows, before: str, after: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="Unknown request status"):
        await rows.value("SELECT is_valid_status_transition(%s, %s)", before, after)


@pytest.mark.parametrize(("before", "after"), PAIRS)
async def test_a_request_moves_only_where_the_table_lets_it(
    rows: Rows, before: str, after: str
) -> None:
    request = await rows.request(status=before)
    read = "SELECT status, version, completed_at IS NOT NULL FROM service_requests WHERE id = %s"

    if after in NEXT[before]:
        await rows.move(request, after)
        assert await rows.all(read, request) == [(after, 2, after in ENDED)]
    else:
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            await rows.move(request, after)
        assert refused.value.diag.constraint_name == "check_status_transition"
        assert refused.value.diag.message_primary == (
            f"Invalid status transition from {before} to {after}"
        )
        assert await rows.all(read, request) == [(before, 1, False)]


async def test_an_unknown_request_raises(rows: Rows) -> None:
    with pytest.raises(psycopg.errors.NoDataFound, match="does not exist"):
        await rows.move(uuid4(), "validating")


async def test_a_status_of_null_raises(rows: Rows) -> None:
    request = await rows.request()

    with pytest.raises(psycopg.errors.CheckViolation):
        await rows.value("SELECT update_request_status(%s, NULL)", request)


async def test_leaving_failed_clears_when_it_ended(rows: Rows) -> None:
    request = await rows.request()
    ended = "SELECT completed_at IS NOT NULL FROM service_requests WHERE id = %s"

    await rows.move(request, "validating", "in_progress", "failed")
    assert await rows.value(ended, request)
    await rows.move(request, "resuming")
    assert not await rows.value(ended, request)
    await rows.move(request, "in_progress", "completed")
    assert await rows.value(ended, request)


async def test_resuming_forgets_why_it_failed_and_that_it_was_rolled_back(rows: Rows) -> None:
    request = await rows.request("update", "failed", reason="no", rolled_back=True)

    await rows.move(request, "resuming")

    read = "SELECT reason, rolled_back FROM service_requests WHERE id = %s"
    assert await rows.all(read, request) == [(None, False)]


async def test_each_move_is_told_by_an_event_of_its_own(rows: Rows) -> None:
    request = await rows.request()

    await rows.move(request, "validating", "in_progress", "failed", "resuming", "in_progress")
    await rows.move(request, "completed")

    assert await rows.all(
        "SELECT kind FROM events WHERE request_id = %s AND kind LIKE 'request.%%' ORDER BY id",
        request,
    ) == [
        "request.validating",
        "request.started",
        "request.failed",
        "request.resuming",
        "request.started",
        "request.completed",
    ]


async def test_a_move_that_is_rolled_back_leaves_no_event(rows: Rows) -> None:
    request = await rows.request()

    async with rows.connection.transaction(force_rollback=True):
        await rows.move(request, "validating")

    assert await rows.events("request.validating") == []
    assert await rows.value("SELECT status FROM service_requests") == "submitted"


async def test_a_failure_names_the_first_step_that_failed_and_its_last_error(rows: Rows) -> None:
    request = await rows.request(status="in_progress")
    for position, (step, minute) in enumerate([("late", 2), ("first", 1), ("fine", 0)]):
        status = "completed" if step == "fine" else "failed"
        step_id = await rows.value(
            "INSERT INTO request_steps (request_id, step_id, step_name, step_type, step_config,"
            " status, position, completed_at) VALUES (%s, %s, %s, 'HttpPost', '{}', %s, %s,"
            " make_timestamptz(2030, 1, 1, 0, %s, 0)) RETURNING id",
            request, step, step, status, position, minute,
        )  # fmt: skip
        for attempt in (1, 2):
            await rows.connection.execute(
                "INSERT INTO step_attempts (step_id, attempt_number, status, error_type,"
                " error_message) VALUES (%s, %s, 'failed', 'http', %s)",
                (step_id, attempt, f"{step} {attempt}"),
            )

    await rows.move(request, "failed")

    assert await rows.events("request.failed") == [
        {"step": "first", "error_type": "http", "error_message": "first 2"}
    ]


async def test_a_failure_without_a_step_is_told_by_its_reason(rows: Rows) -> None:
    request = await rows.request(status="validating", reason="no backup provider")

    await rows.move(request, "failed")

    assert await rows.events("request.failed") == [
        {"step": None, "error_type": None, "error_message": "no backup provider"}
    ]


@pytest.mark.parametrize("status", ["cancelled", "aborted"])
async def test_an_end_by_hand_is_told_with_its_reason(rows: Rows, status: str) -> None:
    request = await rows.request(status="in_progress", reason="wrong size")

    await rows.move(request, status)

    assert await rows.events(f"request.{status}") == [{"reason": "wrong size"}]


async def test_listeners_are_woken_by_the_commit(committed: Rows, dsn: str) -> None:
    request = await committed.request()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as listener:
        await listener.execute("LISTEN pao_events")
        async with committed.connection.transaction():
            await committed.move(request, "validating", "in_progress")
        woken = [note.channel async for note in listener.notifies(timeout=5, stop_after=1)]

    assert woken == ["pao_events"]
