"""A service of Terraform over its whole life: made, changed, refused, upgraded, taken down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, RequestView, Submission
from engine.store.pool import Connection
from tests.support.engines import ALICE, config, rows_of
from tests.support.git import GitRepository, new_repository

pytestmark = pytest.mark.terraform

MODULE = """
variable "size" { type = string }
variable "zone" {
  type    = string
  default = null
}
variable "note" {
  type    = string
  default = null
}
resource "terraform_data" "disk" { triggers_replace = var.zone }
resource "terraform_data" "db" { input = "${var.size} ${var.note == null ? "" : var.note}" }
output "endpoint" { value = "db-${terraform_data.db.output}" }
output "disk" { value = terraform_data.disk.id }
"""

MANUAL = "manual: {system: webhook, template: {url: 'https://tickets.example.com'}}"

DATABASE = f"""
name: database
version: 1.0.0
owner: platform
description: A database.
presentation:
  fields:
    - {{name: size, type: string, default: small}}
fulfillment:
  {MANUAL}
  automation:
    retry_policy: {{max_attempts: 1}}
    steps:
      - name: infrastructure
        type: TerraformFile
        template:
          module_source: modules/db
          state: db
          variables: {{size: "{{{{ size }}}}"}}
"""

GROW = f"""
kind: UpdateItem
name: grow
version: 1.0.0
owner: platform
description: More room.
targets:
  catalog_items:
    - {{name: database, version_range: ">=1.0.0", optional_parameters: [label]}}
presentation:
  fields:
    - {{name: size, type: string, required: true}}
    - {{name: zone, type: string}}
fulfillment:
  {MANUAL}
  automation:
    retry_policy: {{max_attempts: 1}}
    steps:
      - name: probe
        type: TerraformFile
        template:
          module_source: modules/db
          state: probe
          variables: {{size: "1"}}
      - name: resize
        type: TerraformFile
        template:
          module_source: modules/db
          state: db
          variables:
            size: "{{{{ size }}}}"
            zone: "{{{{ zone }}}}"
            note: "{{{{ label | default(steps.probe.outputs.endpoint) }}}}"
"""

MOVE = f"""
kind: UpdateItem
name: move
version: 1.0.0
owner: platform
description: Another zone.
targets:
  catalog_items:
    - {{name: database, version_range: ">=1.0.0"}}
presentation:
  fields:
    - {{name: zone, type: string, required: true}}
fulfillment:
  {MANUAL}
  automation:
    retry_policy: {{max_attempts: 1}}
    steps:
      - name: move
        type: TerraformFile
        template:
          module_source: modules/db
          state: db
          variables: {{size: small, zone: "{{{{ zone }}}}"}}
