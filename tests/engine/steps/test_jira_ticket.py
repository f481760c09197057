"""JiraTicket against a server that behaves like Jira, failures included."""

import pytest
from starlette.responses import JSONResponse, Response

from engine.config import TicketSystemSettings
from engine.errors import StepFailed
from engine.steps.base import Completed, Waiting
from engine.steps.jira import JiraTicket
from engine.verifications.jira import ResolutionTime, TicketStatus
from tests.support.jira_server import TOKEN, USER, running_jira
from tests.support.steps import Context, LeaseGone, services

TEMPLATE = {"project": "OPS", "issue_type": "Task", "summary": "Make a database"}


@pytest.fixture(params=["Cloud", "Server"])
async def jira(request):
    async with running_jira(request.param) as server:
        yield server


@pytest.fixture
async def cloud():
    async with running_jira() as server:
        yield server


def settings(url: str | None, **more) -> TicketSystemSettings:
    given = {"jira_url": url, "jira_user": USER, "jira_token": TOKEN} | more
    return TicketSystemSettings(**given)


@pytest.fixture
def step_at(outbound, tmp_path):
    def make(url: str | None, **more) -> JiraTicket:
        return JiraTicket(services(outbound, tmp_path, tickets=settings(url, **more)))

    return make


async def failure(call) -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        await call
    return caught.value


async def wait(call, context: Context) -> Waiting:
    outcome = await call(context)
    assert isinstance(outcome, Waiting)
    context.external = {**context.external, **outcome.external}
    return outcome


async def test_an_issue_is_made_as_jira_takes_it(jira, step_at) -> None:
    template = TEMPLATE | {
        "summary": "Make\na  database " + "x" * 300,
        "description": "*bold* {noformat} {code}",
        "assignee": "alice",
        "priority": "High",
        "labels": ["two words", "two words", "one"],
        "components": "db",
        "custom_fields": {"customfield_10010": 1.5},
    }
    context = Context(template)
    done = await step_at(jira.url).start(context)
    assert isinstance(done, Completed)
    assert done.outputs == {"key": "OPS-1", "url": f"{jira.url}/browse/OPS-1", "status": "Zu tun"}
    assert context.jobs == [("OPS-1", f"{jira.url}/browse/OPS-1")]
    fields = jira.issues[0].fields
    assert fields["summary"] == ("Make a database " + "x" * 300)[:255]
    assert fields["description"] == "{noformat}\n*bold* { noformat} {code}\n{noformat}"
    assert fields["labels"] == ["two-words", "one", "pao-key-1"]
    assert fields["priority"] == {"name": "High"}
    assert fields["components"] == [{"name": "db"}]
    assert fields["customfield_10010"] == 1.5


async def test_a_token_alone_is_a_personal_access_token(jira, step_at) -> None:
    await step_at(jira.url, jira_user=None).start(Context(TEMPLATE))
    assert jira.calls("POST", "/issue")[0].headers["authorization"] == f"Bearer {TOKEN}"


async def test_the_same_key_has_one_issue(jira, step_at) -> None:
    for _ in range(2):
        done = await step_at(jira.url).start(Context(TEMPLATE))
    assert done.outputs["key"] == "OPS-1"
    assert len(jira.issues) == 1


async def test_a_manual_retry_finds_the_issue_of_the_earlier_group(jira, step_at) -> None:
    await step_at(jira.url).start(Context(TEMPLATE))
    later = Context(TEMPLATE, idempotency_key="key-2", earlier_idempotency_keys=["key-1"])
    assert (await step_at(jira.url).start(later)).outputs["key"] == "OPS-1"
    assert len(jira.issues) == 1


async def test_a_worker_that_died_after_the_creation_needs_no_search(cloud, step_at) -> None:
    cloud.indexes_at_once = False
    context = Context(TEMPLATE)
    await step_at(cloud.url).start(context)
    assert (await step_at(cloud.url).start(context)).outputs["key"] == "OPS-1"
    assert len(cloud.issues) == 1


async def test_after_a_lost_answer_the_issue_is_searched_until_it_is_indexed(jira, step_at) -> None:
    jira.indexes_at_once = False
    jira.fault("POST", "/issue", lose_answer=True)
    step, context = step_at(jira.url), Context(TEMPLATE)
    await wait(step.start, context)
    await wait(step.poll, context)
    jira.issues[0].indexed = True
    done = await step.poll(context)
    assert done.outputs["key"] == "OPS-1"
    assert len(jira.issues) == 1


async def test_three_searches_over_growing_waits_come_before_another_creation(
    cloud, step_at
) -> None:
    cloud.fault("POST", "/issue", Response("gateway", 504))
    step, context = step_at(cloud.url), Context(TEMPLATE)
    waits = [(await wait(step.start, context)).delay]
    waits += [(await wait(step.poll, context)).delay for _ in range(2)]
    assert waits == sorted(set(waits))
    assert sum(waits) >= 120
    assert cloud.issues == []
    assert (await step.poll(context)).outputs["key"] == "OPS-1"
    assert len(cloud.calls("GET", "/search/jql")) == 4


async def test_a_search_that_fails_counts_for_nothing(cloud, step_at) -> None:
    cloud.fault("POST", "/issue", lose_answer=True)
    step, context = step_at(cloud.url), Context(TEMPLATE)
    await wait(step.start, context)
    cloud.fault("GET", "/search", Response(status_code=503, headers={"retry-after": "77"}), times=3)
    assert [(await wait(step.poll, context)).delay for _ in range(3)] == [77, 77, 77]
    assert (await step.poll(context)).outputs["key"] == "OPS-1"
    assert len(cloud.issues) == 1


