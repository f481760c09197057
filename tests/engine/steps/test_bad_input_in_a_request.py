"""What the outside or a document may do to a step: a failed attempt that says why, and no more.

Each is an attempt of the real engine. Beside the step that meets it stands one that meets nothing:
it completes, and so does the next request, so the engine goes on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Submission
from engine.config import GitHubSettings, TicketSystemSettings
from engine.outbound import Outbound
from engine.results import AttemptView, RequestView
from engine.store.pool import Connection
from tests.support.engines import ALICE, add_item, automation, config
from tests.support.git import new_repository
from tests.support.github_server import TOKEN as GITHUB_TOKEN
from tests.support.github_server import running_github
from tests.support.http_server import HttpServer
from tests.support.hurrying import hurried
from tests.support.jira_server import TOKEN as JIRA_TOKEN
from tests.support.jira_server import USER, running_jira
from tests.support.raw_server import answer, raw_server

TEN_MB = 10_000_000
BINARY = bytes(range(256)) * 64
UNSTORABLE = b'{"id": "a\\u0000b\\ud800c", "n": NaN, "far": 1e999999}'


@dataclass
class World:
    """The engine and what a request needs to be made."""

    engine: Engine
    connection: Connection
    http: HttpServer

    async def attempt(
        self, step: Mapping[str, Any], world: Any = lambda: None, **parameters: Any
    ) -> AttemptView:
        """Run a request with this step and a harmless one; return the step's only attempt."""
        ended = await self.run([{"name": "bad", **step}, self.harmless], world, **parameters)
        bad, good = ended.steps
        assert (ended.status, bad.status, good.status) == ("failed", "failed", "completed")
        after = await self.run([self.harmless])
        assert after.status == "completed"
        (attempt,) = bad.attempts
        assert attempt.error_message
        assert len(attempt.error_message) < 500
        return attempt

    async def run(self, steps: Any, world: Any = lambda: None, **parameters: Any) -> RequestView:
        await add_item(self.connection, fulfillment=automation(steps))
        submission = Submission({"size": "small", **parameters}, item="database")
        view = await self.engine.submit(ALICE, submission)
        return await hurried(self.engine, self.connection, view.request_id, world)

    @property
    def harmless(self) -> dict[str, Any]:
        return {**self.get("/harmless"), "name": "good", "depends_on": []}

    def get(self, path: str, **more: Any) -> dict[str, Any]:
        return {"type": "HttpGet", "template": {"url": f"{self.http.url}{path}"}, **more}


@pytest.fixture
def in_world(dsn: str, connection: Connection, http_server: HttpServer, tmp_path: Path):
    @asynccontextmanager
    async def open_(**settings: Any) -> AsyncIterator[World]:
        http_server.answer("GET", "/harmless", json={})
        async with Engine(config(dsn, tmp_path / "data", **settings)) as engine:
            yield World(engine, connection, http_server)

    return open_


@pytest.fixture
async def world(in_world) -> AsyncIterator[World]:
    async with in_world() as opened:
        yield opened


async def test_an_answer_of_ten_megabytes(world: World) -> None:
    world.http.answer("GET", "/big", body=b'{"x": "' + b"x" * TEN_MB + b'"}')
    attempt = await world.attempt(world.get("/big"))
    assert attempt.error_type == "answer_too_large"
    assert "/big answered more than 1048576 bytes" in attempt.error_message


async def test_a_binary_body_where_outputs_are_asked_for(world: World) -> None:
    world.http.answer("GET", "/binary", body=BINARY)
    attempt = await world.attempt(world.get("/binary", outputs={"id": "$.id"}))
    assert attempt.error_type == "output_missing"
    assert "'id'" in attempt.error_message


async def test_a_binary_body_of_a_refusal_is_kept_as_text(world: World) -> None:
    world.http.answer("GET", "/binary", status=418, body=BINARY)
    attempt = await world.attempt(world.get("/binary"))
    assert attempt.error_type == "http_418"
    assert attempt.error_details["body"].startswith("\ufffd\x01\x02")


async def test_nul_and_lone_surrogates_are_mended_in_outputs(world: World) -> None:
    world.http.answer("GET", "/odd", body=UNSTORABLE)
    ended = await world.run([{**world.get("/odd"), "name": "odd"}])
    assert ended.status == "completed"
    assert ended.steps[0].outputs == {"id": "a\ufffdb\ufffdc", "n": "NaN", "far": "1e999999"}


async def test_nul_and_lone_surrogates_are_mended_in_errors(world: World) -> None:
    world.http.answer("GET", "/odd", body=UNSTORABLE)
    judged = {"type": "response_body", "json_path": "$.id", "expected": "abc"}
    step = world.get("/odd", verification=judged, retry_policy={"max_attempts": 1})
    attempt = await world.attempt(step)
    assert attempt.error_type == "verification_failed"
    assert attempt.verification_result["actual"] == "a\ufffdb\ufffdc"


