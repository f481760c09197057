"""A Terraform step through the whole engine: module from Git, state in PostgreSQL, secrets sealed."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import Engine, Submission
from engine.results import SECRET_DOTS
from engine.store.pool import Connection
from tests.support.engines import ALICE, config
from tests.support.git import GitRepository, new_repository
from tests.support.http_server import HttpServer

pytestmark = pytest.mark.terraform

MODULE = """
variable "size" { type = string }
variable "password" {
  type      = string
  sensitive = true
}
resource "terraform_data" "db" {
  input = var.size
  lifecycle {
    precondition {
      condition     = var.size != "huge"
      error_message = "There is no room for ${nonsensitive(var.password)}."
    }
  }
}
output "endpoint" { value = "db-${terraform_data.db.output}" }
output "url" {
  value     = "postgres://admin:${var.password}@db"
  sensitive = true
}
"""

DOCUMENT = """
name: database
version: 1.0.0
owner: platform
description: A database.
presentation:
  fields:
    - {name: size, type: string, label: Size, default: small}
    - {name: password, type: secret, label: Password, required: true}
fulfillment:
  manual:
    system: webhook
    template:
      url: %(url)s/tickets
      body: {summary: "A database of size {{ size }}"}
  automation:
    retry_policy: {max_attempts: 2, initial_delay: 0, max_delay: 0}
    steps:
      - name: infrastructure
        type: TerraformFile
        template:
          module_source: modules/db
          variables: {size: "{{ size }}", password: "{{ password }}"}
        verification: {type: terraform_state, resource_count: 1, required_outputs: [endpoint, url]}
      - name: register
        type: HttpPost
        template:
          url: %(url)s/register
          body: {endpoint: "{{ steps.infrastructure.outputs.endpoint }}"}
        verification: {type: http_status, expected_status: [200, 201]}
"""


@pytest.fixture
def catalog(tmp_path: Path, http_server: HttpServer) -> GitRepository:
    repository = new_repository(tmp_path / "catalog")
    repository.commit(
        {
            "catalog/database.yaml": DOCUMENT % {"url": http_server.url},
            "modules/db/main.tf": MODULE,
        }
    )
    return repository


def settings(dsn: str, catalog: GitRepository, data_dir: Path):
    return config(dsn, data_dir, catalog_url=catalog.url)


async def test_a_module_of_the_catalog_becomes_an_active_instance(
    dsn: str, connection: Connection, catalog: GitRepository, http_server: HttpServer, tmp_path
) -> None:
    http_server.answer("POST", "/register", status=201, json={"id": 7})
    async with Engine(settings(dsn, catalog, tmp_path / "data")) as engine:
        report = await engine.sync_catalog(None, trigger="cli")
        assert report.errors == []
        submission = Submission({"size": "small", "password": "hunter22!"}, item="database")
        view = await engine.submit(ALICE, submission)
        ended = await engine.drive(view.request_id, timeout=120)
        assert ended.status == "completed", ended
        instance = await engine.instance(ALICE, ended.instance_id or "")

    assert http_server.requests("POST", "/register")[0].json() == {"endpoint": "db-small"}
    infrastructure = ended.steps[0]
    assert infrastructure.outputs == {"endpoint": "db-small", "url": SECRET_DOTS}
    assert [one["address"] for one in instance.deployed_resources] == ["terraform_data.db"]
    assert instance.instance_state == "active"
    tables = ("events", "step_attempts", "attempt_logs", "request_steps", "service_instances")
    for table in (*tables, "service_requests", "outbox"):
        cursor = await connection.execute(f"SELECT t::text FROM {table} t".encode())
        assert "hunter22" not in str(await cursor.fetchall()), table
    cursor = await connection.execute(b"SELECT data::text FROM events WHERE kind = 'step.plan'")
    assert '"add": 1' in str(await cursor.fetchall())


async def test_a_module_that_fails_falls_back_to_a_ticket_and_can_be_resolved(
    dsn: str, connection: Connection, catalog: GitRepository, http_server: HttpServer, tmp_path
) -> None:
    http_server.answer("POST", "/tickets", status=201, json={"id": "T-1", "url": "/tickets/T-1"})
    http_server.answer("GET", "/tickets/T-1", json={"status": "open"})
    http_server.answer("POST", "/register", status=201, json={"id": 7})
    async with Engine(settings(dsn, catalog, tmp_path / "data")) as engine:
        report = await engine.sync_catalog(None, trigger="cli")
        assert report.errors == []
        submission = Submission({"size": "huge", "password": "hunter22!"}, item="database")
        view = await engine.submit(ALICE, submission)
        failed = await engine.drive(view.request_id, timeout=120)
        assert failed.status == "failed"
        step = failed.steps[0]
        assert len(step.attempts) == 1
        assert step.attempts[-1].error_type == "terraform_failed"
        assert step.attempts[-1].error_details["address"] == "terraform_data.db"
        assert SECRET_DOTS in step.attempts[-1].error_details["detail"]
        ticket = http_server.requests("POST", "/tickets")[0].json()
        assert ticket["summary"] == "A database of size huge"
        assert "terraform_failed" in ticket["description"]
        assert "hunter22" not in str(ticket)
        await engine.resolve(
            ALICE, view.request_id, "infrastructure", outputs={"endpoint": "by-hand", "url": "x"}
        )
        ended = await engine.drive(view.request_id, timeout=120)
        assert ended.status == "completed", ended
    assert http_server.requests("POST", "/register")[0].json() == {"endpoint": "by-hand"}