async def test_an_issue_that_cannot_be_read_after_its_creation_is_there(cloud, step_at) -> None:
    cloud.fault("GET", "/issue/OPS-1", Response(status_code=500))
    done = await step_at(cloud.url).start(Context(TEMPLATE))
    assert (done.outputs["key"], done.outputs["status"]) == ("OPS-1", None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"project": "NOPE"}, "project: valid project is required"),
        ({"issue_type": "Epos"}, "the project OPS has Task, Incident"),
    ],
)
async def test_what_jira_refuses_is_told_by_field(jira, step_at, change, says) -> None:
    context = Context(TEMPLATE | change)
    error = await failure(step_at(jira.url).start(context))
    assert (error.error_type, error.kind) == ("http_400", "permanent")
    assert says in error.message
    assert TOKEN not in str(error)
    assert context.external["jira"] == {}


@pytest.mark.parametrize(
    ("response", "kind", "wait_for"),
    [
        (JSONResponse({}, 429, {"retry-after": "30"}), "transient", 30),
        (
            JSONResponse({}, 429, {"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"}),
            "transient",
            None,
        ),
        (Response("<html>", 503), "transient", None),
        (Response("<html>", 401), "permanent", None),
    ],
)
async def test_errors_by_their_kind(cloud, step_at, response, kind, wait_for) -> None:
    cloud.fault("GET", "/serverInfo", response)
    error = await failure(step_at(cloud.url).start(Context(TEMPLATE)))
    assert error.kind == kind
    if wait_for:
        assert error.retry_after == wait_for
    assert cloud.issues == []


@pytest.mark.parametrize(
    "response", [Response("no json", 200), JSONResponse([]), JSONResponse({"issues": [{"x": 1}]})]
)
async def test_an_answer_that_cannot_be_read_is_tried_again(cloud, step_at, response) -> None:
    cloud.fault("GET", "/search", response)
    step, context = step_at(cloud.url), Context(TEMPLATE)
    error = await failure(step.start(context))
    assert (error.error_type, error.kind) == ("invalid_answer", "unknown")
    await step.start(context)
    assert len(cloud.issues) == 1


async def test_a_jira_that_is_not_there_is_tried_again(step_at) -> None:
    error = await failure(step_at("http://127.0.0.1:1").start(Context(TEMPLATE)))
    assert (error.error_type, error.kind) == ("connection_lost", "transient")


async def test_a_worker_that_lost_its_lease_makes_nothing(cloud, step_at) -> None:
    with pytest.raises(LeaseGone):
        await step_at(cloud.url).start(Context(TEMPLATE, lost_after=0))
    assert cloud.issues == []


@pytest.mark.parametrize(
    ("url", "more", "name"),
    [
        (None, {}, "JIRA_URL"),
        ("jira.example", {}, "JIRA_URL"),
        ("http://127.0.0.1:1", {"jira_token": None}, "JIRA_TOKEN"),
    ],
)
async def test_a_missing_setting_is_named(step_at, url, more, name: str) -> None:
    error = await failure(step_at(url, **more).start(Context(TEMPLATE)))
    assert (error.error_type, error.kind) == ("not_configured", "permanent")
    assert name in error.message


class TestVerifications:
    @pytest.fixture
    async def made(self, cloud, step_at) -> Completed:
        return await step_at(cloud.url).start(Context(TEMPLATE))

    @pytest.fixture
    def judge(self, cloud, outbound, tmp_path, made):
        context = Context({})

        async def check(kind, **properties):
            check = kind(services(outbound, tmp_path, tickets=settings(cloud.url)))
            model = kind.model.model_validate({"type": kind.name, **properties})
            return await check.check(context, model, made)

        return check

    async def test_a_status_is_waited_for_by_name_or_category(self, cloud, judge) -> None:
        waiting = await judge(TicketStatus, expected_status="done")
        assert (waiting.verified, waiting.again_in) == (False, 5)
        assert (await judge(TicketStatus, expected_status="done")).again_in == 7.5
        cloud.issues[0].move("Fertig")
        assert (await judge(TicketStatus, expected_status=["done"])).verified
        assert (await judge(TicketStatus, expected_status=["fertig"])).verified

    async def test_done_in_another_way_is_final(self, cloud, judge) -> None:
        cloud.issues[0].move("Abgelehnt")
        verdict = await judge(TicketStatus, expected_status="Fertig")
        assert (verdict.verified, verdict.again_in) == (False, None)
        assert "OPS-1 is Abgelehnt" in verdict.reason

    async def test_the_time_limit_ends_the_wait(self, cloud, judge) -> None:
        waits = []
        while True:
            verdict = await judge(TicketStatus, expected_status="done", timeout="30s")
            if verdict.again_in is None:
                break
            waits.append(verdict.again_in)
        assert sum(waits) == 30
        assert not verdict.verified

    async def test_a_jira_that_does_not_answer_is_asked_again(self, cloud, judge) -> None:
        cloud.fault("GET", "/issue", Response(status_code=503))
        assert (await judge(TicketStatus, expected_status="done")).again_in == 5

    async def test_a_resolution_is_judged_by_jiras_times(self, cloud, judge) -> None:
        assert (await judge(ResolutionTime, max="1h")).again_in == 5
        cloud.issues[0].move("Fertig", "2026-11-24T10:30:00.000+0000")
        assert (await judge(ResolutionTime, max="1h")).verified
        late = await judge(ResolutionTime, max="29m")
        assert (late.verified, late.again_in, late.actual) == (False, None, 1800)
