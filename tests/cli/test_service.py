"""`pao service`, as its users call it: on a database with instances in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from engine.store.pool import Connection
from tests.support.founding_rows import Rows
from tests.support.pao import Answer, Pao


@dataclass(frozen=True, slots=True)
class Services:
    """Calls `pao service` on the test's database."""

    dsn: str
    folder: Path

    def __call__(self, *arguments: str) -> Answer:
        return Pao(self.folder, {"PAO_DATABASE_URL": self.dsn})("service", *arguments)

    def json(self, *arguments: str) -> Any:
        answer = self(*arguments, "--output", "json")
        assert answer.code == 0, answer.err
        return answer.json


@pytest.fixture
async def service(connection: Connection, dsn: str, tmp_path: Path) -> Services:
    """A database in which `shop` of U1 needs `orders-db` of U2; there is an upgrade for the latter."""
    rows = Rows(connection)
    item = await rows.item("postgresql")
    provider = await rows.instance(
        item=item,
        instance_id="si-orders",
        instance_name="orders-db",
        owner_user_id="U2",
        owner_team="data",
        service_outputs={"endpoint": "db:5432", "password": {"$secret": str(uuid4())}},
        deployed_resources=[{"address": "terraform_data.db", "type": "terraform_data", "id": "1"}],
    )
    dependent = await rows.instance(instance_id="si-shop", instance_name="shop")
    await rows.depend(dependent, provider)
    await rows.operation("upgrade", "to-2", [{"name": "postgresql", "version_range": "^1"}])
    request = await rows.request("update", target_instance_id=provider, request_id="req-resize")
    await rows.move(request, "validating", "in_progress", "completed")
    await rows.value(
        "SELECT record_upgrade_history(%s, %s, '1.0.0', '1.0.0', 'resize')", provider, request
    )
    return Services(dsn, tmp_path)


def test_list_shows_services_and_narrows_them(service: Services) -> None:
    everything = service.json("list")
    assert {i["instance_id"] for i in everything["items"]} == {"si-orders", "si-shop"}
    assert everything["next_cursor"] is None
    assert everything["items"][0].keys() >= {
        "instance_id", "instance_name", "instance_state", "catalog_name", "catalog_version",
        "owner_user_id", "owner_team", "created_at", "updated_at",
    }  # fmt: skip

    found = service.json("list", "ord", "--state", "active", "--item", "postgresql")
    assert [i["instance_name"] for i in found["items"]] == ["orders-db"]
    first = service.json("list", "--limit", "1")
    second = service.json("list", "--limit", "1", "--cursor", first["next_cursor"])
    assert first["items"] != second["items"]


def test_list_shows_a_person_what_is_theirs(service: Services) -> None:
    mine = service.json("list", "--scope", "mine", "--as", "U1")

    assert [i["instance_id"] for i in mine["items"]] == ["si-shop"]


def test_get_shows_a_service_whole_without_its_secrets(service: Services) -> None:
    shown = service.json("get", "si-ord")

    assert shown["instance_id"] == "si-orders"
    assert shown["catalog_item"] == "postgresql"
    assert shown["service_outputs"] == {"endpoint": "db:5432", "password": "••••••••"}
    assert shown["dependencies"][0]["instance_id"] == "si-shop"
    text = service("get", "si-orders").out
    assert "db:5432" in text
    assert "terraform_data.db" in text
    assert "shop" in text


def test_dependencies_are_a_list_or_a_picture(service: Services) -> None:
    (needed,) = service.json("dependencies", "si-shop", "--direction", "providers")
    assert needed == {
        "relationship": "provider",
        "instance_id": "si-orders",
        "instance_name": "orders-db",
        "instance_state": "active",
        "dependency_type": "data",
        "dependency_name": "db",
        "is_required": True,
    }
    assert service.json("dependencies", "si-shop", "--direction", "dependents") == []

    picture = service("dependencies", "si-shop", "--format", "mermaid").out
    assert picture.startswith("graph LR\n")
    assert "si_shop -->" in picture


def test_history_shows_what_ended_and_the_timeline_everything(service: Services) -> None:
    (entry,) = service.json("history", "si-orders")
    assert entry["upgrade_item_name"] == "resize"
    assert (entry["upgrade_type"], entry["upgrade_status"]) == ("configuration", "success")
    assert entry["upgrade_request_id"] == "req-resize"

    happened = service.json("history", "si-orders", "--timeline")
    kinds = [entry["kind"] for entry in happened]
    assert kinds[:3] == ["dependent.added", "request.validating", "instance.changed"]


def test_operations_say_what_may_be_run(service: Services) -> None:
    (operation,) = service.json("operations", "si-orders")

    assert operation["operation_name"] == "to-2"
    assert (operation["eligible"], operation["reason"]) == (True, None)


def test_a_decommission_can_be_asked_for_and_the_code_is_the_answer(service: Services) -> None:
    blocked = service("decommission", "si-orders", "--check", "--output", "json")
    assert blocked.code == 1
    assert blocked.json["can_decommission"] is False
    assert blocked.json["reason"]
    assert [b["instance_id"] for b in blocked.json["blocking_instances"]] == ["si-shop"]
    assert "shop" in service("decommission", "si-orders", "--check").out

    free = service("decommission", "si-shop", "--check", "--output", "json")
    assert (free.code, free.json) == (
        0,
        {"can_decommission": True, "reason": None, "blocking_instances": []},
    )


@pytest.mark.parametrize(
    "arguments",
    [["get", "si-none"], ["history", "si-none"], ["dependencies", "si-none"],
     ["operations", "si-none"], ["decommission", "si-none", "--check"],
     ["get", "si-orders", "--as", "U3"]],
    ids=" ".join,
)  # fmt: skip
def test_an_unknown_service_and_a_foreign_one_are_not_found(
    service: Services, arguments: list[str]
) -> None:
    answer = service(*arguments, "--output", "json")

    assert answer.code == 1
    assert answer.json["error"]["code"] == "not_found"
    assert "not found, or not yours" in answer.err


def test_an_unknown_state_is_refused(service: Services) -> None:
    answer = service("list", "--state", "gone")

    assert answer.code == 1
    assert "decommissioned" in answer.err
