"""What happens around a step: order, retries, outputs, verification, the request's end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from engine import SECRET_DOTS
from engine.execution.leftovers import attempts_folder, sweep
from engine.steps.base import Completed, Resource, StepContext, Waiting
from engine.verifications.base import Verdict
from tests.support.engines import ADMIN, ALICE, automation
from tests.support.eventually import eventually
from tests.support.workbench import Workbench, fail, states, step, step_of


async def test_steps_run_in_the_order_of_their_graph(bench: Workbench) -> None:
    request = await bench.request(
        [step("a"), step("b", depends_on=[]), step("c", depends_on=["a", "b"]), step("d")]
    )
    done = await bench.run(request)
    assert done.status == "completed"
    order = [name for _, name, _ in bench.steps.calls]
    assert sorted(order[:2]) == ["a", "b"]
    assert order[2:] == ["c", "d"]


async def test_branches_run_at_the_same_time(bench: Workbench) -> None:
    both = asyncio.Barrier(2)

    async def meet(_: StepContext) -> Completed:
        await both.wait()
        return Completed()

    bench.script["a"] = bench.script["b"] = [meet]
    request = await bench.request([step("a"), step("b", depends_on=[])])
    assert (await bench.run(request)).status == "completed"


async def test_templates_see_outputs_of_earlier_steps_with_their_types(bench: Workbench) -> None:
    bench.script["a"] = [Completed({"port": 5432, "tags": ["x"]})]
    template = {
        "port": "{{ steps.a.outputs.port }}",
        "text": "p{{ steps.a.outputs.port }}-{{ size }}",
        "who": "{{ requester.user_id }} {{ request.id }} {{ instance.name }}",
    }
    request = await bench.request(
        [step("a"), step("b", template=template)], submission={"instance_name": "orders"}
    )
    await bench.run(request)
    rendered = bench.steps.calls[-1][2].template
    assert rendered == {
        "port": 5432,
        "text": "p5432-small",
        "who": f"U1 {request.request_id} orders",
    }


async def test_a_failed_attempt_is_tried_again_and_then_completes(bench: Workbench) -> None:
    bench.script["a"] = [fail("first"), fail("second"), Completed({"id": 1})]
    done = await bench.run(await bench.request([step("a")]))
    only = step_of(done, "a")
    assert done.status == "completed"
    assert [(a.attempt_number, a.status, a.error_message) for a in only.attempts] == [
        (1, "failed", "first"),
        (2, "failed", "second"),
        (3, "completed", None),
    ]


async def test_a_permanent_error_is_not_tried_again(bench: Workbench) -> None:
    bench.script["a"] = [fail("no", kind="permanent", error_type="refused")]
    done = await bench.run(await bench.request([step("a")]))
    assert done.status == "failed"
    assert len(step_of(done, "a").attempts) == 1


async def test_an_error_says_what_to_do(bench: Workbench) -> None:
    bench.script["a"] = [fail("it is locked", do="End the other run", kind="permanent")]
    done = await bench.run(await bench.request([step("a")]))
    assert step_of(done, "a").attempts[0].error_message == "it is locked. End the other run."


async def test_an_exception_that_nobody_foresaw_is_a_failed_attempt(bench: Workbench) -> None:
    bench.script["a"] = [ZeroDivisionError("oh"), Completed()]
    done = await bench.run(await bench.request([step("a")]))
    assert done.status == "completed"
    assert step_of(done, "a").attempts[0].error_type == "ZeroDivisionError"


async def test_dependents_of_a_failed_step_are_skipped_and_the_rest_goes_on(
    bench: Workbench,
) -> None:
    bench.script["a"] = [fail(kind="permanent")]
    request = await bench.request(
        [step("a"), step("b"), step("c"), step("x", depends_on=[]), step("y", depends_on=["x"])]
    )
    done = await bench.run(request)
    assert done.status == "failed"
    assert states(done) == {
        "a": "failed",
        "b": "skipped",
        "c": "skipped",
        "x": "completed",
        "y": "completed",
    }
    assert step_of(done, "c").skip_reason == "dependency"


async def test_a_false_condition_skips_and_dependents_see_none(bench: Workbench) -> None:
    template = {"seen": "{{ steps.a.outputs.id }}"}
    request = await bench.request(
        [step("a", when="{{ size == 'large' }}"), step("b", template=template)]
    )
    done = await bench.run(request)
    assert done.status == "completed"
    assert step_of(done, "a").skip_reason == "condition"
    assert step_of(done, "a").outputs == {}
    assert bench.steps.calls[0][2].template == {"seen": None}


async def test_a_waiting_step_is_polled_until_it_is_done(bench: Workbench) -> None:
    bench.script["a"] = [
        Waiting(0.0, {"job": 1}, job_id="job-1", job_url="http://jobs/1"),
        Waiting(0.01, {"seen": True}),
        Completed({"id": 9}),
    ]
    done = await bench.run(await bench.request([step("a")]))
    assert done.status == "completed"
    assert bench.steps.phases("a") == ["start", "poll", "poll"]
    assert bench.steps.calls[-1][2].external == {"job": 1, "seen": True}
    attempt = step_of(done, "a").attempts[0]
    assert (attempt.external_job_id, attempt.external_job_url) == ("job-1", "http://jobs/1")
    assert len(step_of(done, "a").attempts) == 1


async def test_a_waiting_step_holds_no_lease(bench: Workbench) -> None:
    bench.script["a"] = [Waiting(3600.0, {})]
    request = await bench.request([step("a")])
    async with bench.carrying():
        await bench.when(request, lambda view: view.steps[0].phase == "poll")
        owner = await bench.one("SELECT count(*) FROM request_steps WHERE lease_owner IS NOT NULL")
    assert owner == 0


async def test_verification_that_says_not_yet_is_asked_again(bench: Workbench) -> None:
    bench.verification.script = [
        Verdict(False, "up", "down", again_in=0.0),
        Verdict(True, "up", "up"),
    ]
    bench.script["a"] = [Completed({"id": 1}, evidence={"status": 200})]
    request = await bench.request([step("a", verification={"type": "scripted"})])
    done = await bench.run(request)
    only = step_of(done, "a")
    assert (done.status, only.outputs, len(only.attempts)) == ("completed", {"id": 1}, 1)
    assert bench.steps.phases("a") == ["start"]
    assert only.attempts[0].verification_result == {
        "type": "scripted",
        "expected": "up",
        "actual": "up",
        "verified": True,
    }
    assert "step.verifying" in await bench.kinds(request)


async def test_a_retry_verifies_first_and_starts_again_only_when_contradicted(
    bench: Workbench,
) -> None:
    bench.verification.script = [
        Verdict(False, "up", "down", "it is down"),
        Verdict(False, "up", "down", "it is down"),
        Verdict(True, "up", "up"),
    ]
    bench.script["a"] = [Completed({"id": 1}), Completed({"id": 2})]
    done = await bench.run(await bench.request([step("a", verification=[{"type": "scripted"}])]))
    only = step_of(done, "a")
    assert (done.status, only.outputs) == ("completed", {"id": 2})
    assert bench.steps.phases("a") == ["start", "start"]
    assert only.attempts[0].error_type == "verification_failed"
    assert len(only.attempts) == 2


async def test_an_attempt_that_takes_too_long_fails_with_timeout(bench: Workbench) -> None:
    async def hang(_: StepContext) -> Completed:
        await asyncio.Event().wait()
        return Completed()

    bench.script["a"] = [hang, Completed()]
    done = await bench.run(await bench.request([step("a", timeout="50ms")]))
    assert done.status == "completed"
    assert step_of(done, "a").attempts[0].error_type == "timeout"
    assert bench.steps.phases("a") == ["start", "cancel", "start"]


async def test_the_sequence_timeout_fails_what_runs_and_skips_the_rest(bench: Workbench) -> None:
    bench.script["a"] = [Waiting(3600.0, {})]
    request = await bench.request([step("a"), step("b")], timeout="100ms")
    async with bench.carrying():
        await bench.when(request, lambda view: view.steps[0].phase == "poll")

        async def overdue() -> bool:
            return await bench.reap() > 0

        await eventually(overdue)
        done = await bench.ended(request)
    assert done.status == "failed"
    assert states(done) == {"a": "failed", "b": "skipped"}
    assert step_of(done, "a").attempts[0].error_type == "timeout"
    assert ("cancel", "a") in [(phase, name) for phase, name, _ in bench.steps.calls]


async def test_secret_outputs_are_stored_encrypted_and_used_in_clear(bench: Workbench) -> None:
    bench.script["a"] = [
        Completed({"password": "hunter22", "host": "db"}, sensitive=frozenset({"password"}))
    ]
    template = {"dsn": "db:{{ steps.a.outputs.password }}"}
    request = await bench.request([step("a"), step("b", template=template)])
    done = await bench.run(request)
    assert bench.steps.calls[-1][2].template == {"dsn": "db:hunter22"}
    assert step_of(done, "a").outputs == {"password": SECRET_DOTS, "host": "db"}
    assert step_of(done, "b").attempts[0].parameters == {"dsn": f"db:{SECRET_DOTS}"}
    assert done.secret_outputs == ("password",)
    assert done.outputs == {"password": SECRET_DOTS, "host": "db"}
    dump = await bench.one(
        "SELECT string_agg(s::text, '') || (SELECT string_agg(e::text, '') FROM events e)"
        " || (SELECT string_agg(a::text, '') FROM step_attempts a)"
        " || (SELECT string_agg(i::text, '') FROM service_instances i) FROM request_steps s"
    )
    assert "hunter22" not in dump
    clear = await bench.engine.secret_outputs(ALICE, request.request_id)
    assert clear == {"password": "hunter22"}


async def test_secret_parameters_are_redacted_wherever_a_step_says_them(bench: Workbench) -> None:
    async def leak(context: StepContext) -> Completed:
        await context.log(f"password is {context.template['password']}\n")
        await context.tell("step.progress", {"text": context.template["password"]})
        raise fail(f"refused {context.template['password']}", kind="permanent")

    bench.script["a"] = [leak]
    fields = [{"name": "password", "type": "secret", "required": True}]
    request = await bench.request(
        [step("a", template={"password": "{{ password }}"})],
        parameters={"password": "s3cret-word"},
        fields=fields,
    )
    done = await bench.run(request)
    attempt = step_of(done, "a").attempts[0]
    assert attempt.error_message == f"refused {SECRET_DOTS}"
    assert attempt.parameters == {"password": SECRET_DOTS}
    assert done.parameters == {"password": SECRET_DOTS}
    logs = await bench.engine.logs(ALICE, request.request_id, "a")
    assert [log.text for log in logs] == [f"password is {SECRET_DOTS}\n"]


async def test_the_instance_gets_outputs_and_resources_of_all_steps(bench: Workbench) -> None:
    bench.script["a"] = [Completed({"id": 1, "x": "old"}, resources=[Resource("a.b", "a", "1")])]
    bench.script["b"] = [Completed({"x": "new"}, resources=[Resource("c.d", "c")])]
    done = await bench.run(await bench.request([step("a"), step("b")]))
    instance = await bench.engine.instance(ALICE, done.instance_id or "")
    assert instance.instance_state == "active"
    assert instance.service_outputs == {"id": 1, "x": "new"}
    assert [one["address"] for one in instance.deployed_resources] == ["a.b", "c.d"]


async def test_outputs_over_the_limit_are_a_permanent_failure(bench: Workbench) -> None:
    bench.script["a"] = [Completed({"blob": "x" * (1 << 20)})]
    done = await bench.run(await bench.request([step("a")]))
    assert step_of(done, "a").attempts[0].error_type == "outputs_too_large"
    assert len(step_of(done, "a").attempts) == 1


async def test_text_that_postgresql_cannot_keep_is_mended(bench: Workbench) -> None:
    bench.script["a"] = [Completed({"text": "a\0b\ud800", "number": float("nan")})]
    done = await bench.run(await bench.request([step("a")]))
    assert done.status == "completed"
    assert done.outputs == {"text": "a\ufffdb\ufffd", "number": "nan"}


async def test_events_tell_the_story_in_order(bench: Workbench) -> None:
    bench.script["a"] = [fail("once"), Completed()]
    request = await bench.request([step("a")])
    await bench.run(request)
    assert await bench.kinds(request) == [
        "request.submitted",
        "instance.changed",
        "request.validating",
        "request.started",
        "step.started",
        "step.retrying",
        "step.started",
        "step.completed",
        "request.completed",
        "instance.changed",
    ]


async def test_a_rollback_runs_after_a_failure_for_good(bench: Workbench) -> None:
    bench.script["a"] = [Completed({"id": 5})]
    bench.script["b"] = [fail(kind="permanent")]
    undo = step("undo", template={"id": "{{ steps.a.outputs.id }}"})
    fulfillment = {**automation([step("a"), step("b")]), "rollback": {"steps": [undo]}}
    request = await bench.request(fulfillment=fulfillment)
    done = await bench.run(request)
    assert done.status == "failed"
    assert states(done) == {"a": "completed", "b": "failed", "rollback:undo": "completed"}
    assert bench.steps.calls[-1][2].template == {"id": 5}


async def test_a_rollback_that_is_not_needed_never_runs(bench: Workbench) -> None:
    fulfillment = {**automation([step("a")]), "rollback": {"steps": [step("undo")]}}
    done = await bench.run(await bench.request(fulfillment=fulfillment))
    assert done.status == "completed"
    assert bench.steps.phases("undo") == []


async def test_a_request_is_not_begun_before_its_time(bench: Workbench) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    request = await bench.request([step("a")], submission={"at": later})
    async with bench.carrying():
        other = await bench.request([step("z")], item="other")
        await bench.ended(other)
    assert bench.steps.phases("a") == []
    assert (await bench.view(request)).status == "in_progress"


async def test_nothing_is_claimed_while_paused(bench: Workbench) -> None:
    await bench.engine.pause(ADMIN)
    request = await bench.request([step("a")])
    async with bench.carrying():
        await asyncio.sleep(0)
        assert (await bench.view(request)).steps[0].status == "pending"
        await bench.engine.unpause(ADMIN)
        assert (await bench.ended(request)).status == "completed"


async def test_a_template_that_does_not_render_fails_for_good(bench: Workbench) -> None:
    request = await bench.request([step("a", template={"x": "{{ nothing.like.this }}"})])
    done = await bench.run(request)
    assert step_of(done, "a").attempts[0].error_type == "template_error"
    assert len(step_of(done, "a").attempts) == 1


async def test_many_requests_go_through_at_once(bench: Workbench) -> None:
    requests: list[Any] = [
        await bench.request([step("a"), step("b"), step("c", depends_on=["a"])], item=f"item-{n}")
        for n in range(25)
    ]
    async with bench.carrying():
        for request in requests:
            assert (await bench.ended(request)).status == "completed"
    assert len(bench.steps.calls) == 75


async def test_a_log_that_cannot_be_written_does_not_lose_what_the_step_did(
    bench: Workbench,
) -> None:
    made: list[int] = []

    async def effect(context: StepContext) -> Completed:
        made.append(1)
        await context.log("x" * 40_000)
        return Completed({"made": True})

    await bench.connection.execute("ALTER TABLE attempt_logs ADD CHECK (length(text) < 10)")
    bench.script["a"] = [effect]
    done = await bench.run(await bench.request([step("a")]))
    assert (done.status, done.outputs, made) == ("completed", {"made": True}, [1])


async def test_wrong_properties_of_a_verification_are_an_error_that_names_the_key(
    bench: Workbench,
) -> None:
    class Strict(BaseModel):
        type: str
        codes: list[int]

    bench.verification.model = Strict  # type: ignore[misc]
    bench.script["a"] = [Completed()]
    verification = {"type": "scripted", "codes": "none"}
    failed = await bench.run(await bench.request([step("a", verification=verification)]))
    (attempt,) = step_of(failed, "a").attempts
    assert attempt.error_type == "invalid_template"
    assert "codes" in (attempt.error_message or "")


async def test_folders_that_killed_workers_left_are_removed(bench: Workbench) -> None:
    bench.script["a"] = [Completed()]
    await bench.run(await bench.request([step("a")], item="old"))
    old = await bench.one(
        "UPDATE step_attempts SET completed_at = completed_at - interval '2 h' RETURNING id"
    )
    await bench.run(await bench.request([step("a")], item="new"))
    new = await bench.one("SELECT id FROM step_attempts WHERE id <> %s", old)
    parent = attempts_folder(bench.config.data_dir)
    others = parent / "0c1f0d2e-0000-4000-8000-000000000000", parent / "not-an-id"
    for folder in (parent / str(old), parent / str(new), *others):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    assert await sweep(bench.pool, bench.config.data_dir) == 1
    assert {one.name for one in parent.iterdir()} == {str(new), *(one.name for one in others)}
