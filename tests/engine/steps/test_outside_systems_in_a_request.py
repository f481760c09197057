"""GitHub and Jira through the whole engine: waits without leases, failures, tickets that go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, Response

from engine import Engine, Submission
from engine.config import GitHubSettings, TicketSystemSettings
from engine.store.pool import Connection
from tests.support.engines import ALICE, add_item, config
from tests.support.github_server import TOKEN, GitHubServer, running_github
from tests.support.hurrying import hurried
from tests.support.jira_server import TOKEN as JIRA_TOKEN
from tests.support.jira_server import USER, JiraServer, running_jira

DEPLOY = {
    "name": "deploy",
    "type": "GitHubWorkflow",
    "template": {
        "repository": "acme/infra",
        "workflow_id": "deploy.yml",
        "inputs": {"size": "{{ size }}"},
    },
    "outputs": {"endpoint": "$.endpoint"},
    "verification": {"type": "workflow_status"},
}
REVIEW = {
    "name": "review",
    "type": "JiraTicket",
    "template": {
        "project": "OPS",
        "issue_type": "Task",
        "summary": "Look at {{ steps.deploy.outputs.endpoint }}",
    },
    "verification": {"type": "ticket_status", "expected_status": "done"},
}
FULFILLMENT = {
    "manual": {
        "system": "jira",
        "template": {
            "project": "OPS",
            "issue_type": "Incident",
            "summary": "Make a database of size {{ size }}",
        },
    },
    "automation": {
        "retry_policy": {"max_attempts": 2, "initial_delay": 0, "max_delay": 0},
        "steps": [DEPLOY, REVIEW],
    },
}


@pytest.fixture
async def github() -> AsyncIterator[GitHubServer]:
    async with running_github() as server:
        inputs = ["size", "pao_correlation_id"]
        server.workflow("deploy.yml", inputs, run_name_shows="pao_correlation_id")
        yield server


@pytest.fixture
async def jira() -> AsyncIterator[JiraServer]:
    async with running_jira() as server:
        yield server


@pytest.fixture
async def engine(dsn: str, connection: Connection, github, jira, tmp_path: Path):
    await add_item(connection, fulfillment=FULFILLMENT)
    settings = config(
        dsn,
        tmp_path / "data",
        github=GitHubSettings(github.url, TOKEN),
        tickets=TicketSystemSettings(jira.url, USER, JIRA_TOKEN),
    )
    async with Engine(settings) as engine:
        yield engine


async def submitted(engine: Engine) -> str:
    view = await engine.submit(ALICE, Submission({"size": "small"}, item="database"))
    return view.request_id


async def test_a_run_and_an_issue_end_a_request(engine, connection, github, jira) -> None:
    github.refuses_details = True
    github.fault("POST", "/dispatches", lose_answer=True)

    def world() -> None:
        for run in github.runs:
            if run.status == "queued" and len(github.received) > 8:
                github.artifact(run, "outputs", {"outputs.json": b'{"endpoint": "db:5432"}'})
                run.end("success")
        for issue in jira.issues:
            if len(jira.received) > 6:
                issue.move("Fertig")

    ended = await hurried(engine, connection, await submitted(engine), world)
    assert ended.status == "completed", ended
    assert len(github.dispatched) == len(jira.issues) == 1
    deploy, review = ended.steps
    assert deploy.outputs == {"endpoint": "db:5432"}
    assert deploy.attempts[-1].external_job_id == "1"
    assert [len(step.attempts) for step in ended.steps] == [1, 1]
    assert review.outputs["key"] == "OPS-1"
    assert jira.issues[0].fields["summary"] == "Look at db:5432"


async def test_a_run_that_fails_twice_becomes_a_ticket_and_is_done_by_hand(
    engine, connection, github, jira
) -> None:
    def world() -> None:
        for run in github.runs:
            run.end("failure")

    failed = await hurried(engine, connection, await submitted(engine), world)
    assert failed.status == "failed", failed
    assert len(github.dispatched) == 2
    last = failed.steps[0].attempts[-1]
    assert (last.error_type, last.error_details["job"]) == ("workflow_failed", "apply")
    (issue,) = jira.issues
    assert issue.fields["summary"] == "Make a database of size small"
    assert "workflow_failed" in issue.fields["description"]
    ticket = failed.steps[0].tickets[0]
    assert (ticket.ticket_id, ticket.url) == ("OPS-1", f"{jira.url}/browse/OPS-1")


async def test_limits_and_failed_looks_use_up_no_attempt(engine, connection, github, jira) -> None:
    github.fault("POST", "/dispatches", JSONResponse({}, 403, {"retry-after": "1"}), times=2)
    github.fault("GET", "/actions/runs/1", Response(status_code=502), times=3)
    github.fault("GET", "/actions/runs/1", JSONResponse({}, 429, {"retry-after": "1"}))

    def world() -> None:
        for run in github.runs:
            if len(github.calls("GET", "/actions/runs/1")) > 3 and run.status == "queued":
                github.artifact(run, "outputs", {"outputs.json": b'{"endpoint": "db:5432"}'})
                run.end("success")
        for issue in jira.issues:
            issue.move("Fertig")

    ended = await hurried(engine, connection, await submitted(engine), world)
    assert ended.status == "completed", ended
    assert [len(step.attempts) for step in ended.steps] == [1, 1]
    assert len(github.dispatched) == 1
    assert len(github.calls("POST", "/dispatches")) == 3