async def test_json_too_deep_to_be_walked(world: World) -> None:
    world.http.answer("GET", "/deep", body=b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
    attempt = await world.attempt(world.get("/deep", outputs={"a": "$.a"}))
    assert attempt.error_type == "output_missing"


async def test_endless_redirects(world: World) -> None:
    world.http.answer("GET", "/again", status=302, headers={"location": "/again"})
    attempt = await world.attempt(world.get("/again"))
    assert attempt.error_type == "too_many_redirects"
    assert "more than 3 redirects" in attempt.error_message
    assert len(world.http.requests("GET", "/again")) == 4


async def test_a_name_that_resolves_to_another_address_the_second_time(in_world) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        if host != "moving.example":
            return [host]
        asked.append(host)
        return ["127.0.0.1" if len(asked) == 1 else "127.0.0.2"]

    async with in_world() as world, raw_server(answer(b"")) as inside:
        moved = f"http://moving.example:{inside.port}/again"
        world.http.answer("GET", "/first", status=302, headers={"location": moved})
        services = replace(
            world.engine._services, outbound=Outbound(["127.0.0.1"], resolve=resolve)
        )
        world.engine.__dict__["_services"] = services
        url = world.http.url.replace("127.0.0.1", "moving.example")
        attempt = await world.attempt({"type": "HttpGet", "template": {"url": f"{url}/first"}})
        assert inside.requests == []
    assert len(asked) == 2
    assert attempt.error_type == "outbound_refused"
    assert "moving.example" in attempt.error_message


@pytest.mark.terraform
@pytest.mark.parametrize("path", ["modules/../../etc", "../other", "/etc", "modules\\..\\x"])
async def test_a_module_path_that_leads_out(world: World, path: str) -> None:
    step = {"type": "TerraformFile", "template": {"module_source": path}}
    attempt = await world.attempt(step)
    assert attempt.error_type == "module_refused"
    assert "leads out of the catalog. Name a folder from" in attempt.error_message


@pytest.mark.terraform
async def test_a_module_that_names_its_neighbour_and_one_with_ten_megabytes_of_outputs(
    in_world, tmp_path: Path
) -> None:
    repository = new_repository(tmp_path / "catalog")
    big = 'output "big" { value = join("", [for i in range(1000) : "%s"]) }' % ("x" * 10_000)
    repository.commit(
        {
            "modules/near/main.tf": 'module "other" { source = "../big" }',
            "modules/big/main.tf": big,
        }
    )
    async with in_world(catalog_url=repository.url) as world:
        await world.engine.sync_catalog(None, trigger="cli")
        attempt = await world.attempt(terraform("modules/near"))
        assert attempt.error_type == "module_refused"
        assert "'modules/near/main.tf' names '../big'" in attempt.error_message
        assert "Move what it names below it" in attempt.error_message
        attempt = await world.attempt(terraform("modules/big"))
        assert attempt.error_type == "outputs_unusable"
        assert "outputs are larger than" in attempt.error_message


def terraform(path: str) -> dict[str, Any]:
    return {"type": "TerraformFile", "template": {"module_source": path}}


async def test_a_workflow_that_vanishes(in_world) -> None:
    async with running_github() as github:
        github.workflow("deploy.yml", ["pao_correlation_id"], run_name_shows="pao_correlation_id")
        settings = GitHubSettings(github.url, GITHUB_TOKEN)
        template = {"repository": "acme/infra", "workflow_id": "deploy.yml"}
        step = {"type": "GitHubWorkflow", "template": template}
        async with in_world(github=settings) as world:
            attempt = await world.attempt(step, github.runs.clear)
            assert attempt.error_type == "run_vanished"
            assert "cannot be seen any more" in attempt.error_message
            github._workflows.clear()
            attempt = await world.attempt(step)
            assert attempt.error_type == "http_404"
            assert "deploy.yml answered 404 Not Found" in attempt.error_message


async def test_a_jira_project_without_the_issue_type(in_world) -> None:
    async with running_jira() as jira:
        settings = TicketSystemSettings(jira.url, USER, JIRA_TOKEN)
        template = {"project": "OPS", "issue_type": "Epos", "summary": "x"}
        async with in_world(tickets=settings) as world:
            attempt = await world.attempt({"type": "JiraTicket", "template": template})
    assert attempt.error_type == "http_400"
    assert "the project OPS has Task, Incident" in attempt.error_message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{% for i in [" + "1," * 1000 + "] %}" + "y" * 1000 + "{% endfor %}", "too long"),
        ("{{ 'x' * 100000000 }}", "'x' is not a number: only numbers are calculated with"),
        ("{{ size * 100000000 }}", "only numbers are calculated with"),
        ("{{ size | replace('a', size) | replace('a', size) }}", "too long"),
    ],
)
async def test_a_template_that_grows_to_a_megabyte(world: World, text: str, reason: str) -> None:
    step = {
        "type": "HttpPost",
        "template": {"url": f"{world.http.url}/x", "body": {"text": text}},
    }
    attempt = await world.attempt(step, size="a" * 1000)
    assert attempt.error_type == "template_error"
    assert reason in attempt.error_message
    assert world.http.requests("POST", "/x") == []
