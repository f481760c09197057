"""Approvals of documents: who must agree, how many, in what time, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from engine import Actor, Conflict, Forbidden, InvalidInput, NotFound, RequestView, Submission
from engine.steps.base import Completed
from engine.store.pool import connect
from tests.support.engines import ADMIN, ALICE, BOB, MALLORY, OWNER, add_item
from tests.support.eventually import eventually
from tests.support.workbench import Workbench, fail, states, step

CAROL = Actor("U5", "Carol", None, ("dba",), audit_name="cli:root as U5")
DAVE = Actor("U6", "Dave", None, ("dba", "platform"), audit_name="U6", source="slack")
BY_CAROL: dict[str, Any] = {"approvers": [{"user": "U5"}]}
SIZES = [{"name": "size", "type": "selection", "oneof": ["small", "large"], "default": "small"}]
PERMANENT: dict[str, Any] = {"kind": "permanent"}


async def asked(
    bench: Workbench, approval: Mapping[str, Any], *, actor: Actor = ALICE, **request: Any
) -> RequestView:
    """A request of an item with this `approval`."""
    steps = [step("a")]
    return await bench.request(steps, actor=actor, columns={"approval": approval}, **request)


async def instance_state(bench: Workbench, view: RequestView) -> str:
    return (await bench.engine.instance(ADMIN, view.instance_id or "")).instance_state


async def test_a_request_stays_submitted_until_enough_have_approved(bench: Workbench) -> None:
    rule = {"approvers": [{"usergroup": "@dba"}], "count": 2, "expires": "72h"}
    view = await asked(bench, rule)
    assert view.status == "submitted"
    (approval,) = view.approvals
    assert (approval.status, approval.needed, approval.given) == ("waiting", 2, 0)
    assert approval.approvers == [{"usergroup": "@dba"}]
    assert approval.expires_at is not None
    first = await bench.engine.approve(CAROL, view.request_id, reason="fine with me")
    assert first.status == "submitted"
    assert first.approvals[0].decisions[0].reason == "fine with me"
    second = await bench.engine.approve(DAVE, view.request_id)
    assert second.status == "in_progress"
    assert [(d.approver, d.source, d.acted_as) for d in second.approvals[0].decisions] == [
        ("U5", "cli", "cli:root as U5"),
        ("U6", "slack", "U6"),
    ]
    done = await bench.run(view)
    assert done.status == "completed"
    kinds = [kind for kind in await bench.kinds(view) if kind != "instance.changed"]
    assert kinds[:5] == [
        "request.submitted",
        "approval.requested",
        "approval.given",
        "approval.given",
        "request.validating",
    ]


async def test_who_stands_in_two_rules_counts_once_and_a_second_press_is_told_so(
    bench: Workbench,
) -> None:
    rule = {"approvers": [{"user": "U6"}, {"usergroup": "dba"}, {"team": "platform"}], "count": 2}
    view = await asked(bench, rule)
    await bench.engine.approve(DAVE, view.request_id)
    with pytest.raises(Conflict, match="1 of 2 approvals are given") as told:
        await bench.engine.approve(DAVE, view.request_id)
    assert told.value.code == "already_approved"
    now = await bench.view(view)
    assert now.status == "submitted"
    assert now.approvals[0].given == 1


@pytest.mark.parametrize(
    ("condition", "size", "status"),
    [
        (True, "small", "submitted"),
        (False, "small", "in_progress"),
        ("{{ size == 'large' }}", "large", "submitted"),
        ("size == 'large'", "small", "in_progress"),
        ("requester.team == 'payments'", "small", "submitted"),
        ("size > 3", "small", "submitted"),
    ],
    ids=["always", "never", "holds", "does not hold", "the requester", "cannot be judged: asks"],
)
async def test_the_condition_decides_over_the_values(
    bench: Workbench, condition: object, size: str, status: str
) -> None:
    rule = {**BY_CAROL, "required": condition}
    view = await asked(bench, rule, fields=SIZES, parameters={"size": size})
    assert view.status == status
    assert bool(view.approvals) == (status == "submitted")


async def test_nobody_but_the_approvers_named_decides(bench: Workbench) -> None:
    view = await asked(bench, BY_CAROL)
    for stranger in (BOB, OWNER, ADMIN):
        with pytest.raises(Forbidden, match="U5"):
            await bench.engine.approve(stranger, view.request_id)
    with pytest.raises(NotFound):
        await bench.engine.approve(MALLORY, view.request_id)
    with pytest.raises(Forbidden):
        await bench.engine.reject(BOB, view.request_id, reason="no")
    assert (await bench.engine.request(CAROL, view.request_id)).request_id == view.request_id
    denied = await bench.engine.audit_log(ADMIN, target=view.request_id)
    assert {(line.actor, line.outcome) for line in denied.items} >= {("U2", "denied")}


async def test_who_asks_does_not_approve_unless_the_document_says_so(bench: Workbench) -> None:
    team = {"approvers": [{"team": "payments"}]}
    view = await asked(bench, team)
    with pytest.raises(Forbidden, match="not for who asked"):
        await bench.engine.approve(ALICE, view.request_id)
    assert (await bench.engine.approve(BOB, view.request_id)).status == "in_progress"
    allowed = await asked(bench, {**team, "self_approval": True}, item="other")
    assert (await bench.engine.approve(ALICE, allowed.request_id)).status == "in_progress"


async def test_a_rejection_needs_a_reason_and_cancels(bench: Workbench) -> None:
    view = await asked(bench, BY_CAROL)
    with pytest.raises(InvalidInput) as asked_for:
        await bench.engine.reject(CAROL, view.request_id, reason=" ")
    assert asked_for.value.field == "reason"
    rejected = await bench.engine.reject(CAROL, view.request_id, reason="too large")
    assert rejected.status == "cancelled"
    assert rejected.reason == "Carol rejected it: too large"
    assert rejected.approvals[0].status == "rejected"
    assert await instance_state(bench, view) == "decommissioned"
    with pytest.raises(Conflict, match="it was rejected"):
        await bench.engine.approve(CAROL, view.request_id)


async def test_who_has_approved_may_still_reject(bench: Workbench) -> None:
    view = await asked(bench, {"approvers": [{"team": "dba"}], "count": 2})
    await bench.engine.approve(CAROL, view.request_id)
    rejected = await bench.engine.reject(CAROL, view.request_id, reason="on second thoughts")
    assert rejected.status == "cancelled"
    (decision,) = rejected.approvals[0].decisions
    assert (decision.decision, decision.reason) == ("rejected", "on second thoughts")


async def test_the_audit_log_names_who_acted_as_whom(bench: Workbench) -> None:
    view = await asked(bench, BY_CAROL)
    await bench.engine.approve(CAROL, view.request_id, reason="ok")
    log = await bench.engine.audit_log(ADMIN, target=view.request_id)
    line = next(one for one in log.items if one.action == "request.approve")
    assert (line.actor, line.outcome, line.reason) == ("cli:root as U5", "done", "ok")


async def test_an_approval_expires_by_the_databases_clock_though_no_worker_runs(
    bench: Workbench,
) -> None:
    view = await asked(bench, {**BY_CAROL, "expires": "1h"})
    await _let_time_pass(bench)
    looked_at = await bench.engine.request(ALICE, view.request_id)
    assert looked_at.status == "cancelled"
    assert looked_at.approvals[0].status == "expired"
    assert looked_at.reason == "Nobody approved it in time"
    assert (await bench.kinds(view)).count("approval.expired") == 1


async def test_nobody_approves_after_the_time_is_over(bench: Workbench) -> None:
    view = await asked(bench, {**BY_CAROL, "expires": "1h"})
    await _let_time_pass(bench)
    with pytest.raises(Conflict, match="expired"):
        await bench.engine.approve(CAROL, view.request_id)
    assert (await bench.view(view)).status == "cancelled"


async def test_a_worker_and_a_waiting_command_let_it_expire(bench: Workbench) -> None:
    first = await asked(bench, {**BY_CAROL, "expires": "1h"})
    await _let_time_pass(bench)
    await bench.look_at_gates()
    status = "SELECT status FROM service_requests WHERE request_id = %s"
    assert await bench.one(status, first.request_id) == "cancelled"
    second = await asked(bench, {**BY_CAROL, "expires": "1h"}, item="other")
    await _let_time_pass(bench)
    assert (await bench.engine.drive(second.request_id, timeout=30)).status == "cancelled"


async def test_one_that_cannot_be_ended_holds_up_no_other_and_is_not_tried_without_a_pause(
    bench: Workbench,
) -> None:
    stuck = await asked(bench, {**BY_CAROL, "expires": "1h"})
    other = await asked(bench, {**BY_CAROL, "expires": "1h"}, item="other")
    await _let_time_pass(bench)
    await bench.connection.execute(
        b"ALTER TABLE approvals ADD CONSTRAINT check_stuck"
        b" CHECK (status = 'waiting' OR component IS DISTINCT FROM 'stuck')"
    )
    await bench.connection.execute(
        b"UPDATE approvals SET component = 'stuck' WHERE request_id ="
        b" (SELECT id FROM service_requests WHERE request_id = %s)",
        [stuck.request_id],
    )
    assert not await bench.look_at_gates()
    status = "SELECT status FROM service_requests WHERE request_id = %s"
    assert await bench.one(status, stuck.request_id) == "submitted"
    assert await bench.one(status, other.request_id) == "cancelled"


async def test_cancelling_withdraws_the_question(bench: Workbench) -> None:
    view = await asked(bench, BY_CAROL)
    cancelled = await bench.engine.cancel(ALICE, view.request_id)
    assert cancelled.status == "cancelled"
    assert cancelled.approvals[0].status == "withdrawn"
    assert await bench.engine.waiting_for(CAROL) == []


@pytest.mark.parametrize(
    "rule",
    [
        {"approvers": [{"user": "U1"}]},
        {"approvers": [{"user": "U1"}, {"user": "U5"}], "count": 2},
        {"approvers": [{"team": "small"}]},
    ],
    ids=["the requester alone", "too few", "a team of the requester alone"],
)
async def test_what_nobody_is_left_to_approve_is_refused_with_the_reason(
    bench: Workbench, rule: dict[str, Any]
) -> None:
    bench.config.teams["small"] = frozenset({"U1"})  # type: ignore[index]
    with pytest.raises(Conflict) as refused:
        await asked(bench, rule)
    assert refused.value.code == "nobody_to_approve"
    assert "the requester may not" in str(refused.value)


async def test_a_team_whose_members_are_not_known_counts_as_enough(bench: Workbench) -> None:
    view = await asked(bench, {"approvers": [{"usergroup": "nobody-met-yet"}]})
    assert view.status == "submitted"


async def test_a_dry_run_names_the_approvers_and_keeps_nothing(bench: Workbench) -> None:
    await add_item(bench.connection, approval=BY_CAROL)
    dry = await bench.engine.submit(ALICE, Submission({}, item="database", dry_run=True))
    assert dry.status == "submitted"
    assert dry.approvals[0].approvers == [{"user": "U5"}]
    assert await bench.one("SELECT count(*) FROM approvals") == 0


async def test_two_who_approve_at_the_same_moment_start_it_once(bench: Workbench) -> None:
    for number in range(5):
        rule = {"approvers": [{"team": "dba"}], "count": 2}
        view = await asked(bench, rule, item=f"item-{number}")
        await asyncio.gather(
            bench.engine.approve(CAROL, view.request_id),
            bench.engine.approve(DAVE, view.request_id),
        )
        now = await bench.view(view)
        assert now.status == "in_progress"
        assert (await bench.kinds(view)).count("request.started") == 1


async def test_approving_against_rejecting_ends_in_one_of_them(bench: Workbench) -> None:
    for number in range(5):
        view = await asked(bench, {"approvers": [{"team": "dba"}]}, item=f"item-{number}")
        outcomes = await asyncio.gather(
            bench.engine.approve(CAROL, view.request_id),
            bench.engine.reject(DAVE, view.request_id, reason="no"),
            return_exceptions=True,
        )
        assert sum(isinstance(one, Conflict) for one in outcomes) == 1
        assert (await bench.view(view)).status in ("in_progress", "cancelled")


async def test_approvals_are_pinned_when_the_request_is_made(bench: Workbench) -> None:
    view = await asked(bench, BY_CAROL)
    await add_item(bench.connection, approval={"approvers": [{"user": "U6"}]})
    with pytest.raises(Forbidden, match="U5"):
        await bench.engine.approve(DAVE, view.request_id)
    assert (await bench.engine.approve(CAROL, view.request_id)).status == "in_progress"


# After a failure


async def _failed(bench: Workbench, rule: Mapping[str, Any], size: str = "small") -> RequestView:
    bench.script["a"] = [fail(**PERMANENT), Completed()]
    view = await asked(bench, rule, fields=SIZES, parameters={"size": size})
    if view.status == "submitted":
        await bench.engine.approve(CAROL, view.request_id)
    return await bench.run(view)


async def test_a_retry_keeps_approvals(bench: Workbench) -> None:
    failed = await _failed(bench, BY_CAROL)
    assert (await bench.engine.retry(ALICE, failed.request_id, "a")).status == "in_progress"


async def test_changes_that_the_condition_reads_are_approved_before_it_goes_on(
    bench: Workbench,
) -> None:
    failed = await _failed(bench, {**BY_CAROL, "required": "size == 'large'"})
    waiting = await bench.engine.resume(ALICE, failed.request_id, {"size": "large"})
    assert waiting.status == "failed"
    assert waiting.parameters["size"] == "small"
    (approval,) = waiting.approvals
    assert approval.message == "size: small, now large"
    with pytest.raises(Forbidden):
        await bench.engine.approve(ALICE, failed.request_id)
    went_on = await bench.engine.approve(CAROL, failed.request_id)
    assert went_on.status == "in_progress"
    assert went_on.parameters["size"] == "large"
    done = await bench.run(failed)
    assert done.status == "completed"
    instance = await bench.engine.instance(ALICE, done.instance_id or "")
    assert instance.deployment_parameters == {"size": "large"}


async def test_an_approval_that_deadlocks_is_given_once_more(bench: Workbench) -> None:
    failed = await _failed(bench, {**BY_CAROL, "required": "size == 'large'"})
    await bench.engine.resume(ALICE, failed.request_id, {"size": "large"})
    async with await connect(bench.config.database_url) as other:
        # Who asked last is not the one that gives way.
        await other.execute("SET deadlock_timeout = '1h'")
        await other.execute("BEGIN")
        await other.execute("SELECT FROM service_instances FOR UPDATE")
        approving = asyncio.create_task(bench.engine.approve(CAROL, failed.request_id))
        await eventually(lambda: _somebody_waits(bench))
        await other.execute("SELECT FROM service_requests FOR UPDATE")
        await other.execute("COMMIT")
    went_on = await approving
    assert (went_on.status, went_on.parameters["size"]) == ("in_progress", "large")


async def _somebody_waits(bench: Workbench) -> bool:
    waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return bool(await bench.one(f"{waits} AND datname = current_database())"))


async def test_who_changed_the_parameters_does_not_approve_the_change(bench: Workbench) -> None:
    rule = {"approvers": [{"user": "U2"}, {"user": "U5"}], "required": "size == 'large'"}
    failed = await _failed(bench, rule)
    await bench.engine.resume(BOB, failed.request_id, {"size": "large"})
    with pytest.raises(Forbidden, match="not for who asked"):
        await bench.engine.approve(BOB, failed.request_id)
    assert (await bench.engine.approve(CAROL, failed.request_id)).status == "in_progress"


async def test_a_rejected_change_leaves_the_request_as_it_was(bench: Workbench) -> None:
    failed = await _failed(bench, {**BY_CAROL, "required": "size == 'large'"})
    await bench.engine.resume(ALICE, failed.request_id, {"size": "large"})
    rejected = await bench.engine.reject(CAROL, failed.request_id, reason="no")
    assert rejected.status == "failed"
    assert rejected.parameters["size"] == "small"
    assert rejected.can_resume
    resumed = await bench.engine.resume(ALICE, failed.request_id)
    assert resumed.status == "in_progress"


async def test_a_resume_without_changes_takes_a_waiting_change_back(bench: Workbench) -> None:
    failed = await _failed(bench, {**BY_CAROL, "required": "size == 'large'"})
    await bench.engine.resume(ALICE, failed.request_id, {"size": "large"})
    resumed = await bench.engine.resume(ALICE, failed.request_id)
    assert resumed.status == "in_progress"
    assert resumed.parameters["size"] == "small"
    assert resumed.approvals[-1].status == "withdrawn"
    with pytest.raises(Conflict):
        await bench.engine.approve(CAROL, failed.request_id)


async def test_a_change_that_no_condition_reads_goes_on_at_once(bench: Workbench) -> None:
    failed = await _failed(bench, {**BY_CAROL, "required": True})
    resumed = await bench.engine.resume(ALICE, failed.request_id, {"size": "large"})
    assert resumed.status == "in_progress"


async def test_what_waits_for_whom(bench: Workbench) -> None:
    approval = await asked(bench, {"approvers": [{"team": "dba"}]})
    bench.script["a"] = [fail(**PERMANENT)]
    failing = await bench.run(await bench.request([step("a")], item="other"))
    assert states(failing) == {"a": "failed"}
    for approver in (CAROL, DAVE):
        found = await bench.engine.waiting_for(approver)
        assert [(one.request_id, one.waits_for) for one in found] == [
            (approval.request_id, "approval")
        ]
    mine = await bench.engine.waiting_for(ALICE)
    assert [(one.request_id, one.waits_for) for one in mine] == [(failing.request_id, "failure")]


async def test_what_is_to_be_decided_is_judged_before_anybody_fills_a_form(
    bench: Workbench,
) -> None:
    view = await asked(bench, BY_CAROL)
    due = await bench.engine.approval_to_decide(CAROL, view.request_id)
    assert (due.status, due.needed) == ("waiting", 1)
    with pytest.raises(Forbidden, match="U5"):
        await bench.engine.approval_to_decide(BOB, view.request_id)
    await bench.engine.approve(CAROL, view.request_id)
    with pytest.raises(Conflict):
        await bench.engine.approval_to_decide(CAROL, view.request_id)


async def _let_time_pass(bench: Workbench) -> None:
    await bench.connection.execute(
        b"UPDATE approvals SET expires_at = clock_timestamp() - interval '1 s'"
        b" WHERE status = 'waiting'"
    )
