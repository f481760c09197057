"""After a failure: retry, resume, resolve, skip; and what is not wanted any more: cancel, abort."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine import Conflict, Forbidden, InvalidInput, NotFound
from engine.steps.base import Completed, Resource, StepContext, Waiting
from engine.verifications.base import Verdict
from tests.support.engines import ADMIN, ALICE, MALLORY, add_item
from tests.support.workbench import Workbench, fail, states, step, step_of

PERMANENT: dict[str, Any] = {"kind": "permanent"}


async def test_retry_opens_a_new_group_and_counts_on(bench: Workbench) -> None:
    bench.script["a"] = [fail(), fail(), fail(), Completed({"id": 1})]
    failed = await bench.run(await bench.request([step("a"), step("b")]))
    assert states(failed) == {"a": "failed", "b": "skipped"}
    await bench.engine.retry(ALICE, failed.request_id, "a")
    done = await bench.run(failed)
    assert done.status == "completed"
    assert [one.attempt_number for one in step_of(done, "a").attempts] == [1, 2, 3, 4]
    assert states(done) == {"a": "completed", "b": "completed"}
    first, last = bench.steps.calls[0][2], bench.steps.calls[3][2]
    assert first.idempotency_key != last.idempotency_key
    assert last.earlier_idempotency_keys == [first.idempotency_key]


@pytest.mark.parametrize("verb", ["retry", "resume"])
async def test_a_new_group_has_a_fresh_budget_of_attempts_and_of_time(
    bench: Workbench, verb: str
) -> None:
    bench.script["a"] = [fail()]
    policy = {"max_attempts": 3, "initial_delay": 0, "max_duration": "1h"}
    failed = await bench.run(await bench.request([step("a", retry_policy=policy)]))
    await bench.connection.execute(
        "UPDATE request_steps SET started_at = started_at - interval '2 hours'"
    )
    if verb == "retry":
        await bench.engine.retry(ALICE, failed.request_id, "a")
    else:
        await bench.engine.resume(ALICE, failed.request_id)
    bench.script["a"] = [fail(), fail(), Completed()]
    done = await bench.run(failed)
    assert done.status == "completed"
    assert [one.status for one in step_of(done, "a").attempts] == ["failed"] * 5 + ["completed"]


async def test_resume_goes_on_from_all_failed_steps(bench: Workbench) -> None:
    bench.script["a"] = [fail(**PERMANENT), Completed()]
    bench.script["b"] = [fail(**PERMANENT), Completed()]
    request = await bench.request([step("a"), step("b", depends_on=[]), step("c")])
    failed = await bench.run(request)
    assert failed.can_resume
    await bench.engine.resume(ALICE, failed.request_id)
    done = await bench.run(request)
    assert set(states(done).values()) == {"completed"}
    assert done.completed_at is not None


async def test_changed_parameters_stay_within_the_limits_of_the_team(bench: Workbench) -> None:
    bench.script["a"] = [fail(**PERMANENT)]
    fields = [
        {"name": "size", "type": "selection", "oneof": ["small", "large"], "default": "small"}
    ]
    limits = [{"teams": list(ALICE.teams), "fields": {"size": ["small"]}}]
    request = await bench.request([step("a")], fields=fields)
    await bench.run(request)
    await add_item(bench.connection, fields=fields, access={"limits": limits})
    with pytest.raises(InvalidInput, match="size"):
        await bench.engine.resume(ALICE, request.request_id, {"size": "large"})


async def test_resume_with_changed_parameters_checks_and_keeps_them(bench: Workbench) -> None:
    bench.script["a"] = [fail(**PERMANENT), Completed()]
    fields = [
        {"name": "size", "type": "selection", "oneof": ["small", "large"], "default": "small"},
        {"name": "token", "type": "secret", "required": True},
    ]
    template = {"size": "{{ size }}", "token": "{{ token }}"}
    request = await bench.request(
        [step("a", template=template)], fields=fields, parameters={"token": "first-secret"}
    )
    await bench.run(request)
    with pytest.raises(InvalidInput):
        await bench.engine.resume(ALICE, request.request_id, {"size": "huge"})
    await bench.engine.resume(ALICE, request.request_id, {"size": "large"})
    done = await bench.run(request)
    assert bench.steps.calls[-1][2].template == {"size": "large", "token": "first-secret"}
    instance = await bench.engine.instance(ALICE, done.instance_id or "")
    assert instance.deployment_parameters["size"] == "large"


async def test_resolve_completes_the_step_with_the_outputs_given(bench: Workbench) -> None:
    bench.script["a"] = [fail(**PERMANENT)]
    template = {"seen": "{{ steps.a.outputs.endpoint }}"}
    request = await bench.request([step("a", outputs=["endpoint"]), step("b", template=template)])
    await bench.run(request)
    with pytest.raises(InvalidInput) as asked:
        await bench.engine.resolve(ALICE, request.request_id, "a")
    assert [error.field for error in asked.value.errors] == ["endpoint"]
    with pytest.raises(InvalidInput, match="Did you mean 'endpoint'"):
        await bench.engine.resolve(
            ALICE, request.request_id, outputs={"endpoint": "x", "endpont": "y"}
        )
    resolved = await bench.engine.resolve(
        ALICE, request.request_id, outputs={"endpoint": "by-hand"}
    )
    assert resolved.status == "in_progress"
    done = await bench.run(request)
    assert done.status == "completed"
    assert bench.steps.calls[-1][2].template == {"seen": "by-hand"}
    assert done.outputs == {"endpoint": "by-hand"}


async def test_resolving_one_of_two_runs_what_can_run_and_fails_again(bench: Workbench) -> None:
    bench.script["a"] = bench.script["b"] = [fail(**PERMANENT)]
    request = await bench.request(
        [
            step("a"),
            step("b", depends_on=[]),
            step("c", depends_on=["a"]),
            step("d", depends_on=["b"]),
        ]
    )
    await bench.run(request)
    await bench.engine.resolve(ALICE, request.request_id, "a")
    again = await bench.run(request)
    assert again.status == "failed"
    assert states(again) == {"a": "completed", "b": "failed", "c": "completed", "d": "skipped"}


async def test_resolving_the_last_step_completes_the_request_at_once(bench: Workbench) -> None:
    bench.script["a"] = [fail(**PERMANENT)]
    request = await bench.request([step("a")])
    await bench.run(request)
    assert (await bench.engine.resolve(ALICE, request.request_id)).status == "completed"
    instance = await bench.engine.instance(ALICE, request.instance_id or "")
    assert instance.instance_state == "active"


async def test_only_admins_skip_and_dependents_see_none(bench: Workbench) -> None:
    bench.script["a"] = [fail(**PERMANENT)]
    template = {"seen": "{{ steps.a.outputs.x }}"}
    request = await bench.request([step("a"), step("b", template=template)])
    await bench.run(request)
    with pytest.raises(Forbidden):
        await bench.engine.skip(ALICE, request.request_id, "a", "not needed")
    with pytest.raises(InvalidInput, match="reason"):
        await bench.engine.skip(ADMIN, request.request_id, "a", " ")
    await bench.engine.skip(ADMIN, request.request_id, "a", "not needed")
    done = await bench.run(request)
    assert done.status == "completed"
    assert step_of(done, "a").skip_reason == "manual"
    assert bench.steps.calls[-1][2].template == {"seen": None}


async def test_skipping_verification_is_for_admins(bench: Workbench) -> None:
    bench.verification.script = [Verdict(False, "up", "down")]
    policy = {"max_attempts": 1}
    request = await bench.request(
        [step("a", verification={"type": "scripted"}, retry_policy=policy)]
    )
    await bench.run(request)
    with pytest.raises(Forbidden):
        await bench.engine.resume(ALICE, request.request_id, skip_verification=True)
    await bench.engine.resume(ADMIN, request.request_id, skip_verification=True)
    assert (await bench.run(request)).status == "completed"


async def test_a_step_that_has_not_failed_cannot_be_retried(bench: Workbench) -> None:
    bench.script["b"] = [fail(**PERMANENT)]
    request = await bench.request([step("a"), step("b")])
    await bench.run(request)
    with pytest.raises(Conflict, match="has not failed"):
        await bench.engine.retry(ALICE, request.request_id, "a")
    with pytest.raises(NotFound, match=r"There is no step 'zz'.*the steps are a"):
        await bench.engine.retry(ALICE, request.request_id, "zz")


async def test_a_foreign_request_cannot_be_touched(bench: Workbench) -> None:
    bench.script["a"] = [fail(**PERMANENT)]
    request = await bench.request([step("a")])
    await bench.run(request)
    for verb in (bench.engine.resume, bench.engine.abort, bench.engine.cancel):
        with pytest.raises(NotFound, match="not yours"):
            await verb(MALLORY, request.request_id)
    assert await bench.one("SELECT count(*) FROM audit_log WHERE outcome = 'denied'") == 3


async def test_cancel_ends_what_was_not_begun(bench: Workbench) -> None:
    request = await bench.request([step("a")])
    cancelled = await bench.engine.cancel(ALICE, request.request_id)
    assert (cancelled.status, states(cancelled)) == ("cancelled", {"a": "skipped"})
    instance = await bench.engine.instance(ALICE, request.instance_id or "")
    assert instance.instance_state == "decommissioned"
    async with bench.carrying():
        other = await bench.request([step("z")], item="other")
        await bench.ended(other)
    assert bench.steps.phases("a") == []


async def test_what_was_begun_cannot_be_cancelled_but_aborted(bench: Workbench) -> None:
    bench.script["a"] = [Waiting(3600.0, {"job": 7})]
    request = await bench.request([step("a"), step("b")])
    async with bench.carrying():
        await bench.when(request, lambda view: view.steps[0].phase == "poll")
        with pytest.raises(Conflict, match="Abort it instead"):
            await bench.engine.cancel(ALICE, request.request_id)
        aborted = await bench.engine.abort(ALICE, request.request_id, "changed my mind")
        assert (aborted.status, aborted.reason) == ("aborted", "changed my mind")
        done = await bench.when(request, lambda view: view.steps[0].status == "failed")
    assert states(done) == {"a": "failed", "b": "skipped"}
    assert step_of(done, "b").skip_reason == "aborted"
    assert step_of(done, "a").attempts[0].error_type == "aborted"
    cancelled = next(context for phase, _, context in bench.steps.calls if phase == "cancel")
    assert cancelled.external["job"] == 7


async def test_abort_interrupts_a_step_in_the_middle_of_its_work(bench: Workbench) -> None:
    begun = asyncio.Event()

    async def hang(_: StepContext) -> Completed:
        begun.set()
        await asyncio.Event().wait()
        return Completed()

    bench.script["a"] = [hang]
    request = await bench.request([step("a")])
    async with bench.carrying():
        await begun.wait()
        await bench.engine.abort(ALICE, request.request_id)
        done = await bench.when(request, lambda view: view.steps[0].status == "failed")
    assert step_of(done, "a").attempts[0].error_type == "aborted"
    assert bench.steps.phases("a") == ["start", "cancel"]
    instance = await bench.engine.instance(ALICE, request.instance_id or "")
    assert instance.instance_state == "failed"


async def test_an_abort_asks_for_a_cleanup_that_lists_what_exists(bench: Workbench) -> None:
    bench.script["a"] = [Completed({}, resources=[Resource("db.main", "db", "db-1")])]
    bench.script["b"] = [fail(**PERMANENT)]
    request = await bench.request([step("a"), step("b")])
    await bench.run(request)
    await bench.engine.abort(ALICE, request.request_id, completion=True)
    while await bench.outbox().work():
        pass
    drafts = {draft.ticket_type: draft for draft in bench.tickets.made.values()}
    assert "db.main db-1" in drafts["cleanup"].description
    assert "Please clean up after" in drafts["cleanup"].description
    assert f"({request.instance_id})" in drafts["cleanup"].description
    assert "b (Scripted)" in drafts["completion"].description


async def test_a_completed_request_takes_no_verb(bench: Workbench) -> None:
    done = await bench.run(await bench.request([step("a")]))
    for verb in (bench.engine.resume, bench.engine.abort, bench.engine.cancel):
        with pytest.raises(Conflict, match="completed"):
            await verb(ALICE, done.request_id)


async def test_the_time_of_the_sequence_begins_anew_on_resume_as_long_as_is_said(
    bench: Workbench,
) -> None:
    bench.script["a"] = [fail(**PERMANENT), fail(**PERMANENT)]
    left = "SELECT extract(epoch FROM timeout_at - clock_timestamp())::float8 FROM service_requests"
    request = await bench.request([step("a")], timeout="30m")
    assert 1700 < await bench.one(left) <= 1800
    await bench.run(request)
    await bench.connection.execute("UPDATE service_requests SET timeout_at = clock_timestamp()")
    await bench.reap()
    assert (await bench.view(request)).reason is None  # it stands still while it has failed
    await bench.engine.resume(ALICE, request.request_id)
    assert 1700 < await bench.one(left) <= 1800
    await bench.run(request)
    await bench.engine.resume(ALICE, request.request_id, sequence_timeout=7200)
    assert 7100 < await bench.one(left) <= 7200


async def test_many_who_resume_at_once_resume_once(bench: Workbench) -> None:
    bench.script["a"] = [fail(**PERMANENT), Completed()]
    request = await bench.request([step("a")])
    await bench.run(request)
    outcomes = await asyncio.gather(
        *(bench.engine.resume(ALICE, request.request_id) for _ in range(6)),
        return_exceptions=True,
    )
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1
    assert all(isinstance(one, Conflict) for one in outcomes if isinstance(one, Exception))
    assert (await bench.run(request)).status == "completed"
    assert bench.steps.phases("a") == ["start", "start"]


async def test_cancel_and_claim_at_once_never_run_half(bench: Workbench) -> None:
    """Whoever comes first wins: either nothing ran and it is cancelled, or it runs to its end."""
    requests = [await bench.request([step("a")], item=f"item-{n}") for n in range(10)]
    async with bench.carrying():
        outcomes = await asyncio.gather(
            *(bench.engine.cancel(ALICE, request.request_id) for request in requests),
            return_exceptions=True,
        )
        for request, outcome in zip(requests, outcomes, strict=True):
            ended = await bench.ended(request)
            expected = "completed" if isinstance(outcome, Conflict) else "cancelled"
            assert ended.status == expected
            assert bool(ended.steps[0].attempts) == (expected == "completed")
