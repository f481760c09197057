"""Dry runs: every template rendered, Terraform's own plan shown, and nothing changed anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, ForeseenTemplate, RequestView, Submission
from engine.results import SECRET_DOTS
from engine.store.pool import Connection
from tests.support.engines import ALICE, add_item, automation, config, rows_of
from tests.support.engines import MANUAL as MANUAL_SECTION
from tests.support.git import GitRepository, new_repository
from tests.support.workbench import Workbench, step_of

needs_terraform = pytest.mark.terraform

DB = """
variable "size" {}
variable "zone" { default = "a" }
variable "password" {
  default   = ""
  sensitive = true
}
resource "terraform_data" "db" {
  input            = var.size
  triggers_replace = var.zone
}
output "endpoint" { value = "db-${terraform_data.db.output}" }
"""
NETWORK = """
resource "terraform_data" "vpc" {}
resource "terraform_data" "subnet" {}
output "subnet" { value = terraform_data.subnet.id }
"""
MANUAL = """
  manual: {system: webhook, template: {url: "http://127.0.0.1:9/tickets"}}
"""
DATABASE = f"""
name: database
version: 1.0.0
owner: platform
description: A database.
presentation:
  fields:
    - {{name: size, type: string, label: Size, default: small}}
    - {{name: password, type: secret, label: Password, required: true}}
fulfillment:{MANUAL}
  automation:
    steps:
      - name: infrastructure
        type: TerraformFile
        template:
          module_source: modules/db
          variables: {{size: "{{{{ size }}}}", password: "{{{{ password }}}}"}}
      - name: register
        type: HttpPost
        template:
          url: "http://127.0.0.1:9/{{{{ size }}}}"
          body: {{endpoint: "{{{{ steps.infrastructure.outputs.endpoint }}}}"}}
        verification: {{type: http_status, expected_status: 201}}
      - name: announce
        type: HttpPost
        when: "{{{{ size == 'large' }}}}"
        template: {{url: "http://127.0.0.1:9/large"}}
      - name: audit
        type: HttpPost
        when: "{{{{ steps.infrastructure.outputs.endpoint != 'db-small' }}}}"
        template: {{url: "http://127.0.0.1:9/{{{{ steps.announce.outputs.id }}}}"}}
"""
PLAIN = f"""
name: plain
version: 1.0.0
owner: platform
description: A database and nothing else.
presentation:
  fields:
    - {{name: size, type: string, label: Size, default: small}}
    - {{name: subnet, type: string, label: Subnet, required: true}}
fulfillment:{MANUAL}
  automation:
    steps:
      - name: infrastructure
        type: TerraformFile
        template:
          module_source: modules/db
          variables: {{size: "{{{{ size }}}}", zone: "{{{{ subnet }}}}"}}
"""
CHANGE = f"""
name: change
version: 1.0.0
owner: platform
description: Another size, or another subnet.
targets:
  catalog_items:
    - {{name: plain, version_range: ">=1.0.0"}}
presentation:
  fields:
    - {{name: size, type: string, label: Size}}
    - {{name: subnet, type: string, label: Subnet}}
fulfillment:{MANUAL}
  automation:
    steps:
      - name: resize
        type: TerraformFile
        template:
          module_source: modules/db
          state: infrastructure
          variables: {{size: "{{{{ size }}}}", zone: "{{{{ subnet }}}}"}}
"""
NET = f"""
name: net
version: 1.0.0
owner: platform
description: A network.
presentation:
  fields:
    - {{name: cidr, type: string, label: Range, default: 10.0.0.0/16}}
fulfillment:{MANUAL}
  automation:
    steps:
      - name: infrastructure
        type: TerraformFile
        template: {{module_source: modules/network}}
"""
SHOP = """
name: shop
version: 1.0.0
owner: platform
description: A network, and a database in it.
bundle:
  required_items:
    - {name: net, catalog_item: net}
    - name: db
      catalog_item: plain
      parameters: {size: large, subnet: "{{ components.net.outputs.subnet }}"}
presentation:
  bundle_fields: []
