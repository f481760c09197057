"""A worker may die at any boundary of a step that works outside: the effect stays one."""

import pytest

from engine.config import GitHubSettings, TicketSystemSettings
from engine.steps.github import GitHubWorkflow
from engine.steps.jira import JiraTicket
from tests.support.dying import lives
from tests.support.github_server import TOKEN, running_github
from tests.support.jira_server import TOKEN as JIRA_TOKEN
from tests.support.jira_server import USER, running_jira
from tests.support.steps import services

WORKFLOW = {"repository": "acme/infra", "workflow_id": "deploy.yml"}
ISSUE = {"project": "OPS", "issue_type": "Task", "summary": "Make a database"}


@pytest.mark.parametrize("knows_details", [True, False])
async def test_a_workflow_is_dispatched_once_whenever_the_worker_dies(
    outbound, tmp_path, knows_details: bool
) -> None:
    async with running_github() as github:
        github.workflow("deploy.yml", ["pao_correlation_id"], "pao_correlation_id")
        github.knows_details = knows_details
        github.ends_runs_with = "success"
        settings = GitHubSettings(github.url, TOKEN)
        step = GitHubWorkflow(services(outbound, tmp_path, github=settings))
        tried = 0
        for life in lives(WORKFLOW):
            done = await life.carry(step)
            tried += 1
            assert len(github.dispatched) == tried, f"a death at boundary {life.dies_at}"
            assert done.outputs["run_id"] == github.runs[-1].id
        assert tried > 8


async def test_an_issue_is_made_once_whenever_the_worker_dies(outbound, tmp_path) -> None:
    async with running_jira() as jira:
        settings = TicketSystemSettings(jira.url, USER, JIRA_TOKEN)
        step = JiraTicket(services(outbound, tmp_path, tickets=settings))
        tried = 0
        for life in lives(ISSUE):
            done = await life.carry(step)
            tried += 1
            assert len(jira.issues) == tried, f"a death at boundary {life.dies_at}"
            assert done.outputs["key"] == jira.issues[-1].key
        assert tried > 5
