"""Approval as a step: a sequence that waits for people, who may fill something in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine import Actor, Conflict, Forbidden, InvalidInput, RequestView
from engine.steps.base import Completed
from engine.store import execution
from engine.store.execution import Finish
from engine.store.pool import transaction
from tests.support.engines import ADMIN, ALICE, BOB
from tests.support.eventually import eventually
from tests.support.workbench import Workbench, fail, states, step, step_of

CAROL = Actor("U5", "Carol", None, ("dba",), audit_name="U5")
DAVE = Actor("U6", "Dave", None, ("dba",), audit_name="U6")
WHEN = {"name": "night", "type": "selection", "oneof": ["today", "tomorrow"], "required": True}
KEY = {"name": "token", "type": "secret"}


def agree(**template: Any) -> dict[str, Any]:
    return {
        "name": "agree",
        "type": "approval",
        "template": {"approvers": [{"usergroup": "dba"}], **template},
    }


async def waiting(bench: Workbench, request: RequestView) -> RequestView:
    """The request once its step has asked and holds nothing."""

    async def look() -> RequestView | None:
        view = await bench.view(request)
        held = await bench.one("SELECT count(*) FROM request_steps WHERE lease_owner IS NOT NULL")
        return view if view.approvals and not held else None

    async with bench.carrying():
        found = await eventually(look)
        assert found is not None
        return found


async def test_a_step_waits_without_a_lease_and_goes_on_with_what_was_filled_in(
    bench: Workbench,
) -> None:
    after = step(
        "b",
        template={
            "when": "{{ steps.agree.outputs.night }}",
            "by": "{{ steps.agree.outputs.approved_by }}",
        },
    )
    request = await bench.request(
        [step("a"), agree(message="Size {{ size }}?", fields=[WHEN, KEY]), after]
    )
    view = await waiting(bench, request)
    assert states(view) == {"a": "completed", "agree": "running", "b": "pending"}
    (approval,) = view.approvals
    assert (approval.step, approval.status, approval.message) == ("agree", "waiting", "Size small?")
    assert [field["name"] for field in approval.fields] == ["night", "token"]
    with pytest.raises(InvalidInput) as missing:
        await bench.engine.approve(CAROL, view.request_id)
    assert [error.field for error in missing.value.errors] == ["night"]
    with pytest.raises(InvalidInput):
        await bench.engine.approve(CAROL, view.request_id, fields={"night": "never"})
    filled = {"night": "tomorrow", "token": "s3cret-token"}
    await bench.engine.approve(CAROL, view.request_id, step="agree", fields=filled)
    done = await bench.run(request)
    assert done.status == "completed"
    outputs = step_of(done, "agree").outputs or {}
    assert (outputs["night"], outputs["approved_by"]) == ("tomorrow", "U5")
    assert "s3cret-token" not in str(done)
    assert bench.steps.calls[-1][2].template == {"when": "tomorrow", "by": "U5"}


async def test_a_question_that_names_a_secret_shows_dots_everywhere(bench: Workbench) -> None:
    field = {"name": "why", "type": "string", "label": "Why {{ token }}?"}
    request = await bench.request(
        [agree(message="Rotate {{ token }}?", fields=[field])],
        fields=[KEY],
        parameters={"token": "s3cret-token"},
    )
    view = await waiting(bench, request)
    assert (view.approvals[0].message or "").startswith("Rotate ")
    assert "s3cret-token" not in str(view)
    told = "SELECT string_agg(e::text, '') || (SELECT string_agg(a::text, '') FROM approvals a) FROM events e"
    assert "s3cret-token" not in await bench.one(told)


async def test_ten_thousand_looks_are_not_needed_a_decision_wakes_the_step(
    bench: Workbench,
) -> None:
    request = await bench.request([agree()])
    await waiting(bench, request)
    far = "UPDATE request_steps SET next_run_at = clock_timestamp() + interval '1 hour'"
    await bench.connection.execute(far.encode())
    await bench.engine.approve(CAROL, request.request_id)
    assert (await bench.run(request)).status == "completed"


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_a_decision_during_a_look_makes_another_look_follow_at_once(
    bench: Workbench, decision: str
) -> None:
    """The look saw nothing yet, and the next one of a step that waits long is an hour away."""
    request = await bench.request([agree()])
    await waiting(bench, request)
    await bench.connection.execute("UPDATE request_steps SET next_run_at = clock_timestamp()")
    async with transaction(bench.pool) as connection:
        (one,) = await execution.claim(connection, "w", limit=1, lease=timedelta(seconds=30))
    if decision == "approve":
        await bench.engine.approve(CAROL, request.request_id)
    else:
        await bench.engine.reject(CAROL, request.request_id, reason="not today")
    async with transaction(bench.pool) as connection:
        waits = Finish(one.id, one.lease_token, "waiting", phase="poll", delay=3600.0)
        assert await execution.finish(connection, [waits])
    assert await bench.one("SELECT next_run_at <= clock_timestamp() FROM request_steps")


async def test_several_must_approve_and_each_counts_once(bench: Workbench) -> None:
    request = await bench.request([agree(count=2)])
    view = await waiting(bench, request)
    await bench.engine.approve(CAROL, view.request_id)
    with pytest.raises(Conflict, match="1 of 2"):
        await bench.engine.approve(CAROL, view.request_id)
    await bench.engine.approve(DAVE, view.request_id)
    done = await bench.run(request)
    assert (step_of(done, "agree").outputs or {})["approved_by"] == "U5, U6"


async def test_a_rejection_fails_the_step_for_good_and_asks_for_no_ticket(
    bench: Workbench,
) -> None:
    request = await bench.request([agree(), step("b")])
    view = await waiting(bench, request)
    with pytest.raises(Forbidden):
        await bench.engine.reject(BOB, view.request_id, reason="no")
    await bench.engine.reject(CAROL, view.request_id, reason="not this week")
    failed = await bench.run(request)
    assert states(failed) == {"agree": "failed", "b": "skipped"}
    (attempt,) = step_of(failed, "agree").attempts
    assert attempt.error_type == "approval_rejected"
    assert "not this week" in (attempt.error_message or "")
    assert not step_of(failed, "agree").tickets


async def test_what_was_rejected_cannot_be_resolved_around_the_approvers(
    bench: Workbench,
) -> None:
    request = await bench.request([agree(), step("b")])
    await waiting(bench, request)
    await bench.engine.reject(CAROL, request.request_id, reason="no")
    await bench.run(request)
    with pytest.raises(Conflict, match="did not approve") as refused:
        await bench.engine.resolve(
            ALICE, request.request_id, "agree", outputs={"approved_by": "U5"}
        )
    assert refused.value.code == "not_approved"
    assert (await bench.view(request)).status == "failed"


async def test_a_retry_after_a_rejection_asks_anew(bench: Workbench) -> None:
    request = await bench.request([agree()])
    await waiting(bench, request)
    await bench.engine.reject(CAROL, request.request_id, reason="no")
    await bench.run(request)
    await bench.engine.retry(ALICE, request.request_id, "agree")

    async def asked_again() -> bool:
        view = await bench.view(request)
        return [one.status for one in view.approvals] == ["rejected", "waiting"]

    async with bench.carrying():
        await eventually(asked_again)
        await bench.engine.approve(DAVE, request.request_id)
        assert (await bench.ended(request)).status == "completed"


async def test_its_time_is_over_by_the_databases_clock(bench: Workbench) -> None:
    request = await bench.request([agree(expires="1h")])
    await waiting(bench, request)
    await bench.connection.execute(
        b"UPDATE approvals SET expires_at = clock_timestamp() - interval '1 s'"
    )
    failed = await bench.run(request)
    assert step_of(failed, "agree").attempts[-1].error_type == "approval_expired"


async def test_one_whose_time_is_over_is_not_looked_at_all_the_time_until_it_is_ended(
    bench: Workbench,
) -> None:
    request = await bench.request([agree(expires="1h")])
    await waiting(bench, request)
    await bench.connection.execute(
        b"ALTER TABLE approvals ADD CONSTRAINT check_stuck CHECK (status = 'waiting')"
    )
    await bench.connection.execute(
        b"UPDATE approvals SET expires_at = clock_timestamp() - interval '1 s'"
    )
    await bench.connection.execute(b"UPDATE request_steps SET next_run_at = clock_timestamp()")

    async def waits_again() -> bool:
        query = "SELECT next_run_at > clock_timestamp() + interval '1 s' FROM request_steps"
        return bool(await bench.one(query))

    async with bench.carrying():
        await eventually(waits_again)


async def test_who_asked_does_not_approve_their_own_step(bench: Workbench) -> None:
    request = await bench.request([agree(approvers=[{"team": "payments"}])])
    view = await waiting(bench, request)
    with pytest.raises(Forbidden):
        await bench.engine.approve(ALICE, view.request_id)
    await bench.engine.approve(BOB, view.request_id)
    assert (await bench.run(request)).status == "completed"


async def test_a_step_that_nobody_could_approve_fails_with_the_reason(bench: Workbench) -> None:
    request = await bench.request([agree(approvers=[{"user": "{{ requester.user_id }}"}])])
    failed = await bench.run(request)
    attempt = step_of(failed, "agree").attempts[-1]
    assert attempt.error_type == "nobody_to_approve"
    assert "the requester may not" in (attempt.error_message or "")


async def test_a_lost_worker_asks_no_second_time(bench: Workbench) -> None:
    request = await bench.request([agree()])
    async with transaction(bench.pool) as connection:
        (claim,) = await execution.claim(connection, "doomed", limit=1, lease=bench.config.lease)
        assert claim.step_id == "agree"
    await waiting_after_death(bench, request)
    await bench.connection.execute(
        b"UPDATE request_steps SET phase = 'start', next_run_at = clock_timestamp()"
    )
    await bench.engine.approve(CAROL, request.request_id)
    done = await bench.run(request)
    assert done.status == "completed"
    assert len(done.approvals) == 1


async def waiting_after_death(bench: Workbench, request: RequestView) -> None:
    await bench.connection.execute(
        b"UPDATE request_steps SET lease_expires_at = clock_timestamp() - interval '1 s'"
        b" WHERE lease_owner IS NOT NULL"
    )
    await bench.reap()
    await waiting(bench, request)


async def test_an_abort_withdraws_the_question(bench: Workbench) -> None:
    request = await bench.request([agree()])
    view = await waiting(bench, request)
    aborted = await bench.engine.abort(ALICE, view.request_id, "not needed")
    assert aborted.approvals[0].status == "withdrawn"
    with pytest.raises(Conflict):
        await bench.engine.approve(CAROL, view.request_id)


async def test_two_steps_that_wait_are_told_apart_by_name(bench: Workbench) -> None:
    other = {**agree(), "name": "also", "depends_on": []}
    request = await bench.request([agree(), other])

    async def both() -> bool:
        return len((await bench.view(request)).approvals) == 2

    async with bench.carrying():
        await eventually(both)
        with pytest.raises(InvalidInput, match="agree"):
            await bench.engine.approve(CAROL, request.request_id)
        for name in ("agree", "also"):
            await bench.engine.approve(CAROL, request.request_id, step=name)
        assert (await bench.ended(request)).status == "completed"


async def test_changes_that_a_given_approval_reads_are_asked_about_again(
    bench: Workbench,
) -> None:
    bench.script["b"] = [fail(kind="permanent"), Completed()]
    request = await bench.request([agree(message="Size {{ size }}?", fields=[WHEN]), step("b")])
    await waiting(bench, request)
    await bench.engine.approve(CAROL, request.request_id, fields={"night": "today"})
    failed = await bench.run(request)
    assert failed.status == "failed"
    waits = await bench.engine.resume(ALICE, request.request_id, {"size": "huge"})
    assert waits.status == "failed"
    assert waits.approvals[-1].message == "Size huge?"
    await bench.engine.approve(DAVE, request.request_id, fields={"night": "tomorrow"})
    done = await bench.run(request)
    assert done.status == "completed"
    assert step_of(done, "agree").outputs == {"night": "tomorrow", "approved_by": "U6"}
    assert (await bench.engine.audit_log(ADMIN, target=f"{request.request_id}/agree")).items