"""
FILES: Mapping[str, str] = {
    "catalog/database.yaml": DATABASE,
    "catalog/plain.yaml": PLAIN,
    "catalog/net.yaml": NET,
    "catalog/shop.yaml": SHOP,
    "catalog/change.yaml": CHANGE,
    "modules/db/main.tf": DB,
    "modules/network/main.tf": NETWORK,
}
ORDER = Submission({"password": "hunter22!"}, item="database", dry_run=True)


@asynccontextmanager
async def serving(
    dsn: str, folder: Path, files: Mapping[str, str] = FILES, **settings: Any
) -> AsyncIterator[Engine]:
    """An engine with the catalog in service."""
    repository: GitRepository = new_repository(folder / "catalog", files)
    async with Engine(
        config(dsn, folder / "data", catalog_url=repository.url, **settings)
    ) as engine:
        report = await engine.sync_catalog(None, trigger="cli")
        assert report.errors == []
        yield engine


async def everything(connection: Connection) -> dict[str, Any]:
    """A digest of every table of every schema, Terraform's states among them."""
    tables = await rows_of(
        connection,
        "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
    )
    return {
        table: await rows_of(
            connection,
            f"SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM {table} t",
        )
        for table in tables
    }


def foreseen(view: RequestView, step: str) -> Mapping[str, Any]:
    found = next(one for one in view.steps if one.step_id == step).rehearsal
    assert found is not None
    return found


async def deployed(engine: Engine) -> str:
    """The id of a service that was really made."""
    made = await engine.submit(ALICE, Submission({"subnet": "a"}, item="plain"))
    ended = await engine.drive(made.request_id, timeout=120)
    assert ended.status == "completed", ended
    assert ended.instance_id is not None
    return ended.instance_id


def changing(instance: str, **parameters: Any) -> Submission:
    return Submission(
        parameters, item="change", instance=instance, request_type="update", dry_run=True
    )


@needs_terraform
async def test_a_create_is_planned_and_rendered_as_far_as_it_is_known(
    dsn: str, connection: Connection, tmp_path: Path
) -> None:
    async with serving(dsn, tmp_path) as engine:
        before = await everything(connection)
        view = await engine.submit(ALICE, ORDER)
        assert await everything(connection) == before

    assert foreseen(view, "infrastructure") == {
        "runs": True,
        "template": {
            "module_source": "modules/db",
            "variables": {"size": "small", "password": SECRET_DOTS},
        },
        "plan": {"add": 1, "change": 0, "destroy": 0},
        "problem": None,
        "note": None,
        "waits_for": [],
    }
    register = foreseen(view, "register")
    assert register["template"] == {
        "url": "http://127.0.0.1:9/small",
        "body": {"endpoint": "{{ steps.infrastructure.outputs.endpoint }}"},
    }
    assert register["waits_for"] == ["steps.infrastructure.outputs.endpoint"]
    assert (register["runs"], register["plan"], register["problem"]) == (True, None, None)
    assert foreseen(view, "announce")["runs"] is False
    assert foreseen(view, "announce")["template"] is None
    audit = foreseen(view, "audit")
    assert (audit["runs"], audit["template"]) == (None, {"url": "http://127.0.0.1:9/"})
    assert not any((tmp_path / "data" / "rehearsals").iterdir())


@needs_terraform
async def test_an_update_is_planned_against_what_there_is(
    dsn: str, connection: Connection, tmp_path: Path
) -> None:
    async with serving(dsn, tmp_path) as engine:
        instance = await deployed(engine)
        before = await everything(connection)
        view = await engine.submit(ALICE, changing(instance, size="large"))
        replacing = await engine.submit(ALICE, changing(instance, subnet="b"))
        retiring = await engine.submit(
            ALICE,
            Submission({}, instance=instance, request_type="decommission", dry_run=True),
        )
        assert await everything(connection) == before

    change = foreseen(view, "resize")
    assert change["plan"] == {"add": 0, "change": 1, "destroy": 0}
    assert change["problem"] is None
    refused = foreseen(replacing, "resize")
    assert refused["plan"] == {"add": 1, "change": 0, "destroy": 1}
    assert "would destroy or replace terraform_data.db" in refused["problem"]
    (gone,) = retiring.steps
    assert foreseen(retiring, gone.step_id)["plan"] == {"add": 0, "change": 0, "destroy": 1}


@needs_terraform
async def test_a_bundles_component_waits_for_what_another_gives(
    dsn: str, connection: Connection, tmp_path: Path
) -> None:
    async with serving(dsn, tmp_path) as engine:
        before = await everything(connection)
        view = await engine.submit(ALICE, Submission({}, bundle="shop", dry_run=True))
        assert await everything(connection) == before

    assert foreseen(view, "net/infrastructure")["plan"] == {"add": 2, "change": 0, "destroy": 0}
    database = foreseen(view, "db/infrastructure")
    assert database["template"]["variables"] == {"size": "large", "zone": "{{ subnet }}"}
    assert database["waits_for"] == ["components.net.outputs.subnet"]
    assert (database["plan"], database["problem"]) == (None, None)
    assert database["note"] == "Its plan is known when what it waits for is known"


