"""An instance and a bundle from their order to their end, on real Git, Terraform and HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine import Actor, Conflict, Engine, RequestView, Submission
from engine.store.pool import Connection
from tests.support.engines import ALICE, BOB, config, rows_of
from tests.support.git import new_repository
from tests.support.http_server import HttpServer

pytestmark = pytest.mark.terraform

MODULE = """
variable "size" { type = string }
variable "engine" { type = string }
variable "password" {
  type      = string
  sensitive = true
}
resource "terraform_data" "db" { input = "${var.size}-${var.engine}" }
output "host" { value = "db-${terraform_data.db.output}" }
"""

HEAD = """
name: %s
version: %s
owner: platform
description: For tests.
"""

INFRASTRUCTURE = """
      - name: infrastructure
        type: TerraformFile
        template:
          module_source: modules/db
          variables: {size: "{{ size }}", engine: "{{ engine }}", password: "{{ password }}"}
"""

TUNED = INFRASTRUCTURE.replace('"{{ engine }}"', '"{{ engine }}{{ flavour }}{{ tuning }}"')
"""The same by an operation that reads what the instance may lack, and a field of its own."""

MANUAL = """
fulfillment:
  manual:
    system: webhook
    template: {url: URL/tickets, body: {summary: "By hand, please"}}
"""

DATABASE = (
    HEAD % ("database", "2.0.0")
    + """
presentation:
  fields:
    - {name: size, type: selection, oneof: [small, large], default: small}
    - {name: engine, type: string, default: "16"}
    - {name: password, type: secret, required: true}
"""
    + MANUAL
    + "  automation:\n    steps:"
    + INFRASTRUCTURE
)
APP = (
    HEAD % ("app", "1.0.0")
    + """
presentation:
  fields:
    - {name: database_host, type: string, required: true}
    - {name: replicas, type: integer, default: 1}
"""
    + MANUAL
    + """
  automation:
    steps:
      - name: deploy
        type: HttpPut
        template:
          url: URL/apps
          body: {id: "{{ instance.id }}", host: "{{ database_host }}", replicas: "{{ replicas }}"}
  decommission:
    automation:
      steps:
        - name: remove
          type: HttpPost
          template:
            url: URL/gone
            body: {id: "{{ instance.id }}", host: "{{ database_host }}"}
"""
)
CACHE = HEAD % ("cache", "1.0.0") + "presentation: {fields: []}" + MANUAL
REPORT = (
    HEAD % ("report", "1.0.0")
    + "dependencies: [{catalog_item: database, name: source}]\npresentation: {fields: []}"
    + MANUAL
)
SHOP = (
    HEAD % ("shop", "1.0.0")
    + """
bundle:
  required_items:
    - {name: db, catalog_item: database, parameters: {password: "{{ password }}"}}
    - name: web
      catalog_item: app
      parameters: {database_host: "{{ components['db'].outputs.host }}"}
      dependencies: [{on: db, name: data}]
  optional_items:
    - {name: cache, catalog_item: cache}
presentation:
  bundle_fields: [{name: password, type: secret, required: true}]
"""
)
TARGETS = """
targets:
  catalog_items:
    - name: database
      version_range: ">=2.0.0, <%s"
      required_parameters: [%s]
      %s
"""
GROW = (
    "kind: UpdateItem"
    + HEAD % ("grow", "1.0.0")
    + TARGETS % ("9.0.0", "engine, password", "optional_parameters: [flavour]")
    + """
presentation:
  fields:
    - {name: size, type: selection, oneof: [small, large], required: true}
    - {name: tuning, type: string}
"""
    + MANUAL
    + "  automation:\n    steps:"
    + TUNED
)
MODERN = (
    "kind: UpgradeItem"
    + HEAD % ("modern", "3.0.0")
    + TARGETS % ("3.0.0", "size, password", "to_version: 3.0.0")
    + 'presentation: {fields: [{name: engine, type: string, default: "17", readonly: true}]}'
    + MANUAL
    + "  automation:\n    steps:"
    + INFRASTRUCTURE
)


@pytest.fixture
async def engine(
    dsn: str, connection: Connection, http_server: HttpServer, tmp_path: Path
) -> AsyncIterator[Engine]:
    files = {
        "database": DATABASE,
        "app": APP,
        "cache": CACHE,
        "report": REPORT,
        "shop": SHOP,
        "grow": GROW,
        "modern": MODERN,
    }
    repository = new_repository(tmp_path / "catalog")
    repository.commit(
        {
            **{
                f"catalog/things/{name}.yaml": text.replace("URL", http_server.url)
                for name, text in files.items()
            },
            "modules/db/main.tf": MODULE,
        }
    )
    ticket = {"id": "T-1", "url": f"{http_server.url}/tickets/T-1", "status": "open"}
    http_server.answer("POST", "/tickets", status=201, json=ticket)
    http_server.answer("GET", "/tickets/T-1", json={**ticket, "status": "resolved"})
    async with Engine(config(dsn, tmp_path / "data", catalog_url=repository.url)) as engine:
        report = await engine.sync_catalog(None, trigger="cli")
        assert report.errors == []
        yield engine


async def done(engine: Engine, submission: Submission, actor: Actor = ALICE) -> RequestView:
    """Submit and carry to the end."""
    view = await engine.submit(actor, submission)
    ended = await engine.drive(view.request_id, timeout=180)
    assert ended.status == "completed", ended
    return ended


def day2(kind: Any, instance_id: str, name: str | None = None, **parameters: Any) -> Submission:
    return Submission(parameters, item=name, instance=instance_id, request_type=kind)


async def states(connection: Connection) -> list[str]:
    """The resources that Terraform's states still hold."""
    found = await rows_of(
        connection,
        "SELECT r->>'name' FROM terraform.states, jsonb_array_elements(data::jsonb->'resources') r",
    )
    return [str(one) for one in found]


