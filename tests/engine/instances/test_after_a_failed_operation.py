"""After a failed update or upgrade: usable or not, worth repeating or not, asked against actual."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from engine.instances import lifecycle
from engine.requests import aftermath
from engine.requests.aftermath import Aftermath
from engine.results import SECRET_DOTS
from engine.store import instances
from tests.support.founding_rows import Rows

SECRET = {"$secret": "5b0c4e0e-5f6f-4a53-9a5c-0d1f6f2f1a11"}


async def failed(rows: Rows, *, type_: str = "upgrade", **columns: Any) -> UUID:
    """A failed request about an instance with a size."""
    instance = await rows.instance(
        "degraded", deployment_parameters={"size": "small", "key": SECRET}
    )
    return await rows.request(type_, "failed", target_instance_id=instance, **columns)


async def a_step(
    rows: Rows, request: UUID, status: str = "failed", *, kind: str = "unknown", **attempt: Any
) -> None:
    step = await rows.value(
        "INSERT INTO request_steps (request_id, step_id, step_name, step_type, step_config, status,"
        " position, attempt_count, waiting_on) SELECT %s, 's' || count(*), 's', 'HttpPost', '{}', %s,"
        " count(*), 1, 0 FROM request_steps RETURNING id",
        request,
        status,
    )
    await rows.value(
        "INSERT INTO step_attempts (step_id, attempt_number, status, error_type, error_kind,"
        " verification_result) VALUES (%s, 1, %s, %s, %s, %s) RETURNING id",
        step,
        status,
        attempt.get("error_type", "broken"),
        kind if status == "failed" else None,
        Jsonb(attempt.get("verification")),
    )


async def found(rows: Rows, request: UUID) -> Aftermath:
    left = await aftermath.of_request(rows.connection, request)
    assert left is not None
    return left


async def test_what_was_never_begun_left_the_service_as_it_was(rows: Rows) -> None:
    left = await found(rows, await failed(rows))

    assert (left.instance_usable, left.update_repeatable) == (True, True)


@pytest.mark.parametrize(
    ("kind", "repeatable"), [("transient", True), ("unknown", True), ("permanent", False)]
)
async def test_the_kind_of_the_error_says_whether_to_repeat(
    rows: Rows, kind: str, repeatable: bool
) -> None:
    request = await failed(rows)
    await a_step(rows, request, kind=kind)

    left = await found(rows, request)

    assert (left.instance_usable, left.update_repeatable) == (True, repeatable)


@pytest.mark.parametrize(
    "attempt",
    [
        {"error_type": "verification_failed"},
        {"error_type": "timeout", "verification": [{"verified": True}, {"verified": False}]},
        {"error_type": "timeout", "verification": {"verified": False}},
    ],
)
async def test_a_service_that_was_found_wrong_is_not_usable(
    rows: Rows, attempt: dict[str, Any]
) -> None:
    request = await failed(rows)
    await a_step(rows, request, **attempt)

    assert not (await found(rows, request)).instance_usable


async def test_what_was_rolled_back_is_usable(rows: Rows) -> None:
    request = await failed(rows, rolled_back=True)
    await a_step(rows, request, error_type="verification_failed")

    assert (await found(rows, request)).instance_usable


@pytest.mark.parametrize(("done", "usable"), [("completed", False), ("skipped", True)])
async def test_half_of_what_destroys_leaves_nothing_usable(
    rows: Rows, done: str, usable: bool
) -> None:
    request = await failed(rows, plan={"destructive": True})
    await a_step(rows, request)
    if done == "completed":
        await a_step(rows, request, "completed")

    assert (await found(rows, request)).instance_usable is usable


async def test_an_instance_that_does_not_fit_will_not_fit_next_time(rows: Rows) -> None:
    request = await failed(rows)
    await rows.value(
        "INSERT INTO events (request_id, kind, data) VALUES (%s, 'check.failed', %s) RETURNING id",
        request,
        Jsonb({"check": "verify_target_compatibility"}),
    )

    assert not (await found(rows, request)).update_repeatable


async def test_asked_is_shown_against_actual_where_they_differ(rows: Rows) -> None:
    asked = {"size": "large", "key": SECRET, "note": "n", "maintenance_window": "tonight"}
    request = await failed(rows, parameters=asked, plan={"to_version": "2.0.0"})

    assert (await found(rows, request)).comparison == {
        "size": {"asked": "large", "actual": "small"},
        "note": {"asked": "n", "actual": None},
        "version": {"asked": "2.0.0", "actual": "1.0.0"},
    }


async def test_secrets_are_compared_as_dots(rows: Rows) -> None:
    other = {"$secret": "6b0c4e0e-5f6f-4a53-9a5c-0d1f6f2f1a11"}
    request = await failed(rows, parameters={"key": other})

    comparison = (await found(rows, request)).comparison

    assert comparison == {"key": {"asked": SECRET_DOTS, "actual": SECRET_DOTS}}


@pytest.mark.parametrize(("type_", "status"), [("update", "completed"), ("decommission", "failed")])
async def test_of_other_requests_there_is_nothing_to_say(
    rows: Rows, type_: str, status: str
) -> None:
    assert await aftermath.of_request(rows.connection, await rows.request(type_, status)) is None


async def test_an_instance_tells_of_the_last_operation_only(rows: Rows) -> None:
    request = await failed(rows, parameters={"size": "large"})
    instance = await rows.value(
        "SELECT target_instance_id FROM service_requests WHERE id = %s", request
    )

    async def view() -> Any:
        row = await instances.instance_row(rows.connection, instance)
        assert row is not None
        return await lifecycle.view(rows.connection, row)

    name = await rows.value("SELECT request_id FROM service_requests WHERE id = %s", request)
    seen = await view()
    assert (seen.failed_request_id, seen.instance_usable) == (name, True)
    assert seen.comparison == {"size": {"asked": "large", "actual": "small"}}

    await rows.request("update", "completed", target_instance_id=instance)

    seen = await view()
    assert (seen.failed_request_id, seen.instance_usable, seen.comparison) == (None, None, {})
