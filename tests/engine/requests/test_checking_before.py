"""What is looked at before the first step: checks, the compatibility of a target, the window."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine import RequestView, Submission, Unavailable
from engine.checks.base import CheckFacts
from engine.requests import windows
from engine.requests.gates import Gates
from engine.steps.base import Completed
from tests.support.engines import ADMIN, ALICE, add_item, automation
from tests.support.http_server import HttpServer
from tests.support.operations import operate
from tests.support.workbench import Workbench, fail, states, step

WINDOW_FIELD = {"name": "maintenance_window", "type": "json"}


async def checking(
    bench: Workbench, *checks: Any, steps: tuple[Any, ...] = (), **request: Any
) -> RequestView:
    return await bench.request(
        list(steps) or [step("a")], pre_execution_checks=list(checks), **request
    )


async def instance(bench: Workbench, view: RequestView) -> str:
    return (await bench.engine.instance(ADMIN, view.instance_id or "")).instance_state


async def ready(bench: Workbench) -> str:
    """An active instance."""
    done = await bench.run(await bench.request([step("made")]))
    assert done.status == "completed"
    return done.instance_id or ""


async def test_each_check_is_told_and_the_steps_follow(bench: Workbench) -> None:
    view = await checking(bench, "scripted", "verify_target_compatibility")
    assert view.status == "validating"
    done = await bench.run(view)
    assert done.status == "completed"
    assert [(c.check, c.passed, c.reason) for c in done.checks] == [
        ("scripted", True, None),
        ("verify_target_compatibility", True, None),
    ]
    kinds = [kind for kind in await bench.kinds(view) if "step" not in kind]
    assert kinds.index("request.validating") < kinds.index("check.passed")
    assert kinds.index("check.passed") < kinds.index("request.started")


async def test_one_that_fails_fails_the_request_without_a_ticket(bench: Workbench) -> None:
    bench.check.script = ["the moon is full"]
    view = await checking(bench, "verify_target_compatibility", "scripted")
    failed = await bench.run(view)
    assert failed.reason == "scripted: the moon is full"
    assert [c.passed for c in failed.checks] == [True, False]
    assert states(failed) == {"a": "pending"}
    assert failed.tickets == []
    assert await bench.one("SELECT count(*) FROM outbox") == 0
    assert await instance(bench, failed) == "failed"


async def test_a_resume_runs_them_again(bench: Workbench) -> None:
    bench.check.script = ["not yet", "not yet either", None]
    view = await checking(bench, "scripted")
    assert (await bench.run(view)).status == "failed"
    resumed = await bench.engine.resume(ALICE, view.request_id)
    assert resumed.status == "resuming"
    again = await bench.run(view)
    assert (again.status, again.reason) == ("failed", "scripted: not yet either")
    await bench.engine.resume(ALICE, view.request_id)
    done = await bench.run(view)
    assert done.status == "completed"
    assert len(bench.check.asked) == 3


async def test_a_driving_command_runs_them(bench: Workbench) -> None:
    await add_item(
        bench.connection,
        fulfillment={
            **automation([]),
            "automation": {
                "pre_execution_checks": ["check_backup_status"],
                "steps": [
                    {"name": "a", "type": "HttpGet", "template": {"url": "http://127.0.0.1:9"}}
                ],
            },
        },
    )
    view = await bench.engine.submit(ALICE, Submission({}, item="database"))
    failed = await bench.engine.drive(view.request_id, timeout=60)
    assert (failed.status, failed.reason) == ("failed", "check_backup_status: no backup provider")


async def test_a_check_that_raises_or_is_unknown_counts_as_failed(bench: Workbench) -> None:
    bench.check.script = [RuntimeError("no luck")]
    failed = await bench.run(await checking(bench, "scripted", "nobody_knows_it"))
    assert failed.checks[0].reason == "no luck"
    assert "nobody_knows_it" in (failed.checks[1].reason or "")


async def test_a_death_in_the_middle_runs_them_again_and_no_late_outcome_is_taken(
    bench: Workbench,
) -> None:
    view = await checking(bench, "scripted")

    async def overtaken(facts: CheckFacts, template: Any) -> str | None:
        """While this one still asks, its lease runs out and another worker asks."""
        await bench.connection.execute(
            b"UPDATE service_requests SET gate_at = clock_timestamp() WHERE gate IS NOT NULL"
        )
        bench.check.script = [None]
        await Gates(bench.pool, bench.around.checks, bench.config).work()
        return "too late"

    bench.check.script = [overtaken]
    await bench.look_at_gates()
    now = await bench.view(view)
    assert now.status == "in_progress"
    assert [c.passed for c in now.checks] == [True]
    assert (await bench.kinds(view)).count("check.passed") == 1


async def test_one_that_is_lost_holds_up_no_other_request(bench: Workbench) -> None:
    bench.check.script = [Unavailable("The database took too long"), None]
    views = [await checking(bench, "scripted") for _ in range(2)]
    assert await bench.look_at_gates()
    now = sorted([(await bench.view(view)).status for view in views])
    assert now == ["in_progress", "validating"]


async def test_one_that_is_lost_leaves_none_of_its_round_running(bench: Workbench) -> None:
    ends: list[str] = []

    async def asking(facts: CheckFacts, template: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ends.append(facts.request_id)

    bench.check.script = [asking, Unavailable("The database took too long")]
    view = await checking(bench, "scripted", "scripted")
    await bench.look_at_gates()
    assert ends == [view.request_id]


async def test_cancelling_while_they_run_wins(bench: Workbench) -> None:
    view = await checking(bench, "scripted")

    async def cancelled(facts: CheckFacts, template: Any) -> None:
        await bench.engine.cancel(ALICE, view.request_id)

    bench.check.script = [cancelled]
    await bench.look_at_gates()
    assert (await bench.view(view)).status == "cancelled"


async def test_nothing_is_checked_while_the_engine_is_paused(bench: Workbench) -> None:
    view = await checking(bench, "scripted")
    await bench.engine.pause(ADMIN)
    assert not await bench.look_at_gates()
    await bench.engine.unpause(ADMIN)
    assert await bench.look_at_gates()
    assert (await bench.view(view)).status == "in_progress"


@pytest.mark.parametrize(
    ("template", "answer", "reason"),
    [
        ({"json_path": "$.status"}, {"status": "completed"}, None),
        ({"json_path": "$.status"}, {"status": "running"}, "the backup's status is 'running'"),
        ({"json_path": "$.at", "max_age": "24h"}, {"at": "now"}, None),
        ({"json_path": "$.at", "max_age": "24h"}, {"at": "2020-01-01T00:00:00Z"}, "may be 1d old"),
        ({"json_path": "$.none"}, {"at": "now"}, "cannot be used"),
        ({"json_path": "$.at", "max_age": "1h"}, {"at": "soon"}, "not the time of a backup"),
    ],
)
async def test_a_backup_is_asked_for(
    bench: Workbench,
    http_server: HttpServer,
    template: dict[str, Any],
    answer: dict[str, Any],
    reason: str | None,
) -> None:
    if answer.get("at") == "now":
        answer = {"at": datetime.now(UTC).isoformat()}
    http_server.answer("GET", "/backups/small", json=answer)
    call = {
        "check": "check_backup_status",
        "template": {"url": http_server.url + "/backups/{{ size }}", **template},
    }
    view = await bench.run(await checking(bench, call))
    assert view.status == ("completed" if reason is None else "failed")
    assert reason is None or reason in (view.checks[0].reason or "")


# Day 2


async def test_a_failed_check_gives_the_instance_back_as_it_was(bench: Workbench) -> None:
    target = await ready(bench)
    bench.check.script = ["no"]
    plan = {
        "fulfillment": {
            **automation([]),
            "automation": {"pre_execution_checks": ["scripted"], "steps": [step("b")]},
        }
    }
    view = await operate(bench, target, "update", ["b"], plan=plan)
    assert (view.status, await instance(bench, view)) == ("validating", "updating")
    failed = await bench.run(view)
    assert (failed.status, await instance(bench, failed)) == ("failed", "active")
    await bench.engine.resume(ALICE, view.request_id)
    assert await instance(bench, view) == "updating"
    again = await bench.run(view)
    assert (again.status, await instance(bench, again)) == ("failed", "active")
    bench.check.script = [None]
    await bench.engine.resume(ALICE, view.request_id)
    assert (await bench.run(view)).status == "completed"


@pytest.mark.parametrize(
    ("targets", "more", "reason"),
    [
        ([{"name": "database", "version_range": ">=2.0.0"}], {}, "outside >=2.0.0"),
        ([{"name": "other", "version_range": ">=1.0.0"}], {}, "not of an item"),
        (
            [{"name": "database", "version_range": "*", "required_parameters": ["zone"]}],
            {},
            "has no zone",
        ),
        (
            [{"name": "database", "version_range": "*"}],
            {"to_version": "0.9.0", "destructive": False},
            "back to 0.9.0",
        ),
        ([{"name": "database", "version_range": "1.x"}], {"to_version": "2.0.0"}, None),
    ],
    ids=["version", "item", "parameter", "downgrade", "fits"],
)
async def test_a_target_is_judged_again_before_the_first_step(
    bench: Workbench, targets: list[Any], more: dict[str, Any], reason: str | None
) -> None:
    target = await ready(bench)
    plan = {"targets": {"catalog_items": targets}, **more}
    view = await operate(bench, target, "upgrade", ["b"], plan=plan)
    if reason is None:
        assert (await bench.run(view)).status == "completed"
        return
    assert view.status == "failed"
    assert reason in (view.reason or "")
    assert view.checks[0].check == "verify_target_compatibility"
    assert await instance(bench, view) == "active"


# Windows


async def test_no_step_is_due_before_its_time_and_the_timeout_counts_from_then(
    bench: Workbench,
) -> None:
    at = datetime.now(UTC) + timedelta(days=1)
    view = await bench.request([step("a")], submission={"at": at}, timeout="30m")
    assert view.status == "in_progress"
    assert view.not_before == at
    assert view.steps[0].next_run_at == at
    assert not await bench.look_at_gates()
    timeout = "SELECT timeout_at FROM service_requests WHERE request_id = %s"
    assert await bench.one(timeout, view.request_id) is None
    await _the_time_has_come(bench)
    done = await bench.run(view)
    assert done.status == "completed"
    until = "SELECT timeout_at - clock_timestamp() < interval '31 min' FROM service_requests"
    assert await bench.one(until)


async def test_a_request_stands_scheduled_until_its_time_has_come(bench: Workbench) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    view = await bench.request([step("a")], submission={"at": later})
    manual = {"manual": {"system": "scripted", "template": {}}}
    by_hand = await bench.request(item="other", fulfillment=manual, submission={"at": later})
    assert [one.stands for one in (view, by_hand)] == ["scheduled", "scheduled"]
    page = await bench.engine.requests(ALICE)
    assert [(one.stands, one.not_before) for one in page.items] == [("scheduled", later)] * 2
    await bench.connection.execute(b"UPDATE service_requests SET gate_at = clock_timestamp()")
    await bench.connection.execute(b"UPDATE service_requests SET not_before = clock_timestamp()")
    while await bench.look_at_gates():
        pass
    assert [one.stands for one in (await bench.engine.requests(ALICE)).items] == [None, None]
    assert (await bench.view(by_hand)).stands is None


async def test_a_resume_that_waits_for_a_later_window_does_not_run_out_of_time(
    bench: Workbench,
) -> None:
    bench.script["a"] = [fail(kind="permanent"), Completed()]
    view = await bench.request([step("a")], fields=[WINDOW_FIELD], timeout="1h")
    assert (await bench.run(view)).status == "failed"
    await bench.connection.execute(
        b"UPDATE service_requests SET timeout_at = timeout_at - interval '1 day'"
    )
    later = {"maintenance_window": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    await bench.engine.resume(ALICE, view.request_id, parameters=later)
    await bench.reap()
    assert states(await bench.view(view)) == {"a": "pending"}
    await _the_time_has_come(bench)
    assert (await bench.run(view)).status == "completed"
    assert await bench.one("SELECT timeout_at > clock_timestamp() FROM service_requests")


async def test_the_parameter_sets_the_window(bench: Workbench) -> None:
    start = datetime.now(UTC) + timedelta(hours=5)
    window = {"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
    view = await bench.request(
        [step("a")], fields=[WINDOW_FIELD], parameters={"maintenance_window": window}
    )
    assert view.not_before == start
    later = start + timedelta(minutes=30)
    second = await bench.request(
        [step("a")],
        fields=[WINDOW_FIELD],
        parameters={"maintenance_window": window},
        submission={"at": later},
    )
    assert second.not_before == later


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        ({"start": "2020-01-01T00:00:00Z", "end": "2020-01-01T01:00:00Z"}, "ended at 2020-01-01"),
        ("2020-01-01T00:00:00+00:00", "has passed"),
        ("at night", "is not a time"),
        ({"start": "2030-01-02T00:00:00Z", "end": "2030-01-01T00:00:00Z"}, "before it begins"),
    ],
)
async def test_a_window_that_has_passed_fails_its_check(
    bench: Workbench, window: Any, reason: str
) -> None:
    view = await checking(
        bench,
        "validate_maintenance_window",
        fields=[WINDOW_FIELD],
        parameters={"maintenance_window": window},
    )
    failed = await bench.run(view)
    assert failed.status == "failed"
    assert reason in (failed.checks[0].reason or "")


async def test_a_window_within_its_grace_still_counts(bench: Workbench) -> None:
    just_now = (datetime.now(UTC) - timedelta(minutes=30)).isoformat()
    view = await checking(
        bench,
        "validate_maintenance_window",
        fields=[WINDOW_FIELD],
        parameters={"maintenance_window": just_now},
    )
    assert (await bench.run(view)).status == "completed"


@pytest.mark.parametrize(("grace", "status"), [(20, "failed"), (40, "completed")])
@pytest.mark.parametrize("is_waited_for", [False, True], ids=["checked", "opened"])
async def test_the_grace_of_a_window_is_a_setting(
    bench: Workbench, grace: int, status: str, is_waited_for: bool
) -> None:
    """It began half an hour ago, when it is checked or when the request is opened."""
    shift = timedelta(days=1) if is_waited_for else timedelta()
    start = datetime.now(UTC) - timedelta(minutes=30) + shift
    view = await checking(
        bench,
        "validate_maintenance_window",
        fields=[WINDOW_FIELD],
        parameters={"maintenance_window": start.isoformat()},
    )
    settings = {"window_grace": timedelta(minutes=grace)}
    if is_waited_for:
        await bench.look_at_gates()
        await bench.connection.execute(
            "UPDATE service_requests SET gate_at = clock_timestamp(),"
            " not_before = not_before - interval '1 day'"
        )
    done = await bench.run(view, **settings)
    assert (done.status, "has passed" in (done.reason or "")) == (status, status == "failed")


async def test_a_window_that_was_missed_is_not_run_afterwards(bench: Workbench) -> None:
    """Every worker was down while it was open."""
    start = datetime.now(UTC) + timedelta(days=1)
    window = {"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
    view = await checking(
        bench,
        "validate_maintenance_window",
        fields=[WINDOW_FIELD],
        parameters={"maintenance_window": window},
    )
    await bench.look_at_gates()
    assert (await bench.view(view)).status == "in_progress"
    await bench.connection.execute(
        b"UPDATE service_requests SET gate_at = clock_timestamp(), not_before = not_before - interval"
        b" '3 days', window_ends_at = window_ends_at - interval '3 days'"
    )
    failed = await bench.run(view)
    assert failed.status == "failed"
    assert "ended at" in (failed.reason or "")
    assert states(failed) == {"a": "pending"}


async def test_a_missed_window_is_changed_on_resume(bench: Workbench) -> None:
    past = {"start": "2020-01-01T00:00:00Z", "end": "2020-01-01T01:00:00Z"}
    view = await checking(
        bench,
        "validate_maintenance_window",
        fields=[WINDOW_FIELD],
        parameters={"maintenance_window": past},
    )
    assert (await bench.run(view)).status == "failed"
    soon = datetime.now(UTC) + timedelta(hours=2)
    changed = {"maintenance_window": {"start": soon.isoformat()}}
    await bench.engine.resume(ALICE, view.request_id, changed)
    await bench.look_at_gates()
    waits = await bench.view(view)
    assert (waits.status, waits.not_before) == ("in_progress", soon)
    assert waits.steps[0].next_run_at == soon


async def test_what_a_team_may_have_is_judged_again_when_it_starts(bench: Workbench) -> None:
    fields = [
        {"name": "size", "type": "selection", "oneof": ["small", "large"], "default": "small"}
    ]
    at = datetime.now(UTC) + timedelta(days=1)
    limits = [{"teams": ["payments"], "fields": {"size": ["small"]}, "max_active": 1}]
    bench.config.teams["payments"] = frozenset({"U1"})  # type: ignore[index]
    large = await bench.request(
        [step("a")], fields=fields, parameters={"size": "large"}, submission={"at": at}
    )
    small = [
        await bench.request([step("a")], fields=fields, submission={"at": at}) for _ in range(2)
    ]
    await add_item(
        bench.connection,
        fields=fields,
        fulfillment=automation([step("a")]),
        access={"limits": limits},
    )
    await _the_time_has_come(bench)
    async with bench.carrying():
        failed = await bench.ended(large)
        assert "size may not be large" in (failed.reason or "")
        ends = [await bench.ended(one) for one in small]
    assert sorted(one.status for one in ends) == ["completed", "failed"]
    reasons = [one.reason for one in ends if one.reason]
    assert reasons == ["limits: the team may have 1 at a time, and has 1"]


async def test_a_request_that_waits_for_its_time_can_be_cancelled_and_aborted(
    bench: Workbench,
) -> None:
    at = datetime.now(UTC) + timedelta(days=1)
    first = await bench.request([step("a")], submission={"at": at})
    assert (await bench.engine.cancel(ALICE, first.request_id)).status == "cancelled"
    target = await ready(bench)
    await bench.connection.execute(b"UPDATE switches SET is_on = FALSE")
    view = await operate(bench, target, "update", ["b"])
    aborted = await bench.engine.abort(ALICE, view.request_id)
    assert aborted.status == "aborted"
    assert await instance(bench, aborted) == "active"


def test_a_time_without_an_offset_is_utc() -> None:
    window = windows.window_of({"maintenance_window": "2030-01-01T00:00"})
    assert window is not None
    assert window.starts == datetime(2030, 1, 1, tzinfo=UTC)
    assert windows.window_of({}) is None


async def _the_time_has_come(bench: Workbench) -> None:
    await bench.connection.execute(
        b"UPDATE service_requests SET gate_at = clock_timestamp(), not_before = clock_timestamp()"
        b" WHERE gate = 'opening'"
    )
