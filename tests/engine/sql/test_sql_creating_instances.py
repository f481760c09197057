"""reserve_service_instance, activate_service_instance, create_service_instance."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.founding_rows import Rows

READ = (
    "SELECT instance_name, instance_state, owner_user_id, owner_team, catalog_version,"
    " provisioned_at IS NOT NULL FROM service_instances WHERE id = %s"
)


async def reserve(rows: Rows, request: UUID, name: str = "orders") -> Any:
    return await rows.value("SELECT reserve_service_instance(%s, %s)", request, name)


async def create(rows: Rows, request: UUID, name: str | None = "orders") -> Any:
    return await rows.value(
        "SELECT create_service_instance(%s, %s, %s, %s)",
        request, name, Jsonb({"endpoint": "db:5432"}), Jsonb([{"address": "a", "type": "t", "id": "1"}]),
    )  # fmt: skip


async def complete(rows: Rows, request: UUID) -> None:
    await rows.move(request, "validating", "in_progress", "completed")


async def test_a_reserved_instance_is_provisioning_and_the_requests_subject(rows: Rows) -> None:
    request = await rows.request(catalog_version="2.1.0")

    instance = await reserve(rows, request)

    assert await rows.all(READ, instance) == [
        ("orders", "provisioning", "U1", "payments", "2.1.0", False)
    ]
    subject = "SELECT subject_instance_id FROM service_requests WHERE id = %s"
    assert await rows.value(subject, request) == instance


async def test_reserving_twice_gives_the_same_instance(rows: Rows) -> None:
    request = await rows.request()

    assert await reserve(rows, request) == await reserve(rows, request, "another")


async def test_who_has_no_team_owns_it_personally(rows: Rows) -> None:
    instance = await reserve(rows, await rows.request(requester_team=None))

    owner = "SELECT owner_team FROM service_instances WHERE id = %s"
    assert await rows.value(owner, instance) == "personal:U1"


async def test_a_reservation_is_told_by_an_event(rows: Rows) -> None:
    await reserve(rows, await rows.request())

    assert await rows.events("instance.changed") == [{"from": None, "to": "provisioning"}]


@pytest.mark.parametrize("type_", ["update", "decommission"])
async def test_only_a_create_reserves(rows: Rows, type_: str) -> None:
    with pytest.raises(psycopg.errors.NoDataFound):
        await reserve(rows, await rows.request(type_))


async def test_ids_are_twelve_characters_that_do_not_repeat(rows: Rows) -> None:
    ids = await rows.all("SELECT new_instance_id() FROM generate_series(1, 2000)")

    assert all(re.fullmatch(r"si-[a-z0-9]{12}", id_) for id_ in ids)
    assert len(set(ids)) == len(ids)
    assert set("".join(id_[3:] for id_ in ids)) == set("abcdefghijklmnopqrstuvwxyz0123456789")


async def test_an_id_that_is_taken_is_drawn_again(rows: Rows) -> None:
    await rows.instance(instance_id="si-aaaaaaaaaaaa")
    await rows.connection.execute("CREATE SEQUENCE draws")
    await rows.connection.execute(
        "CREATE OR REPLACE FUNCTION new_instance_id() RETURNS VARCHAR LANGUAGE sql AS $$"
        " SELECT CASE WHEN nextval('draws') < 3 THEN 'si-aaaaaaaaaaaa' ELSE 'si-bbbbbbbbbbbb' END $$"
    )

    instance = await reserve(rows, await rows.request())

    drawn = "SELECT instance_id FROM service_instances WHERE id = %s"
    assert await rows.value(drawn, instance) == "si-bbbbbbbbbbbb"


async def test_completion_promotes_the_reserved_instance(rows: Rows) -> None:
    request = await rows.request()
    reserved = await reserve(rows, request, "draft")
    await complete(rows, request)

    assert await create(rows, request) == reserved

    assert await rows.all(READ, reserved) == [("orders", "active", "U1", "payments", "1.0.0", True)]
    made = "SELECT service_outputs, deployed_resources FROM service_instances WHERE id = %s"
    assert await rows.all(made, reserved) == [
        ({"endpoint": "db:5432"}, [{"address": "a", "type": "t", "id": "1"}])
    ]


async def test_completion_without_a_reservation_inserts(rows: Rows) -> None:
    request = await rows.request(parameters={"size": "small"})
    await complete(rows, request)

    instance = await create(rows, request)

    assert await rows.all(READ, instance) == [("orders", "active", "U1", "payments", "1.0.0", True)]
    read = "SELECT deployment_parameters, creation_request_id FROM service_instances WHERE id = %s"
    assert await rows.all(read, instance) == [({"size": "small"}, request)]


async def test_creating_again_changes_nothing(rows: Rows) -> None:
    request = await rows.request()
    await complete(rows, request)
    instance = await create(rows, request)
    row = await rows.all("SELECT * FROM service_instances WHERE id = %s", instance)

    assert await create(rows, request, "other name") == instance

    assert await rows.all("SELECT * FROM service_instances WHERE id = %s", instance) == row


async def test_creating_again_does_not_bring_back_what_is_gone(rows: Rows) -> None:
    request = await rows.request()
    await complete(rows, request)
    instance = await create(rows, request)
    end = await rows.request("decommission", target_instance_id=instance)
    await rows.move(end, "validating", "in_progress", "completed")

    await create(rows, request)

    assert await rows.state(instance) == "decommissioned"


async def test_parameters_that_a_resume_changed_are_what_is_deployed(rows: Rows) -> None:
    request = await rows.request(parameters={"size": "small"})
    instance = await reserve(rows, request)
    await rows.value(
        "UPDATE service_requests SET parameters = %s WHERE id = %s RETURNING 1",
        Jsonb({"size": "large"}), request,
    )  # fmt: skip
    await complete(rows, request)
    await create(rows, request)

    deployed = "SELECT deployment_parameters FROM service_instances WHERE id = %s"
    assert await rows.value(deployed, instance) == {"size": "large"}


@pytest.mark.parametrize("path", [[], ["validating"], ["validating", "in_progress"], ["failed"]])
async def test_nothing_is_created_before_completion(rows: Rows, path: list[str]) -> None:
    request = await rows.request()
    await rows.move(request, *path)

    with pytest.raises(psycopg.errors.NoDataFound, match="not found or not completed"):
        await create(rows, request)


async def test_nothing_is_created_for_an_unknown_request(rows: Rows) -> None:
    with pytest.raises(psycopg.errors.NoDataFound):
        await create(rows, uuid4())


@pytest.mark.parametrize("state", ["active", "failed", "decommissioned"])
async def test_only_what_is_provisioning_is_activated(rows: Rows, state: str) -> None:
    instance = await rows.instance(state)

    assert not await rows.value("SELECT activate_service_instance(%s, '{}', '[]')", instance)
    assert await rows.state(instance) == state
