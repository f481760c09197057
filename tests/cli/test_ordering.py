"""`pao request`: orders of items and bundles, files to fill in, checks, the same again."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from engine.store.pool import Connection
from tests.support.command_line import CommandLine, on_database
from tests.support.engines import MANUAL, add_bundle, add_item, automation
from tests.support.http_server import HttpServer
from tests.support.pao import Pao

FIELDS = [
    {"name": "size", "type": "string", "default": "small", "help_text": "How big"},
    {"name": "token", "type": "secret"},
]
STACK = {
    "required_items": [{"name": "db", "catalog_item": "database", "role": "storage"}],
    "optional_items": [{"name": "cache", "catalog_item": "cache"}],
}


def step(server: HttpServer, path: str) -> dict[str, object]:
    template = {"url": f"{server.url}{path}", "body": {"size": "{{ size }}"}}
    return {"name": "make", "type": "HttpPost", "template": template}


@pytest.fixture
async def pao_request(
    connection: Connection, dsn: str, tmp_path: Path, http_server: HttpServer
) -> CommandLine:
    """A catalog of a database, a cache, and a stack of both; each is made by one call."""
    for item in ("database", "cache"):
        http_server.answer("POST", f"/{item}", json={"endpoint": f"{item}:1"})
        made = automation([step(http_server, f"/{item}")])
        await add_item(connection, item, fields=FIELDS, fulfillment=made)
    region = {"name": "region", "type": "string", "required": True}
    await add_bundle(connection, "stack", STACK, fields=[region])
    return on_database(Pao(tmp_path), dsn)


async def test_a_bundle_is_ordered_with_values_for_its_components(
    pao_request: CommandLine, http_server: HttpServer, tmp_path: Path
) -> None:
    file = tmp_path / "stack.yaml"
    components = {"db": {"parameters": {"size": "medium"}}, "cache": {"enabled": True}}
    file.write_text(yaml.safe_dump({"region": "eu", "components": components}))
    made = await pao_request.json(
        "request", "submit", "--bundle", "stack", "--name", "shop", "--params", str(file),
        "--param", "cache.size=tiny", "--wait",
    )  # fmt: skip
    assert made["status"] == "completed"
    assert made["catalog_bundle"] == "stack"
    assert sorted(one["step_id"] for one in made["steps"]) == ["cache/make", "db/make"]
    assert http_server.requests("POST", "/database")[0].json() == {"size": "medium"}
    assert http_server.requests("POST", "/cache")[0].json() == {"size": "tiny"}
    shown = await pao_request("service", "get", made["instance_id"])
    assert "Members" in shown.out
    assert "storage" in shown.out
    whole = await pao_request.json("service", "get", made["instance_id"])
    member = next(one for one in whole["members"] if one["component_name"] == "db")
    of_member = await pao_request.json("service", "get", member["instance_id"])
    assert [one["instance_id"] for one in of_member["bundles"]] == [made["instance_id"]]


async def test_an_optional_component_is_left_out_unless_it_is_asked_for(
    pao_request: CommandLine, http_server: HttpServer
) -> None:
    planned = await pao_request.json(
        "request", "submit", "--bundle", "stack", "--param", "region=eu", "--dry-run"
    )
    assert [one["step_id"] for one in planned["steps"]] == ["db/make"]
    assert planned["request_id"] is None
    assert (await pao_request.json("request", "list"))["items"] == []
    assert http_server.received == []


async def test_errors_name_the_component_and_the_field(pao_request: CommandLine) -> None:
    found = await pao_request.json(
        "request", "validate", "--bundle", "stack",
        "--param", "region=eu", "--param", "db.sise=big", code=1,
    )  # fmt: skip
    assert found["valid"] is False
    assert [one["field"] for one in found["errors"]] == ["db.sise"]
    error = await pao_request.error("request", "submit", "--bundle", "stack")
    assert error["field"] == "region"


async def test_a_components_secret_is_not_taken_from_the_command_line(
    pao_request: CommandLine, tmp_path: Path
) -> None:
    order = ("request", "submit", "--bundle", "stack", "--param", "region=eu", "--dry-run")
    error = await pao_request.error(*order, "--param", "db.token=hush")
    assert error["field"] == "db.token"
    assert "hush" not in error["message"]
    file = tmp_path / "token"
    file.write_text("hush\n")
    shown = await pao_request(*order, "--param", f"db.token=@{file}", "--output", "json")
    assert shown.code == 0, shown.err
    assert "hush" not in shown.out + shown.err


@pytest.mark.parametrize("components", ["[]", "{db: 1}", "{db: {parameters: []}}"])
async def test_components_of_a_wrong_shape_are_refused(
    pao_request: CommandLine, tmp_path: Path, components: str
) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(f"region: eu\ncomponents: {components}\n")
    error = await pao_request.error("request", "submit", "--bundle", "stack", "--params", str(file))
    assert error["field"].startswith("components")


async def test_a_template_is_a_file_that_can_be_handed_in_as_it_is(
    pao_request: CommandLine,
) -> None:
    empty = await pao_request("request", "template", "--bundle", "stack")
    assert "# How big" in empty.out
    assert yaml.safe_load(empty.out) == {
        "region": None,
        "components": {
            "db": {"parameters": {"size": "small"}},
            "cache": {"enabled": False, "parameters": {"size": "small"}},
        },
    }
    filled = empty.out.replace("region:", "region: eu").replace('"small"', '"large"', 1)
    done = await pao_request(
        "request", "submit", "--bundle", "stack", "--params", "-", "--dry-run", stdin=filled
    )
    assert done.code == 0, done.err
    data = await pao_request.json("request", "template", "--bundle", "stack")
    assert data["components"]["cache"]["enabled"] is False
    of_item = await pao_request("request", "template", "--item", "database")
    assert yaml.safe_load(of_item.out) == {"size": "small"}


@pytest.mark.parametrize(
    "arguments",
    [["submit"], ["submit", "--item", "a", "--bundle", "b"], ["template"],
     ["template", "--item", "database", "--instance", "si-1"],
     ["validate", "--update", "resize"], ["list", "--waiting", "--status", "failed"],
     ["submit", "--item", "database", "--at", "tomorrow"], ["reject", "req-1"]],
    ids=" ".join,
)  # fmt: skip
async def test_what_does_not_go_together_is_wrong_usage(
    pao_request: CommandLine, arguments: list[str]
) -> None:
    assert (await pao_request("request", *arguments)).code == 2


async def test_a_bundle_is_a_bundle_and_an_item_an_item(pao_request: CommandLine) -> None:
    for wrong in (("--item", "stack"), ("--bundle", "database"), ("--bundle", "stak")):
        error = await pao_request.error("request", "submit", *wrong)
        assert error["code"] in {"not_found", "unknown_document"}


async def test_the_same_key_gives_the_same_request(pao_request: CommandLine) -> None:
    order = ("request", "submit", "--item", "database", "--idempotency-key", "k1")
    first = await pao_request.json(*order)
    assert (await pao_request.json(*order))["request_id"] == first["request_id"]
    error = await pao_request.error(*order, "--param", "size=large")
    assert error["request_id"] == first["request_id"]


async def test_a_manual_item_waits_for_its_ticket(
    pao_request: CommandLine, connection: Connection, http_server: HttpServer
) -> None:
    http_server.answer("POST", "/tickets", json={"id": "T-1"})
    manual = {**MANUAL, "template": {"url": f"{http_server.url}/tickets"}}
    await add_item(connection, "desk", fields=[], fulfillment={"manual": manual})
    waited = await pao_request.json(
        "request", "submit", "--item", "desk", "--wait", "--timeout", "5s", code=1
    )
    assert (waited["status"], waited["timed_out"]) == ("in_progress", True)
    waiting = await pao_request.json("request", "list", "--waiting")
    assert [one["request_id"] for one in waiting["items"]] == [waited["request_id"]]
    done = await pao_request.json("request", "resolve", waited["request_id"])
    assert done["status"] == "completed"
    assert (await pao_request.json("request", "list", "--waiting"))["items"] == []
