"""reserve_bundle_members: a bundle's members exist from its submission on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.founding_rows import Rows


async def reserve(rows: Rows, request: UUID, *components: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = await rows.value(
        "SELECT reserve_bundle_members(%s, %s)", request, Jsonb(list(components))
    )
    return found


async def bundle_request(rows: Rows, *names: str) -> UUID:
    request = await rows.request(
        catalog_bundle_id=await rows.bundle(),
        plan={"components": {name: {"enabled": True} for name in names}},
    )
    await rows.value("SELECT reserve_service_instance(%s, 'solution')", request)
    return request


async def component(rows: Rows, name: str, **more: Any) -> dict[str, Any]:
    return {
        "component": name,
        "catalog_item_id": str(await rows.item()),
        "catalog_item_name": f"{name}-item",
        "catalog_version": "2.0.0",
        "instance_name": f"solution-{name}",
        **more,
    }


async def test_members_are_provisioning_with_their_roles_and_parameters(rows: Rows) -> None:
    request = await bundle_request(rows, "db", "web")

    members = await reserve(
        rows,
        request,
        await component(rows, "db", role="database", parameters={"size": "small"}),
        await component(rows, "web", is_required=False),
    )

    assert await rows.all(
        "SELECT m.component_name, m.catalog_item_name, m.member_role, m.is_required,"
        " si.instance_name, si.instance_state, si.owner_team, si.catalog_version,"
        " si.deployment_parameters, si.creation_request_id = %s"
        " FROM bundle_instance_members m JOIN service_instances si ON si.id = m.member_instance_id"
        " JOIN service_requests r ON r.subject_instance_id = m.bundle_instance_id"
        " ORDER BY m.component_name",
        request,
    ) == [
        ("db", "db-item", "database", True, "solution-db", "provisioning", "payments", "2.0.0",
         {"size": "small"}, True),
        ("web", "web-item", None, False, "solution-web", "provisioning", "payments", "2.0.0", {}, True),
    ]  # fmt: skip
    assert members.keys() == {"db", "web"}


async def test_the_plan_knows_its_members(rows: Rows) -> None:
    request = await bundle_request(rows, "db", "cache")

    members = await reserve(rows, request, await component(rows, "db"))

    plan = await rows.value("SELECT plan FROM service_requests WHERE id = %s", request)
    assert plan["components"] == {
        "db": {"enabled": True, "instance": members["db"]},
        "cache": {"enabled": True},
    }


async def test_members_are_connected_with_their_configuration(rows: Rows) -> None:
    request = await bundle_request(rows, "web", "db")
    edge = {"on": "db", "type": "network", "name": "primary", "required": False, "config": {"a": 1}}

    members = await reserve(
        rows,
        request,
        await component(rows, "web", dependencies=[edge, {"on": "disabled"}]),
        await component(rows, "db", dependencies=None),
    )

    assert await rows.all(
        "SELECT dependent_instance_id::text, provider_instance_id::text, dependency_type,"
        " dependency_name, is_required, dependency_config FROM service_instance_dependencies"
    ) == [(members["web"], members["db"], "network", "primary", False, {"a": 1})]
    assert [event["name"] for event in await rows.events("dependency.added")] == ["primary"]


async def test_reserving_members_twice_gives_the_same_ones(rows: Rows) -> None:
    request = await bundle_request(rows, "db")
    db = await component(rows, "db")

    assert await reserve(rows, request, db) == await reserve(rows, request, db)


async def test_only_a_bundle_has_members(rows: Rows) -> None:
    request = await rows.request()
    await rows.value("SELECT reserve_service_instance(%s, 'single')", request)

    with pytest.raises(psycopg.errors.NoDataFound):
        await reserve(rows, request)


async def test_a_cancelled_bundle_needs_nothing_any_more(rows: Rows) -> None:
    request = await bundle_request(rows, "web", "db")
    web = await component(rows, "web", dependencies=[{"on": "db"}])
    members = await reserve(rows, request, web, await component(rows, "db"))

    await rows.move(request, "cancelled")

    assert {await rows.state(UUID(member)) for member in members.values()} == {"decommissioned"}
    assert await rows.all("SELECT FROM service_instance_dependencies") == []
    assert [event["name"] for event in await rows.events("dependency.removed")] == ["db"]
