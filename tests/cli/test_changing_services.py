"""`pao service`: update, upgrade, decommission, each with its confirmation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.store.pool import Connection
from tests.support.command_line import CommandLine, on_database
from tests.support.engines import add_item, add_operation, automation, rows_of
from tests.support.http_server import HttpServer
from tests.support.pao import Pao

FIELDS = [{"name": "size", "type": "string", "default": "small"}]


def made_by(server: HttpServer, path: str, **section: Any) -> dict[str, Any]:
    template = {"url": f"{server.url}{path}", "body": {"size": "{{ size }}"}}
    return automation([{"name": "make", "type": "HttpPost", "template": template}], **section)


def target(versions: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": "database", "version_range": versions, **more}]


@pytest.fixture
async def pao_service(
    connection: Connection, dsn: str, tmp_path: Path, http_server: HttpServer
) -> CommandLine:
    """A database called orders at 1.0.0 of U1, an update, and upgrades that lead from 1 to 3."""
    for path in ("/create", "/resize", "/upgrade"):
        http_server.answer("POST", path, json={"endpoint": f"db{path}"})
    await add_item(connection, fields=FIELDS, fulfillment=made_by(http_server, "/create"))
    await add_operation(
        connection, "update", "resize", target("*"), fields=FIELDS,
        fulfillment=made_by(http_server, "/resize"),
    )  # fmt: skip
    for version in (2, 3):
        await add_operation(
            connection, "upgrade", f"to-{version}",
            target(f"^{version - 1}", to_version=f"{version}.0.0"),
            fields=FIELDS, version=f"{version}.0.0", more={"downtime_required": True},
            fulfillment=made_by(http_server, "/upgrade"),
        )  # fmt: skip
    pao = on_database(Pao(tmp_path), dsn)
    order = ("request", "submit", "--item", "database", "--name", "orders", "--as", "U1", "--wait")
    made = await pao.json(*order)
    assert made["status"] == "completed"
    await connection.execute(
        "UPDATE service_instances SET instance_id = 'si-orders' WHERE instance_name = 'orders'"
    )
    return pao


async def test_an_update_changes_what_is_given_and_keeps_the_rest(
    pao_service: CommandLine, http_server: HttpServer
) -> None:
    done = await pao_service.json(
        "service", "update", "si-orders", "resize", "--param", "size=large", "--wait"
    )
    assert (done["status"], done["request_type"]) == ("completed", "update")
    assert done["update_item"] == "resize"
    assert done["instance_id"] == "si-orders"
    assert http_server.requests("POST", "/resize")[-1].json() == {"size": "large"}
    shown = await pao_service.json("service", "get", "si-orders")
    assert shown["deployment_parameters"] == {"size": "large"}
    again = await pao_service.json("service", "update", "si-orders", "resize", "--wait")
    assert again["status"] == "completed"
    assert http_server.requests("POST", "/resize")[-1].json() == {"size": "large"}
    assert len(await pao_service.json("service", "history", "si-orders")) == 2


async def test_upgrades_follow_each_other_along_the_path(pao_service: CommandLine) -> None:
    offered = await pao_service.json("service", "operations", "si-orders")
    named = {one["operation_name"]: one for one in offered}
    assert named["to-2"]["path"] == ["to-2 2.0.0", "to-3 3.0.0"]
    assert named["resize"]["path"] == []
    assert "to-2 2.0.0, to-3 3.0.0" in (await pao_service("service", "operations", "si-orders")).out
    for name in ("to-2", "to-3"):
        done = await pao_service.json("service", "upgrade", "si-orders", name, "--wait")
        assert done["status"] == "completed"
    shown = await pao_service.json("service", "get", "si-orders")
    assert shown["catalog_version"] == "3.0.0"


async def test_what_a_service_may_not_get_is_refused_with_the_reason(
    pao_service: CommandLine,
) -> None:
    error = await pao_service.error("service", "upgrade", "si-orders", "to-3")
    assert "1.0.0" in error["message"]
    error = await pao_service.error("service", "update", "si-orders", "resice")
    assert "resize" in error["message"]
    error = await pao_service.error(
        "service", "update", "si-orders", "resize", "--param", "sise=large"
    )
    assert error["field"] == "sise"
    error = await pao_service.error("service", "update", "si-none", "resize")
    assert error["code"] == "not_found"
    error = await pao_service.error("service", "update", "si-orders", "resize", "--as", "U7")
    assert error["code"] == "not_found"


async def test_a_dry_run_changes_nothing_and_asks_nothing(
    pao_service: CommandLine, connection: Connection, http_server: HttpServer
) -> None:
    before = await rows_of(connection, "SELECT count(*) FROM service_requests")
    planned = await pao_service.json("service", "upgrade", "si-orders", "to-2", "--dry-run")
    assert (planned["request_id"], planned["dry_run"]) == (None, True)
    assert [one["step_id"] for one in planned["steps"]] == ["make"]
    retired = await pao_service.at_a_terminal(
        "", "service", "decommission", "si-orders", "--dry-run"
    )
    assert retired.code == 0, retired.err
    assert await rows_of(connection, "SELECT count(*) FROM service_requests") == before
    assert http_server.requests("POST", "/upgrade") == []


async def test_the_same_key_gives_the_same_upgrade_even_when_it_is_done(
    pao_service: CommandLine,
) -> None:
    order = ("service", "upgrade", "si-orders", "to-2", "--idempotency-key", "k1")
    first = await pao_service.json(*order, "--wait")
    assert (await pao_service.json(*order))["request_id"] == first["request_id"]


async def test_a_file_of_an_operation_is_prefilled_from_the_service(
    pao_service: CommandLine,
) -> None:
    made = await pao_service.json(
        "service", "update", "si-orders", "resize", "--param", "size=huge", "--wait"
    )
    assert made["status"] == "completed"
    template = ("request", "template", "--update", "resize")
    assert (await pao_service(*template, "--instance", "si-ord")).out.strip() == 'size: "huge"'
    assert (await pao_service(*template)).out.strip() == 'size: "small"'
    checked = await pao_service.json(
        "request", "validate", "--update", "resize", "--instance", "si-orders"
    )
    assert checked == {"valid": True, "errors": []}


async def test_at_a_terminal_the_name_must_be_typed(
    pao_service: CommandLine, connection: Connection
) -> None:
    upgrade = ("service", "upgrade", "si-orders", "to-2")
    wrong = await pao_service.at_a_terminal("oders", *upgrade)
    assert wrong.code == 1
    assert "down" in wrong.err
    assert "Nothing was done" in wrong.err
    running = "SELECT count(*) FROM service_requests WHERE request_type <> 'create'"
    assert await rows_of(connection, running) == [0]
    right = await pao_service.at_a_terminal("orders", *upgrade)
    assert right.code == 0, right.err
    assert await rows_of(connection, running) == [1]


async def test_what_harms_nothing_is_not_asked_about(pao_service: CommandLine) -> None:
    done = await pao_service.at_a_terminal("", "service", "update", "si-orders", "resize")
    assert done.code == 0, done.err
    assert "Type" not in done.err


async def test_a_service_is_decommissioned_by_its_name_or_with_yes(
    pao_service: CommandLine,
) -> None:
    retire = ("service", "decommission", "si-orders")
    assert (await pao_service(*retire, "--check")).code == 0
    wrong = await pao_service.at_a_terminal("", *retire)
    assert wrong.code == 1
    assert "destroyed" in wrong.err
    done = await pao_service.at_a_terminal("", *retire, "--yes", "--output", "json")
    assert done.code == 0, done.err
    assert done.json["request_type"] == "decommission"
    error = await pao_service.error(*retire)
    assert error["request_id"] == done.json["request_id"]


async def test_a_service_that_others_need_stays(
    pao_service: CommandLine, connection: Connection
) -> None:
    await pao_service.json("request", "submit", "--item", "database", "--name", "shop", "--wait")
    await connection.execute(
        "INSERT INTO service_instance_dependencies (dependent_instance_id, provider_instance_id,"
        " dependency_type, is_required) SELECT d.id, p.id, 'data', TRUE FROM service_instances d,"
        " service_instances p WHERE d.instance_name = 'shop' AND p.instance_name = 'orders'"
    )
    assert (await pao_service("service", "decommission", "si-orders", "--check")).code == 1
    error = await pao_service.error("service", "decommission", "si-orders")
    assert "shop" in error["message"]


async def test_a_failed_update_says_what_it_left(
    pao_service: CommandLine, connection: Connection, http_server: HttpServer
) -> None:
    http_server.answer("POST", "/break", status=400)
    await add_operation(
        connection, "update", "break", target("*"), fields=FIELDS,
        fulfillment=made_by(http_server, "/break", fallback_on_failure=False),
    )  # fmt: skip
    failed = await pao_service.json(
        "service", "update", "si-orders", "break", "--param", "size=large", "--wait", code=1
    )
    assert failed["status"] == "failed"
    assert failed["instance_usable"] is not None
    assert failed["comparison"]["size"] == {"asked": "large", "actual": "small"}
    shown = await pao_service.json("service", "get", "si-orders")
    assert shown["failed_request_id"] == failed["request_id"]
    assert shown["update_repeatable"] == failed["update_repeatable"]
    assert "After the change that failed" in (await pao_service("service", "get", "si-orders")).out


async def test_an_update_is_cloned_with_its_values(
    pao_service: CommandLine, http_server: HttpServer
) -> None:
    first = await pao_service.json(
        "service", "update", "si-orders", "resize", "--param", "size=large", "--wait"
    )
    again = await pao_service.json("request", "clone", first["request_id"], "--wait")
    assert again["request_type"] == "update"
    assert again["instance_id"] == "si-orders"
    assert [one.json() for one in http_server.requests("POST", "/resize")] == [
        {"size": "large"}
    ] * 2


async def test_an_order_is_cloned_with_other_values_where_they_are_given(
    pao_service: CommandLine, http_server: HttpServer
) -> None:
    (first,) = (await pao_service.json("request", "list"))["items"]
    again = await pao_service.json(
        "request",
        "clone",
        first["request_id"],
        "--name",
        "second",
        "--param",
        "size=large",
        "--wait",
    )
    assert (again["request_type"], again["instance_name"]) == ("create", "second")
    assert again["instance_id"] != "si-orders"
    assert http_server.requests("POST", "/create")[-1].json() == {"size": "large"}


async def test_a_decommission_waits_for_what_is_cleaned_up_by_hand(
    pao_service: CommandLine,
) -> None:
    waited = await pao_service.json(
        "service", "decommission", "si-orders", "--wait", "--timeout", "5s", code=1
    )
    assert (waited["status"], waited["timed_out"]) == ("in_progress", True)
    done = await pao_service.json("request", "resolve", waited["request_id"], "--wait")
    assert done["status"] == "completed"
    shown = await pao_service.json("service", "get", "si-orders")
    assert shown["instance_state"] == "decommissioned"