@needs_terraform
async def test_a_module_that_cannot_be_read_is_the_steps_problem(dsn: str, tmp_path: Path) -> None:
    broken = {**FILES, "modules/network/main.tf": 'resource "terraform_data" {'}
    async with serving(dsn, tmp_path, broken) as engine:
        view = await engine.submit(ALICE, Submission({}, item="net", dry_run=True))
    found = foreseen(view, "infrastructure")
    assert found["plan"] is None
    assert "network" in found["problem"] or "terraform init failed" in found["problem"]


async def test_without_terraform_the_rest_is_told_and_the_lack_of_it_said(
    dsn: str, connection: Connection, tmp_path: Path
) -> None:
    async with serving(dsn, tmp_path, terraform_bin="/nowhere/terraform") as engine:
        before = await everything(connection)
        view = await engine.submit(ALICE, ORDER)
        assert await everything(connection) == before
    found = foreseen(view, "infrastructure")
    assert (found["plan"], found["problem"]) == (None, None)
    assert "There is no /nowhere/terraform on this machine" in found["note"]
    assert foreseen(view, "register")["template"]["url"] == "http://127.0.0.1:9/small"


@needs_terraform
async def test_a_plan_is_waited_for_no_longer_than_was_said(dsn: str, tmp_path: Path) -> None:
    hurried = Submission(
        {"password": "hunter22!"}, item="database", dry_run=True, dry_run_seconds=0
    )
    async with serving(dsn, tmp_path) as engine:
        view = await engine.submit(ALICE, hurried)
    found = foreseen(view, "infrastructure")
    assert (found["plan"], found["problem"]) == (None, None)
    assert found["note"] == "Its plan took too long to be waited for"
    assert not any((tmp_path / "data").glob("rehearsals/*"))


async def test_a_template_that_cannot_be_rendered_is_the_steps_problem(bench: Workbench) -> None:
    url, not_yet = "http://127.0.0.1:9/", "{{ steps.call.outputs.url }}"
    listed = {"X-Names": "{{ parameters }}"}
    templates = {
        "call": {"url": "http://127.0.0.1:9/{{ sise }}"},
        "wrong": {"url": url, "headers": listed},
        "wrong_beside": {"url": not_yet, "headers": listed},
        "open": {"url": url, "headers": {**listed, "X-Other": not_yet}},
    }
    steps = [
        {"name": name, "type": "HttpPost", "template": template}
        for name, template in templates.items()
    ]
    await add_item(bench.connection, fulfillment=automation(steps))

    view = await bench.engine.submit(ALICE, Submission({}, item="database", dry_run=True))

    call = step_of(view, "call").rehearsal or {}
    assert "There is no 'sise' here" in call["problem"]
    assert call["problem"].startswith("url: ")
    assert call["template"] is None
    for name in ("wrong", "wrong_beside"):
        found = step_of(view, name).rehearsal or {}
        assert "headers.X-Names: Input should be a valid string" in found["problem"]
    assert (step_of(view, "open").rehearsal or {})["problem"] is None
    assert await bench.one("SELECT count(*) FROM service_requests") == 0


async def test_a_request_that_is_made_is_not_rehearsed(bench: Workbench) -> None:
    call = {"name": "call", "type": "HttpPost", "template": {"url": "http://127.0.0.1:9/"}}
    await add_item(bench.connection, fulfillment=automation([call]))
    view = await bench.engine.submit(ALICE, Submission({}, item="database"))
    assert view.steps[0].rehearsal is None


def ticket_of(view: RequestView, component: str | None = None) -> ForeseenTemplate:
    assert view.rehearsal is not None
    return next(one for one in view.rehearsal.tickets if one.component == component)


