"""`--dry-run`: every template rendered, Terraform's plan shown, and nothing changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from engine import SECRET_DOTS
from engine.store.pool import Connection
from tests.support.command_line import CommandLine, on_database
from tests.support.engines import MANUAL, add_item, automation, rows_of
from tests.support.git import new_repository
from tests.support.pao import Pao

FIELDS = [
    {"name": "size", "type": "string", "default": "small"},
    {"name": "token", "type": "secret"},
]
STEPS = [
    {
        "name": "infrastructure",
        "type": "TerraformFile",
        "template": {"module_source": "modules/db", "variables": {"size": "{{ size }}"}},
    },
    {
        "name": "register",
        "type": "HttpPost",
        "depends_on": ["infrastructure"],
        "template": {
            "url": "http://127.0.0.1:9/{{ size }}",
            "headers": {"X-Token": "{{ token }}"},
            "body": {"endpoint": "{{ steps.infrastructure.outputs.endpoint }}"},
        },
    },
    {
        "name": "announce",
        "type": "HttpPost",
        "when": "{{ size == 'large' }}",
        "template": {"url": "http://127.0.0.1:9/"},
    },
]
ORDER = ("request", "submit", "--item", "database", "--dry-run")


MISSING = {"PAO_TERRAFORM_BIN": "/nowhere/terraform"}

MODULE = """
variable "size" {}
resource "terraform_data" "db" { input = var.size }
output "endpoint" { value = terraform_data.db.output }
"""


@pytest.fixture
async def pao_dry(connection: Connection, dsn: str, tmp_path: Path) -> CommandLine:
    """A catalog with one database."""
    await add_item(connection, fields=FIELDS, fulfillment=automation(STEPS))
    return on_database(Pao(tmp_path), dsn)


async def test_what_is_known_before_it_runs_is_shown(
    pao_dry: CommandLine, connection: Connection, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("hush-hush")
    shown = await pao_dry(*ORDER, "--param", f"token=@{token}", **MISSING)
    assert shown.code == 0, shown.err
    assert "the parameters are valid; nothing was ordered" in shown.out
    assert "There is no /nowhere/terraform on this machine" in shown.out
    assert "url: http://127.0.0.1:9/small" in shown.out
    assert "Known when it runs: steps.infrastructure.outputs.endpoint" in shown.out
    assert "hush-hush" not in shown.out + shown.err
    assert await rows_of(connection, "SELECT count(*) FROM service_requests") == [0]


async def test_the_json_has_it_step_by_step(pao_dry: CommandLine) -> None:
    planned = await pao_dry.json(*ORDER, **MISSING)
    found = {one["step_id"]: one["rehearsal"] for one in planned["steps"]}
    assert found["announce"] == {
        "runs": False,
        "template": None,
        "plan": None,
        "problem": None,
        "note": None,
        "waits_for": [],
    }
    assert found["register"]["runs"] is True
    assert found["register"]["template"]["url"] == "http://127.0.0.1:9/small"


async def test_what_would_fail_is_said_and_the_dry_run_is_done(
    connection: Connection, dsn: str, tmp_path: Path
) -> None:
    call = {
        "name": "call",
        "type": "HttpPost",
        "template": {"url": "http://127.0.0.1:9/{{ sise }}"},
    }
    await add_item(connection, fields=FIELDS, fulfillment=automation([call]))
    shown = await on_database(Pao(tmp_path), dsn)(*ORDER)
    assert shown.code == 0, shown.err
    assert "It would fail: url: There is no 'sise' here" in shown.out


async def test_what_may_come_is_shown_too(connection: Connection, dsn: str, tmp_path: Path) -> None:
    call = {"name": "call", "type": "HttpPost", "template": {"url": "http://127.0.0.1:9/"}}
    undo = {"name": "undo", "type": "HttpDelete", "template": {"url": "http://127.0.0.1:9/undo"}}
    template = {"url": "http://127.0.0.1:9/tickets", "headers": {"X-Token": "{{ token }}"}}
    fulfillment = {
        "manual": {"system": "webhook", "template": template},
        "automation": {"steps": [call]},
        "rollback": {"steps": [undo]},
    }
    await add_item(connection, fields=FIELDS, fulfillment=fulfillment)
    token = tmp_path / "token"
    token.write_text("hush-hush")
    pao = on_database(Pao(tmp_path), dsn)
    shown = await pao(*ORDER, "--param", f"token=@{token}")
    planned = await pao.json(*ORDER, "--param", f"token=@{token}")
    assert "Steps that would run after a failure:" in shown.out
    assert "url: http://127.0.0.1:9/undo" in shown.out
    assert "The ticket for work by hand, webhook:" in shown.out
    assert "url: http://127.0.0.1:9/tickets" in shown.out
    assert "hush-hush" not in shown.out + str(planned)
    (ticket,) = planned["rehearsal"]["tickets"]
    assert ticket["template"] == {**template, "headers": {"X-Token": SECRET_DOTS}}
    assert [one["name"] for one in planned["rehearsal"]["rollback"]] == ["undo"]


@pytest.mark.terraform
async def test_terraforms_own_plan_is_shown(
    pao_dry: CommandLine, connection: Connection, tmp_path: Path
) -> None:
    document = {
        "name": "modular",
        "version": "1.0.0",
        "owner": "platform",
        "description": "A database.",
        "presentation": {"fields": [{**FIELDS[0], "label": "Size"}]},
        "fulfillment": {"manual": MANUAL, "automation": {"steps": STEPS[:1]}},
    }
    files = {"catalog/modular.yaml": yaml.safe_dump(document), "modules/db/main.tf": MODULE}
    url = new_repository(tmp_path / "repository", files).url
    assert (await pao_dry("catalog", "sync", "--url", url)).code == 0
    shown = await pao_dry("request", "submit", "--item", "modular", "--dry-run")
    assert shown.code == 0, shown.err
    assert "1 to add" in shown.out
    assert await rows_of(connection, "SELECT count(*) FROM terraform.states") == [0]