"""

BREAKS = """
resource "terraform_data" "breaks" {
  provisioner "local-exec" { command = "exit 1" }
}
"""


@pytest.fixture
def catalog(tmp_path: Path) -> GitRepository:
    repository = new_repository(tmp_path / "catalog")
    repository.commit(
        {
            "catalog/database.yaml": DATABASE,
            "catalog/grow.yaml": GROW,
            "modules/db/main.tf": MODULE,
        }
    )
    return repository


async def carried(engine: Engine, submission: Submission) -> RequestView:
    request = await engine.submit(ALICE, submission)
    return await engine.drive(request.request_id, timeout=120)


async def synced(engine: Engine) -> None:
    report = await engine.sync_catalog(None, trigger="cli")
    assert report.errors == []


async def made(engine: Engine) -> str:
    await synced(engine)
    done = await carried(engine, Submission({}, item="database"))
    assert done.status == "completed", done
    return str(done.instance_id)


def grow(instance: str, **parameters: str) -> Submission:
    return Submission(parameters, request_type="update", item="grow", instance=instance)


async def resources(connection: Connection) -> int:
    cursor = await connection.execute("SELECT data FROM terraform.states")
    return sum(len(json.loads(data)["resources"]) for (data,) in await cursor.fetchall())


async def test_what_was_made_and_changed_is_taken_down_whole(
    dsn: str, connection: Connection, catalog: GitRepository, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"catalog_url": catalog.url}
    async with Engine(config(dsn, tmp_path / "data", **settings)) as engine:
        instance = await made(engine)

        updated = await carried(engine, grow(instance, size="large"))

        assert updated.status == "completed", updated
        view = await engine.instance(ALICE, instance)
        assert view.service_outputs["endpoint"] == "db-large db-1 "
        assert view.deployment_parameters == {"size": "large"}
        assert sorted(one["address"] for one in view.deployed_resources) == [
            "terraform_data.db", "terraform_data.db", "terraform_data.disk", "terraform_data.disk",
        ]  # fmt: skip
        assert await resources(connection) == 4

        # Whatever the catalog holds by then, the module that made the state takes it down.
        catalog.commit({"modules/db/main.tf": 'variable "other" {}'})
        await engine.sync_catalog(None, trigger="cli")
        submission = Submission({}, request_type="decommission", instance=instance)
        ended = await carried(engine, submission)

        assert ended.status == "completed", [
            (one.name, at.error_message) for one in ended.steps for at in one.attempts
        ]
        view = await engine.instance(ALICE, instance)
        assert (view.instance_state, view.deployed_resources) == ("decommissioned", [])
        assert await rows_of(connection, "SELECT name FROM terraform.states") == []


async def test_a_state_in_which_something_is_left_outlives_its_service(
    dsn: str, connection: Connection, catalog: GitRepository, tmp_path: Path
) -> None:
    async with Engine(config(dsn, tmp_path / "data", catalog_url=catalog.url)) as engine:
        instance = await made(engine)
        other = await made(engine)
        submission = Submission({}, request_type="decommission", instance=instance)
        request = await engine.submit(ALICE, submission)
        await connection.execute(
            b"UPDATE request_steps s SET status = 'completed', next_run_at = NULL FROM service_requests r"
            b" WHERE r.id = s.request_id AND r.request_type = 'decommission'"
        )
        await connection.execute(
            b"SELECT update_request_status(id, 'completed') FROM service_requests"
            b" WHERE request_type = 'decommission'"
        )
        ended = await engine.request(ALICE, request.request_id)
        assert ended.status == "completed"
        states = await rows_of(connection, "SELECT name FROM terraform.states ORDER BY 1")
        assert states == sorted([f"{instance}--db", f"{other}--db"])


async def test_where_a_plan_failed_nothing_is_to_be_cleaned_up(
    dsn: str, connection: Connection, catalog: GitRepository, tmp_path: Path
) -> None:
    catalog.commit({"catalog/move.yaml": MOVE})
    async with Engine(config(dsn, tmp_path / "data", catalog_url=catalog.url)) as engine:
        instance = await made(engine)
        move = Submission({"zone": "b"}, request_type="update", item="move", instance=instance)
        failed = await carried(engine, move)
        assert failed.steps[0].attempts[-1].error_type == "plan_destroys"

        aborted = await engine.abort(ALICE, failed.request_id)

        assert aborted.status == "aborted"
        assert [one.type for one in aborted.tickets] == []


async def test_what_was_changed_before_a_failure_is_to_be_cleaned_up(
    dsn: str, catalog: GitRepository, tmp_path: Path
) -> None:
    async with Engine(config(dsn, tmp_path / "data", catalog_url=catalog.url)) as engine:
        failed = await carried(engine, grow(await made(engine), size="large", zone="b"))
        aborted = await engine.abort(ALICE, failed.request_id)
        assert [(one.type, one.status) for one in aborted.tickets] == [("cleanup", "creating")]


async def test_an_apply_that_broke_off_may_have_left_something(
    dsn: str, catalog: GitRepository, tmp_path: Path
) -> None:
    catalog.commit({"modules/db/main.tf": MODULE + BREAKS})
    async with Engine(config(dsn, tmp_path / "data", catalog_url=catalog.url)) as engine:
        await synced(engine)
        failed = await carried(engine, Submission({}, item="database"))
        assert failed.steps[0].attempts[-1].error_type == "terraform_failed"
        aborted = await engine.abort(ALICE, failed.request_id)
        assert [(one.type, one.status) for one in aborted.tickets] == [("cleanup", "creating")]


async def test_an_update_that_would_replace_is_refused_and_leaves_all_as_it_was(
    dsn: str, connection: Connection, catalog: GitRepository, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"catalog_url": catalog.url}
    async with Engine(config(dsn, tmp_path / "data", **settings)) as engine:
        instance = await made(engine)
        before = await engine.instance(ALICE, instance)

        failed = await carried(engine, grow(instance, size="large", zone="b"))

        step = next(one for one in failed.steps if one.step_id == "resize")
        assert (failed.status, step.attempts[-1].error_type) == ("failed", "plan_destroys")
        assert "terraform_data.disk" in (step.attempts[-1].error_message or "")
        after = await engine.instance(ALICE, instance)
        assert after.instance_state == "degraded"
        assert after.service_outputs == before.service_outputs
        assert after.deployment_parameters == {"size": "small"}
        assert (after.failed_request_id, after.instance_usable) == (failed.request_id, True)
        assert after.update_repeatable is False
        assert after.comparison["size"] == {"asked": "large", "actual": "small"}
        (entry,) = await engine.instance_history(ALICE, instance)
        assert entry.upgrade_status == "failed"