async def test_a_ticket_for_work_by_hand_is_rendered_with_secrets_as_dots(
    bench: Workbench,
) -> None:
    manual = {
        "system": "webhook",
        "template": {
            "url": "http://127.0.0.1:9/{{ size }}",
            "headers": {"Authorization": "Bearer {{ token }}"},
            "body": {"summary": "A {{ size }} one", "token": "{{ token }}"},
        },
    }
    fields = [{"name": "size", "type": "string"}, {"name": "token", "type": "secret"}]
    await add_item(bench.connection, fields=fields, fulfillment={"manual": manual})
    asked = Submission({"size": "large", "token": "hush-hush"}, item="database", dry_run=True)

    view = await bench.engine.submit(ALICE, asked)

    assert view.steps == []
    assert ticket_of(view) == ForeseenTemplate(
        "webhook",
        None,
        {
            "url": "http://127.0.0.1:9/large",
            "headers": {"Authorization": f"Bearer {SECRET_DOTS}"},
            "body": {"summary": "A large one", "token": SECRET_DOTS},
        },
    )
    assert "hush-hush" not in repr(view)
    assert await bench.one("SELECT count(*) FROM outbox") == 0


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ({"url": "http://127.0.0.1:9/{{ sise }}"}, "url: There is no 'sise' here"),
        (
            {"url": "http://127.0.0.1:9/", "headers": {"X-Names": "{{ parameters }}"}},
            "The ticket's template cannot be used: headers.X-Names: Input should be a valid string",
        ),
    ],
)
async def test_what_is_wrong_with_a_ticket_is_found(
    bench: Workbench, template: Mapping[str, Any], problem: str
) -> None:
    manual = {"system": "webhook", "template": template}
    await add_item(bench.connection, fulfillment={"manual": manual})
    view = await bench.engine.submit(ALICE, Submission({}, item="database", dry_run=True))
    assert problem in (ticket_of(view).problem or "")


async def test_a_ticket_waits_for_what_steps_would_give(bench: Workbench) -> None:
    call = {"name": "call", "type": "HttpPost", "template": {"url": "http://127.0.0.1:9/"}}
    described = "Made so far: {{ steps.call.outputs.id }}"
    template = {"url": "http://127.0.0.1:9/", "body": described}
    manual = {"system": "webhook", "template": template}
    await add_item(bench.connection, fulfillment={**automation([call]), "manual": manual})
    view = await bench.engine.submit(ALICE, Submission({}, item="database", dry_run=True))
    ticket = ticket_of(view)
    assert (ticket.template, ticket.problem) == (template, None)
    assert ticket.waits_for == ("steps.call.outputs.id",)


async def test_the_steps_of_a_rollback_are_rendered_beside_the_others(bench: Workbench) -> None:
    url = "http://127.0.0.1:9/{{ size }}"
    undo = [
        {"name": "undo", "type": "HttpDelete", "template": {"url": url}},
        {"name": "tell", "type": "HttpPost", "template": {"url": "{{ sise }}"}},
        {
            "name": "free",
            "type": "HttpDelete",
            "template": {"url": "http://127.0.0.1:9/{{ steps.call.outputs.id }}"},
        },
        {"name": "plan", "type": "TerraformFile", "template": {"module_source": "modules/db"}},
    ]
    call = {"name": "call", "type": "HttpPost", "template": {"url": url}}
    fulfillment = {**automation([call]), "rollback": {"steps": undo}}
    fields = [{"name": "size", "type": "string", "default": "small"}]
    await add_item(bench.connection, fields=fields, fulfillment=fulfillment)

    view = await bench.engine.submit(ALICE, Submission({}, item="database", dry_run=True))

    assert [step.step_id for step in view.steps] == ["call"]
    assert view.rehearsal is not None
    found = {step.name: step.rehearsal or {} for step in view.rehearsal.rollback}
    assert list(found) == ["undo", "tell", "free", "plan"]
    assert found["undo"]["template"] == {"url": "http://127.0.0.1:9/small"}
    assert "There is no 'sise' here" in found["tell"]["problem"]
    assert found["free"]["waits_for"] == ["steps.call.outputs.id"]
    assert found["plan"]["note"] == "Its plan is known when something has failed"
    assert await bench.one("SELECT count(*) FROM service_requests") == 0


async def test_the_checks_before_the_steps_are_rendered(bench: Workbench) -> None:
    call = {"name": "call", "type": "HttpPost", "template": {"url": "http://127.0.0.1:9/"}}
    checks = [
        "validate_maintenance_window",
        {"check": "check_backup_status", "template": {"url": "http://127.0.0.1:9/{{ size }}"}},
        {"check": "check_backup_status", "template": {"url": "{{ sise }}"}},
    ]
    automatic = {"steps": [call], "pre_execution_checks": checks}
    fields = [{"name": "size", "type": "string", "default": "small"}]
    fulfillment = {"manual": MANUAL_SECTION, "automation": automatic}
    await add_item(bench.connection, fields=fields, fulfillment=fulfillment)

    view = await bench.engine.submit(ALICE, Submission({}, item="database", dry_run=True))

    assert view.rehearsal is not None
    good, wrong = view.rehearsal.checks
    assert (good.name, good.template) == (
        "check_backup_status",
        {"url": "http://127.0.0.1:9/small"},
    )
    assert "There is no 'sise' here" in (wrong.problem or "")
