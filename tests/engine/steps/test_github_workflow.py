"""GitHubWorkflow against a server that behaves like GitHub, failures included."""

import asyncio
import base64
import json
import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.responses import JSONResponse, Response

from engine.config import GitHubSettings
from engine.errors import OutboundRefused, StepFailed
from engine.steps.base import Completed, Waiting
from engine.steps.budgets import Budgets
from engine.steps.github import GitHubWorkflow
from engine.verifications.github import ArtifactExists, WorkflowStatus
from tests.support.github_server import TOKEN, GitHubServer, running_github
from tests.support.steps import Context, LeaseGone, services

TEMPLATE = {"repository": "acme/infra", "workflow_id": "deploy.yml", "inputs": {"size": 2}}
INPUTS = ["size", "pao_correlation_id"]


@pytest.fixture
async def github():
    async with running_github() as server:
        server.workflow("deploy.yml", INPUTS, run_name_shows="pao_correlation_id")
        yield server


class Clock:
    """A clock that goes on when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def services_of(outbound, tmp_path, github, clock):
    def make(**settings):
        given = GitHubSettings(api_url=github.url, **({"token": TOKEN} | settings))
        return services(outbound, tmp_path, github=given, budgets=Budgets(clock))

    return make


@pytest.fixture
def step(services_of) -> GitHubWorkflow:
    return GitHubWorkflow(services_of())


async def failure(call) -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        await call
    return caught.value


async def wait(call, context: Context) -> Waiting:
    """Make a turn that ends in a wait, and keep what it tells as the engine does."""
    outcome = await call(context)
    assert isinstance(outcome, Waiting)
    context.external = {**context.external, **outcome.external}
    return outcome


async def until_done(step: GitHubWorkflow, context: Context, turns: int = 30) -> Completed:
    for _ in range(turns):
        outcome = await step.poll(context)
        if isinstance(outcome, Completed):
            return outcome
        context.external = {**context.external, **outcome.external}
    raise AssertionError("it waits for ever")


async def test_a_run_is_dispatched_followed_and_its_outputs_are_taken(step, github) -> None:
    context = Context(TEMPLATE)
    first = await wait(step.start, context)
    (run,) = github.runs
    assert (first.job_id, first.job_url) == (str(run.id), github._link(run))
    assert run.inputs["size"] == "2"
    for status in ("queued", "in_progress", "some_word_of_the_future"):
        run.status = status
        await wait(step.poll, context)
    run.end("success")
    github.artifact(run, "logs", {"a.txt": b"x"})
    github.artifact(run, "outputs", {"outputs.json": b'{"endpoint": "db:5432"}'})
    done = await until_done(step, context)
    assert done.outputs == {
        "run_id": run.id,
        "url": github._link(run),
        "conclusion": "success",
        "artifacts": ["logs", "outputs"],
        "endpoint": "db:5432",
    }
    assert len(github.dispatched) == 1


async def test_declared_outputs_are_found_by_their_paths(step, github) -> None:
    context = Context(TEMPLATE, config={"outputs": {"host": "$.db.host", "run": "$.run_id"}})
    await wait(step.start, context)
    (run,) = github.runs
    run.end("success")
    github.artifact(run, "outputs", {"outputs.json": b'{"db": {"host": "h"}}'})
    assert (await until_done(step, context)).outputs == {"host": "h", "run": run.id}


async def test_polls_grow_and_cost_nothing_while_nothing_changes(step, github) -> None:
    context = Context(TEMPLATE)
    await wait(step.start, context)
    delays = [(await wait(step.poll, context)).delay for _ in range(10)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (5.0, 60.0)
    assert github.not_modified == 9


async def test_an_older_server_that_refuses_the_key_is_asked_once_only(step, github) -> None:
    github.refuses_details = True
    for key in ("key-1", "key-2"):
        context = Context(TEMPLATE, idempotency_key=key)
        await wait(step.start, context)
        github.runs[-1].end("success")
        assert (await until_done(step, context)).outputs["run_id"] == github.runs[-1].id
    assert len(github.calls("POST", "/dispatches")) == 3
    assert len(github.dispatched) == 2


async def test_each_of_many_dispatched_in_one_second_finds_its_own_run(step, github) -> None:
    github.knows_details = False
    contexts = [Context(TEMPLATE, idempotency_key=f"key-{number}") for number in range(20)]
    await asyncio.gather(*(wait(step.start, context) for context in contexts))
    for run in github.runs:
        run.end("success")
    for context in contexts:
        found = (await until_done(step, context)).outputs["run_id"]
        mine = context.external["github"]
        (run,) = [one for one in github.runs if one.id == found]
        assert run.inputs["pao_correlation_id"] in run.title
        assert mine["run_id"] == found
    assert len({context.external["github"]["run_id"] for context in contexts}) == 20


async def test_a_run_that_appears_late_is_waited_for(step, github) -> None:
    github.knows_details = github.lists_new_runs = False
    context = Context(TEMPLATE)
    await wait(step.start, context)
    await wait(step.poll, context)
    github.begin("deploy.yml", "somebody else's", "main", {}).listed = True
    await wait(step.poll, context)
    github.runs[0].listed = True
    github.runs[0].end("success")
    assert (await until_done(step, context)).outputs["run_id"] == 1


async def test_a_run_that_never_appears_is_not_dispatched_again(step, github) -> None:
    github.knows_details = github.lists_new_runs = False
    context = Context(TEMPLATE)
    await wait(step.start, context)
    error = await failure(until_done(step, context, 60))
    assert (error.error_type, error.kind) == ("run_not_found", "permanent")
    assert len(github.dispatched) == 1


class TestWithoutACorrelation:
    """A workflow that declares no input for it, on a server that does not tell the run."""

    @pytest.fixture(autouse=True)
    def _workflow(self, github: GitHubServer) -> None:
        github.workflow("deploy.yml", ["size"])
        github.knows_details = False

    async def test_the_only_run_of_that_time_is_taken_once_it_stays_the_only_one(
        self, step, github
    ) -> None:
        github.begin("deploy.yml", "older", "main", {}).created -= timedelta(minutes=3)
        github.begin("deploy.yml", "another branch", "dev", {})
        context = Context(TEMPLATE)
        await wait(step.start, context)
        github.runs[-1].end("success")
        assert (await until_done(step, context)).outputs["run_id"] == 3

    async def test_two_candidates_are_an_error_and_not_a_guess(self, step, github) -> None:
        context = Context(TEMPLATE)
        await wait(step.start, context)
        github.begin("deploy.yml", "somebody else's", "main", {})
        error = await failure(step.poll(context))
        assert (error.error_type, error.kind) == ("ambiguous_run", "permanent")

    async def test_a_lost_answer_is_a_permanent_failure(self, step, github) -> None:
        github.fault("POST", "/dispatches", lose_answer=True)
        context = Context(TEMPLATE)
        error = await failure(step.start(context))
        assert (error.error_type, error.kind) == ("outcome_unknown", "permanent")
        again = await failure(step.start(context))
        assert again.error_type == "outcome_unknown"
        assert len(github.dispatched) == 1


async def test_a_lost_answer_leads_to_the_run_that_was_started(step, github) -> None:
    github.fault("POST", "/dispatches", lose_answer=True)
    context = Context(TEMPLATE)
    await wait(step.start, context)
    github.runs[0].end("success")
    assert (await until_done(step, context)).outputs["run_id"] == 1
    assert len(github.dispatched) == 1


async def test_after_20_seconds_without_the_run_it_is_dispatched_again(step, github) -> None:
    github.fault("POST", "/dispatches", Response(status_code=502))
    context = Context(TEMPLATE)
    waits = [await wait(step.start, context)]
    while not github.dispatched:
        waits.append(await wait(step.poll, context))
    assert 20 <= sum(one.delay for one in waits[:-1]) < 40
    github.runs[0].end("success")
    assert (await until_done(step, context)).outputs["run_id"] == 1


async def test_a_worker_that_died_after_the_dispatch_is_followed_by_one_that_finds_it(
    step, github
) -> None:
    github.fault("POST", "/dispatches", lose_answer=True)
    context = Context(TEMPLATE)
    await step.start(context)  # what it returned was never written down
    assert context.external["github"]["sent"]
    await wait(step.start, context)
    github.runs[0].end("success")
    assert (await until_done(step, context)).outputs["run_id"] == 1
    assert len(github.dispatched) == 1


async def test_a_worker_that_lost_its_lease_dispatches_nothing(step, github) -> None:
    with pytest.raises(LeaseGone):
        await step.start(Context(TEMPLATE, lost_after=0))
    assert github.dispatched == []


async def test_a_failed_run_is_started_anew_by_the_next_attempt(step, github) -> None:
    context = Context(TEMPLATE)
    await wait(step.start, context)
    github.runs[0].end("failure")
    error = await failure(until_done(step, context))
    assert (error.error_type, error.kind) == ("workflow_failed", "unknown")
    assert error.details["job"] == "apply"
    assert error.details["job_url"].endswith("/runs/1/j")
    context.attempt_number = 2
    await wait(step.start, context)
    github.runs[1].end("success")
    assert (await until_done(step, context)).outputs["run_id"] == 2
    one, other = (run.inputs["pao_correlation_id"] for run in github.runs)
    assert one != other


async def test_a_manual_retry_starts_a_run_of_its_own(step, github) -> None:
    context = Context(TEMPLATE)
    await wait(step.start, context)
    context.idempotency_key = "key-2"
    await wait(step.start, context)
    assert [run.id for run in github.runs] == [1, 2]


@pytest.mark.parametrize("conclusion", ["cancelled", "startup_failure", "action_required", "new"])
async def test_what_somebody_decided_is_not_tried_again(step, github, conclusion: str) -> None:
    context = Context(TEMPLATE)
    await wait(step.start, context)
    github.runs[0].end(conclusion)
    assert (await failure(until_done(step, context))).kind == "permanent"


@pytest.mark.parametrize(
    ("response", "at_least"),
    [
        (JSONResponse({}, 429, {"retry-after": "90"}), 90),
        (JSONResponse({}, 403, {"retry-after": "30"}), 30),
        (
            JSONResponse(
                {},
                403,
                {
                    "x-ratelimit-remaining": "0",
                    "x-ratelimit-reset": str(int(time.time()) + 1000),
                },
            ),
            "the reset",
        ),
        (JSONResponse({"message": "You have exceeded a secondary rate limit."}, 403), 60),
        (JSONResponse({}, 429), 60),
    ],
)
@pytest.mark.parametrize("part", ["/dispatches", "/workflows/deploy.yml", "/actions/runs/1"])
async def test_a_limit_only_postpones(step, github, clock, response, at_least, *, part) -> None:
    context = Context(TEMPLATE)
    github.fault("GET" if part != "/dispatches" else "POST", part, response)
    waits = [await wait(step.start, context)]
    github.runs and github.runs[0].end("success")
    while True:
        clock.now += waits[-1].delay
        outcome = await step.poll(context)
        if isinstance(outcome, Completed):
            break
        waits.append(outcome)
        context.external = {**context.external, **outcome.external}
        github.runs[0].end("success")
    longest = max(one.delay for one in waits)
    assert 100 < longest <= 1000 if at_least == "the reset" else longest == at_least
    assert len(github.dispatched) == 1


class TestSharedLimits:
    """What one step is told about a limit, all steps of the process heed."""

    LIMIT = JSONResponse({}, 429, {"retry-after": "90"})

    @pytest.fixture
    def shared(self, services_of):
        return services_of()

    async def test_the_others_wait_as_long_and_ask_nothing(self, shared, github, clock) -> None:
        first, second = GitHubWorkflow(shared), GitHubWorkflow(shared)
        followed = Context(TEMPLATE, idempotency_key="followed")
        await wait(second.start, followed)
        github.fault("POST", "/dispatches", self.LIMIT)
        await wait(first.start, Context(TEMPLATE))
        asked = len(github.received)
        clock.now += 30
        assert (await wait(second.start, Context(TEMPLATE, idempotency_key="other"))).delay == 60
        assert (await wait(second.poll, followed)).delay == 60
        assert len(github.received) == asked
        clock.now += 60
        await wait(second.start, Context(TEMPLATE, idempotency_key="other"))
        assert len(github.dispatched) == 2

    async def test_the_last_call_of_the_hour_is_a_limit_too(self, shared, github) -> None:
        reset = str(int(time.time()) + 1000)
        spent = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
        github.fault("GET", "/actions/runs/1", JSONResponse({"id": 1}, headers=spent))
        step, context = GitHubWorkflow(shared), Context(TEMPLATE)
        await wait(step.start, context)
        assert (await wait(step.poll, context)).delay == 5
        assert 900 < (await wait(step.poll, context)).delay <= 1000

    async def test_a_verification_waits_and_uses_up_no_attempt(self, shared, github, clock) -> None:
        github.fault("POST", "/dispatches", self.LIMIT)
        await wait(GitHubWorkflow(shared).start, Context(TEMPLATE))
        check = WorkflowStatus(shared)
        model = WorkflowStatus.model.model_validate({"type": "workflow_status"})
        run = github.begin("deploy.yml", "", "main", {})
        run.end("success")
        evidence = {"repository": "acme/infra", "run_id": run.id, "conclusion": "failure"}
        result = Completed(evidence=evidence)
        assert (await check.check(Context({}), model, result)).again_in == 90
        clock.now += 90
        github.fault("GET", "/actions/runs", Response(status_code=503))
        assert (await check.check(Context({}), model, result)).again_in == 30
        assert (await check.check(Context({}), model, result)).verified

    async def test_an_installation_has_a_limit_of_its_own(self, services_of, github, key) -> None:
        shared = services_of(token=None, app_id="42", app_key=pem(key))
        for _ in range(2):
            github.fault("GET", "/installation", JSONResponse({"id": 7}))
            github.fault("POST", "/app/installations/7", JSONResponse({"token": TOKEN}, 201))
        github.fault("POST", "/dispatches", self.LIMIT)
        step = GitHubWorkflow(shared)
        assert (await wait(step.start, Context(TEMPLATE))).delay == 90
        other = Context(TEMPLATE | {"repository": "other/infra"})
        assert (await failure(step.start(other))).error_type == "http_404"

    async def test_a_limit_on_the_way_to_a_token_only_postpones(
        self, services_of, github, key
    ) -> None:
        step = GitHubWorkflow(services_of(token=None, app_id="42", app_key=pem(key)))
        github.fault("GET", "/installation", self.LIMIT)
        assert (await wait(step.start, Context(TEMPLATE))).delay == 90


@pytest.mark.parametrize("status", [500, 502, 503, 404])
async def test_a_poll_that_fails_only_postpones(step, github, status: int) -> None:
    context = Context(TEMPLATE)
    await wait(step.start, context)
    github.fault("GET", "/actions/runs/1", Response(status_code=status), times=3)
    github.fault("GET", "/actions/runs/1", lose_answer=True)
    github.fault("GET", "/actions/runs/1", Response("<html>"))
    for _ in range(5):
        await wait(step.poll, context)
    github.runs[0].end("success")
    assert (await until_done(step, context)).outputs["conclusion"] == "success"


async def test_a_failure_while_the_end_is_read_forgets_nothing(step, github) -> None:
    context = Context(TEMPLATE)
    await wait(step.start, context)
    github.runs[0].end("success")
    github.artifact(github.runs[0], "outputs", {"outputs.json": b'{"a": 1}'})
    github.fault("GET", "/artifacts", Response(status_code=503))
    await wait(step.poll, context)
    assert (await until_done(step, context)).outputs["a"] == 1


async def test_a_run_that_vanishes_ends_the_step(step, github) -> None:
    context = Context(TEMPLATE)
    await wait(step.start, context)
    github.runs.clear()
    error = await failure(until_done(step, context))
    assert (error.error_type, error.kind) == ("run_vanished", "permanent")


@pytest.mark.parametrize(
    ("change", "status", "hint"),
    [
        ({"workflow_id": "gone.yml"}, 404, "names"),
        ({"inputs": {"colour": "red"}}, 422, "Unexpected inputs"),
    ],
)
async def test_what_github_refuses_is_told_in_its_words(step, change, status, hint) -> None:
    error = await failure(step.start(Context(TEMPLATE | change)))
    assert (error.error_type, error.kind) == (f"http_{status}", "permanent")
    assert hint in str(error)


async def test_a_refused_dispatch_may_be_tried_again(step, github) -> None:
    github.fault("POST", "/dispatches", Response(status_code=503))
    context = Context(TEMPLATE)
    assert (await failure(step.start(context))).kind == "transient"
    await wait(step.start, context)
    assert len(github.dispatched) == 1


@pytest.mark.parametrize("repository", ["acme", "acme/../x", "a/b/c", "https://x/y"])
async def test_a_repository_is_an_owner_and_a_name(step, github, repository: str) -> None:
    error = await failure(step.start(Context(TEMPLATE | {"repository": repository})))
    assert (error.error_type, error.kind) == ("invalid_template", "permanent")
    assert github.received == []


class TestArtifacts:
    """What is taken from the artifacts of a run, and what is refused."""

    async def outcome(self, step, github, *artifacts, **more):
        context = Context(TEMPLATE)
        await wait(step.start, context)
        for name, files in artifacts:
            github.artifact(github.runs[0], name, files, **more)
        github.runs[0].end("success")
        return await until_done(step, context)

    async def test_the_token_does_not_go_to_the_storage(self, step, github) -> None:
        await self.outcome(step, github, ("outputs", {"outputs.json": b"{}"}))
        (received,) = github.blobs.received
        assert "authorization" not in received.headers

    async def test_a_storage_on_the_inside_is_refused(self, step, github) -> None:
        where = {"location": "https://169.254.169.254/latest"}
        github.fault("GET", "/zip", Response(status_code=302, headers=where))
        with pytest.raises(OutboundRefused):
            await self.outcome(step, github, ("outputs", {"outputs.json": b"{}"}))

    async def test_another_artifact_is_taken_when_it_alone_has_outputs(self, step, github) -> None:
        done = await self.outcome(
            step,
            github,
            ("report", {"outputs.json": b'{"a": 1}'}),
            ("logs", {"deep/outputs.json": b'{"a": 2}'}),
        )
        assert done.outputs["a"] == 1

    async def test_of_two_that_have_outputs_none_is_taken(self, step, github) -> None:
        files = {"outputs.json": b'{"a": 1}'}
        done = await self.outcome(step, github, ("one", files), ("two", files))
        assert "a" not in done.outputs

    async def test_the_newest_of_one_name_counts(self, step, github) -> None:
        old, new = {"outputs.json": b'{"a": 1}'}, {"outputs.json": b'{"a": 2}'}
        done = await self.outcome(step, github, ("outputs", old), ("outputs", new))
        assert done.outputs["a"] == 2

    async def test_an_expired_one_is_not_there(self, step, github) -> None:
        files = {"outputs.json": b'{"a": 1}'}
        done = await self.outcome(step, github, ("outputs", files), expired=True)
        assert done.outputs["artifacts"] == []

    @pytest.mark.parametrize(
        "content",
        [b"0" * (2 << 20), b"[]", b"{", b"[" * 100_000, b'{"a": ' * 200 + b"1" + b"}" * 200],
    )
    async def test_outputs_that_cannot_be_used_fail_for_good(self, step, github, content) -> None:
        error = await failure(self.outcome(step, github, ("outputs", {"outputs.json": content})))
        assert (error.error_type, error.kind) == ("outputs_unusable", "permanent")

    async def test_one_that_expires_before_it_is_read_is_not_there(self, step, github) -> None:
        github.blobs.answer("GET", "/blob/1000", status=410, times=1)
        done = await self.outcome(step, github, ("outputs", {"outputs.json": b'{"a": 1}'}))
        assert "a" not in done.outputs
        assert done.outputs["artifacts"] == ["outputs"]

    async def test_what_is_no_zip_fails_for_good(self, step, github) -> None:
        github.blobs.answer("GET", "/blob/1000", body=b"PK\x03\x04 no zip", times=1)
        error = await failure(self.outcome(step, github, ("outputs", {})))
        assert error.error_type == "outputs_unusable"


class TestCancel:
    async def test_a_run_is_cancelled(self, step, github) -> None:
        context = Context(TEMPLATE)
        await wait(step.start, context)
        await step.cancel(context)
        assert github.runs[0].cancelled

    async def test_a_run_that_was_not_found_yet_is_searched(self, step, github) -> None:
        github.knows_details = False
        context = Context(TEMPLATE)
        await wait(step.start, context)
        await step.cancel(context)
        assert github.runs[0].cancelled

    async def test_one_that_ended_or_never_began_is_no_error(self, step, github) -> None:
        context = Context(TEMPLATE)
        await step.cancel(context)
        await wait(step.start, context)
        run = github.runs[0]
        run.end("success")
        await step.cancel(context)
        github.runs.clear()
        await step.cancel(context)
        assert not run.cancelled

    async def test_that_a_run_goes_on_stands_in_the_log(self, step, github) -> None:
        context = Context(TEMPLATE)
        await wait(step.start, context)
        github.fault("POST", "/cancel", JSONResponse({}, 429, {"retry-after": "90"}))
        assert (await failure(step.cancel(context))).error_type == "rate_limited"
        assert "not cancelled: GitHub's limit" in context.log_text
        assert not github.runs[0].cancelled

    async def test_the_next_attempt_starts_another_run(self, step, github) -> None:
        context = Context(TEMPLATE)
        await wait(step.start, context)
        await step.cancel(context)
        await wait(step.start, context)
        assert len(github.dispatched) == 2


class TestVerifications:
    async def test_an_expected_conclusion_is_success(self, step, github, services_of) -> None:
        properties = {"type": "workflow_status", "expected_status": ["failure", "success"]}
        context = Context(TEMPLATE, config={"verification": properties})
        await wait(step.start, context)
        github.runs[0].end("failure")
        done = await until_done(step, context)
        check = WorkflowStatus(services_of())
        model = WorkflowStatus.model.model_validate(properties)
        assert (await check.check(context, model, done)).verified

    async def test_a_run_that_was_started_again_is_waited_for(
        self, step, github, services_of
    ) -> None:
        properties = {"type": "workflow_status", "expected_status": "{{ x }}"}
        context = Context(TEMPLATE, config={"verification": [properties]})
        await wait(step.start, context)
        run = github.runs[0]
        run.end("failure")
        done = await until_done(step, context)
        check = WorkflowStatus(services_of())
        model = WorkflowStatus.model.model_validate({"type": "workflow_status"})
        verdict = await check.check(context, model, done)
        assert (verdict.verified, verdict.again_in) == (False, None)
        run.status, run.conclusion, run.attempt = "in_progress", None, 2
        assert (await check.check(context, model, done)).again_in == 30
        run.end("success")
        assert (await check.check(context, model, done)).verified

    async def test_artifacts_are_there_or_named(self, step_services) -> None:
        check = ArtifactExists(step_services)
        result = Completed(evidence={"artifacts": ["logs", "plan"]})
        for name, verified in (("logs", True), (["logs", "plan"], True), (["logs", "x"], False)):
            model = ArtifactExists.model.model_validate({"type": "artifact_exists", "name": name})
            verdict = await check.check(Context({}), model, result)
            assert verdict.verified is verified
        assert "x" in verdict.reason


@pytest.mark.parametrize("settings", [{}, {"app_id": "1"}, {"app_id": "1", "app_key": "no key"}])
async def test_a_missing_setting_is_named(services_of, github, settings) -> None:
    step = GitHubWorkflow(services_of(token=None, **settings))
    error = await failure(step.start(Context(TEMPLATE)))
    assert (error.error_type, error.kind) == ("not_configured", "permanent")
    assert "GITHUB_APP_KEY" in error.message
    assert github.received == []


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


class Hung(JSONResponse):
    """An answer that is held back until it is released."""

    def __init__(self, content: object) -> None:
        super().__init__(content)
        self.asked, self.released = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        await self.released.wait()
        await super().__call__(scope, receive, send)


class TestApp:
    """A GitHub App instead of a token."""

    @pytest.fixture
    def step(self, services_of, github, key) -> GitHubWorkflow:
        written_out = pem(key).replace("\n", "\\n")
        return GitHubWorkflow(services_of(token=None, app_id="42", app_key=written_out))

    def installed(self, github: GitHubServer, tokens: list[str]) -> None:
        for token in tokens:
            github.fault("GET", "/installation", JSONResponse({"id": 7}))
            github.fault("POST", "/app/installations/7", JSONResponse({"token": token}, 201))

    async def test_its_token_is_made_once_and_kept(self, step, github, key) -> None:
        self.installed(github, [TOKEN])
        for number in range(3):
            await wait(step.start, Context(TEMPLATE, idempotency_key=f"key-{number}"))
        (call,) = github.calls("POST", "/app/installations")
        header, claims, signature = call.headers["authorization"].removeprefix("Bearer ").split(".")
        key.public_key().verify(
            _decoded(signature),
            f"{header}.{claims}".encode(),
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
        said = json.loads(_decoded(claims))
        assert said["iss"] == "42"
        assert said["iat"] < time.time() - 50
        assert said["exp"] - said["iat"] <= 600
        assert json.loads(await call.body()) == {"repositories": ["infra"]}

    async def test_of_many_that_begin_at_once_one_asks_for_it(self, step, github) -> None:
        self.installed(github, [TOKEN])
        starts = [step.start(Context(TEMPLATE, idempotency_key=f"key-{n}")) for n in range(5)]
        await asyncio.gather(*starts)
        assert len(github.calls("POST", "/app/installations")) == 1
        assert len(github.dispatched) == 5

    async def test_a_question_that_hangs_holds_up_no_other_repository(self, step, github) -> None:
        hung = Hung({"id": 7})
        github.fault("GET", "/acme/infra/installation", hung)
        first = asyncio.create_task(step.start(Context(TEMPLATE)))
        await hung.asked.wait()

        self.installed(github, [TOKEN])
        other = Context(TEMPLATE | {"repository": "other/infra"})
        async with asyncio.timeout(20):
            assert (await failure(step.start(other))).error_type == "http_404"

        github.fault("POST", "/app/installations/7", JSONResponse({"token": TOKEN}, 201))
        hung.released.set()
        assert isinstance(await first, Waiting)

    async def test_a_token_that_is_refused_is_made_anew(self, step, github) -> None:
        self.installed(github, [TOKEN, "second"])
        context = Context(TEMPLATE)
        await wait(step.start, context)
        github.token = "second"
        github.runs[0].end("success")
        assert (await until_done(step, context)).outputs["conclusion"] == "success"

    async def test_an_app_that_is_not_installed_is_told(self, step, github) -> None:
        github.fault("GET", "/installation", JSONResponse({"message": "Not Found"}, 404))
        error = await failure(step.start(Context(TEMPLATE)))
        assert error.kind == "permanent"
        assert "installed" in str(error)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