async def test_an_instance_is_made_grown_upgraded_and_taken_down(
    engine: Engine, connection: Connection
) -> None:
    wanted = Submission({"password": "hunter22!"}, item="database", instance_name="orders")
    id_ = (await done(engine, wanted)).instance_id or ""

    grown = await done(engine, day2("update", id_, "grow", size="large"))
    assert grown.steps[0].outputs == {"host": "db-large-16"}
    upgraded = await done(engine, day2("upgrade", id_, "modern"))
    assert upgraded.steps[0].outputs == {"host": "db-large-17"}

    found = await engine.instance(ALICE, id_)
    assert (found.instance_state, found.catalog_version) == ("active", "3.0.0")
    assert found.service_outputs == {"host": "db-large-17"}
    assert found.deployment_parameters["size"] == "large"
    assert found.deployment_parameters["engine"] == "17"
    history = await engine.instance_history(ALICE, id_)
    assert [(one.upgrade_type, one.upgrade_status, one.to_version) for one in history] == [
        ("major", "success", "3.0.0"),
        ("configuration", "success", "2.0.0"),
    ]
    with pytest.raises(Conflict, match="cannot be run on orders"):
        await engine.submit(ALICE, day2("upgrade", id_, "modern"))

    assert await states(connection) == ["db"]
    # Once more an update, so that the last to touch the state names what the instance lacks.
    await done(engine, day2("update", id_, "grow", size="small"))
    gone = await done(engine, day2("decommission", id_))
    assert [one.step_id for one in gone.steps] == ["infrastructure"]
    assert await states(connection) == []
    assert (await engine.instance(ALICE, id_)).instance_state == "decommissioned"


async def test_a_bundle_lives_as_one_and_in_its_members(
    engine: Engine, connection: Connection, http_server: HttpServer
) -> None:
    http_server.answer("PUT", "/apps", json={"url": "http://shop"})
    http_server.answer("POST", "/gone", json={})
    wanted = Submission(
        {"password": "hunter22!"},
        bundle="shop",
        instance_name="shop",
        components={
            "db": {"parameters": {"size": "large"}},
            "web": {"parameters": {"replicas": 2}},
        },
    )
    made = await done(engine, wanted)
    shop = await engine.instance(ALICE, made.instance_id or "")
    members = {one.component_name: one.instance_id for one in shop.members}
    assert set(members) == {"db", "web"}
    assert shop.service_outputs["db"] == {"host": "db-large-16"}
    deployed = {"id": members["web"], "host": "db-large-16", "replicas": 2}
    assert http_server.requests("PUT", "/apps")[0].json() == deployed
    database = await engine.instance(ALICE, members["db"])
    assert (database.instance_state, database.service_outputs) == (
        "active",
        {"host": "db-large-16"},
    )

    await done(engine, day2("update", members["db"], "grow", size="small"))
    report = await engine.submit(
        BOB, Submission({}, item="report", dependencies={"source": members["db"]})
    )
    await engine.resolve(BOB, report.request_id)
    with pytest.raises(Conflict) as refused:
        await engine.submit(ALICE, day2("decommission", shop.instance_id))
    assert (report.instance_id or "?") in str(refused.value)

    ending = await done(engine, day2("decommission", report.instance_id or ""), BOB)
    assert [(one.step_id, one.type) for one in ending.steps] == [("cleanup", "manual")]
    gone = await done(engine, day2("decommission", shop.instance_id))
    assert {one.step_id: one.depends_on for one in gone.steps} == {
        "web/remove": (),
        "db/infrastructure": ("web/remove",),
    }
    removed = {"id": members["web"], "host": "db-large-16"}
    assert http_server.requests("POST", "/gone")[0].json() == removed
    assert await states(connection) == []
    left = await rows_of(connection, "SELECT DISTINCT instance_state FROM service_instances")
    assert left == ["decommissioned"]
    assert "hunter22" not in str(await rows_of(connection, "SELECT t::text FROM events t"))
