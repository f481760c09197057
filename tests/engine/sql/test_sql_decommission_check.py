"""can_decommission_instance: who stands in the way."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.founding_rows import Rows

NEEDED = "Instance has required dependents that must be decommissioned first"


async def check(rows: Rows, instance: UUID) -> tuple[bool, str | None, list[Any]]:
    """Return the answer, the reason and the ids of those in the way."""
    found = await rows.all("SELECT * FROM can_decommission_instance(%s)", instance)
    ((can, reason, blocking),) = found
    ids = [
        await rows.value(
            "SELECT id FROM service_instances WHERE instance_id = %s", b["instance_id"]
        )
        for b in blocking
    ]
    return can, reason, ids


FREE = (True, None, [])


async def test_an_instance_that_nobody_needs_may_go(rows: Rows) -> None:
    instance = await rows.instance()
    await rows.depend(instance, await rows.instance())

    assert await check(rows, instance) == FREE


async def test_an_unknown_instance_may_not(rows: Rows) -> None:
    assert await check(rows, uuid4()) == (False, "Instance does not exist", [])


async def test_one_that_is_gone_may_not(rows: Rows) -> None:
    instance = await rows.instance("decommissioned")

    assert await check(rows, instance) == (False, "Instance is already decommissioned", [])


@pytest.mark.parametrize(
    "state", ["provisioning", "active", "updating", "degraded", "failed", "decommissioning"]
)
async def test_a_required_dependent_blocks_until_it_is_gone(rows: Rows, state: str) -> None:
    provider, dependent = await rows.instance(), await rows.instance(state)
    await rows.depend(dependent, provider)

    assert await check(rows, provider) == (False, NEEDED, [dependent])


async def test_a_dependent_that_is_gone_does_not_block(rows: Rows) -> None:
    provider = await rows.instance()
    await rows.depend(await rows.instance("decommissioned"), provider)

    assert await check(rows, provider) == FREE


async def test_an_optional_dependent_does_not_block(rows: Rows) -> None:
    provider = await rows.instance()
    await rows.depend(await rows.instance(), provider, required=False)

    assert await check(rows, provider) == FREE


async def test_those_in_the_way_are_told_with_name_state_owner_and_what_they_need(
    rows: Rows,
) -> None:
    provider = await rows.instance(instance_id="si-provider")
    dependent = await rows.instance(instance_id="si-dependent", instance_name="shop")
    await rows.depend(dependent, provider, "network")

    blocking = await rows.value(
        "SELECT blocking_instances FROM can_decommission_instance(%s)", provider
    )

    assert blocking == [
        {
            "instance_id": "si-dependent",
            "instance_name": "shop",
            "instance_state": "active",
            "dependency_type": "network",
            "owner_user_id": "U1",
            "owner_team": "payments",
            "needs": "si-provider",
        }
    ]


@pytest.mark.parametrize("status", ["submitted", "validating", "in_progress", "resuming"])
@pytest.mark.parametrize("type_", ["update", "upgrade"])
async def test_an_active_request_blocks(rows: Rows, type_: str, status: str) -> None:
    instance = await rows.instance()
    await rows.request(type_, status, target_instance_id=instance, request_id="req-busy")

    can, reason, blocking = await check(rows, instance)

    assert (can, blocking) == (False, [])
    assert reason == f"Active requests must end first: req-busy ({type_}, {status})"


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "aborted"])
async def test_a_request_that_ended_does_not_block(rows: Rows, status: str) -> None:
    instance = await rows.instance()
    await rows.request("update", status, target_instance_id=instance)

    assert await check(rows, instance) == FREE


async def test_its_own_decommission_does_not_block(rows: Rows) -> None:
    instance = await rows.instance()
    request = await rows.request("decommission", target_instance_id=instance)
    assert await check(rows, instance) == FREE

    await rows.move(request, "validating", "in_progress")

    assert await check(rows, instance) == FREE


async def test_a_create_that_is_under_way_blocks(rows: Rows) -> None:
    request = await rows.request()
    instance = await rows.value("SELECT reserve_service_instance(%s, 'orders')", request)

    assert not (await check(rows, instance))[0]


async def test_a_bundle_is_blocked_by_who_needs_a_member(rows: Rows) -> None:
    member, outsider = await rows.instance(), await rows.instance()
    bundle = await rows.bundle_instance([member])
    await rows.depend(outsider, member)

    assert await check(rows, bundle) == (False, NEEDED, [outsider])


async def test_members_of_a_bundle_do_not_block_each_other(rows: Rows) -> None:
    database, app = await rows.instance(), await rows.instance()
    bundle = await rows.bundle_instance([database, app])
    await rows.depend(app, database)

    assert await check(rows, bundle) == FREE


async def test_a_member_that_another_needs_may_not_go_alone(rows: Rows) -> None:
    database, app = await rows.instance(), await rows.instance()
    await rows.bundle_instance([database, app])
    await rows.depend(app, database)

    assert await check(rows, database) == (False, NEEDED, [app])
    assert await check(rows, app) == FREE


async def test_a_dependent_on_its_way_out_blocks_unless_it_is_of_the_same_bundle(
    rows: Rows,
) -> None:
    database, app = await rows.instance(), await rows.instance("decommissioning")
    await rows.depend(app, database)
    assert await check(rows, database) == (False, NEEDED, [app])

    await rows.bundle_instance([database, app], "decommissioning")

    assert await check(rows, database) == FREE


async def test_a_member_that_is_gone_is_not_asked_for(rows: Rows) -> None:
    member, outsider = await rows.instance(), await rows.instance()
    bundle = await rows.bundle_instance([member])
    await rows.depend(outsider, member)
    await rows.value(
        "UPDATE service_instances SET instance_state = 'decommissioned' WHERE id = %s RETURNING 1",
        member,
    )

    assert await check(rows, bundle) == FREE


async def test_a_member_shared_with_another_living_bundle_blocks(rows: Rows) -> None:
    member = await rows.instance()
    bundle = await rows.bundle_instance([member])
    other = await rows.bundle_instance([member])

    assert await check(rows, bundle) == (
        False, "Instance shares members with another bundle", [other],
    )  # fmt: skip


async def test_a_member_shared_with_a_bundle_that_is_gone_does_not_block(rows: Rows) -> None:
    member = await rows.instance()
    bundle = await rows.bundle_instance([member])
    await rows.bundle_instance([member], "decommissioned")

    assert await check(rows, bundle) == FREE


async def test_an_active_request_on_a_member_blocks_the_bundle(rows: Rows) -> None:
    member = await rows.instance()
    bundle = await rows.bundle_instance([member])
    await rows.request("update", "in_progress", target_instance_id=member)

    assert not (await check(rows, bundle))[0]


async def test_several_reasons_are_told_together(rows: Rows) -> None:
    instance, dependent = await rows.instance(), await rows.instance()
    await rows.depend(dependent, instance)
    await rows.request("update", target_instance_id=instance, request_id="req-busy")

    can, reason, blocking = await check(rows, instance)

    assert not can
    assert reason == f"{NEEDED}; Active requests must end first: req-busy (update, submitted)"
    assert blocking == [dependent]


async def test_a_decommission_does_not_start_while_somebody_is_in_the_way(rows: Rows) -> None:
    provider = await rows.instance()
    await rows.depend(await rows.instance(), provider)
    request = await rows.request("decommission", target_instance_id=provider)

    with pytest.raises(psycopg.errors.CheckViolation, match=NEEDED) as refused:
        await rows.move(request, "validating")

    assert refused.value.diag.constraint_name == "check_can_decommission"
    assert await rows.state(provider) == "active"


async def test_a_decommission_does_not_resume_when_somebody_came_in_the_way(rows: Rows) -> None:
    provider = await rows.instance()
    request = await rows.request("decommission", target_instance_id=provider)
    await rows.move(request, "validating", "in_progress", "failed")
    await rows.depend(await rows.instance(), provider)

    with pytest.raises(psycopg.errors.CheckViolation, match=NEEDED):
        await rows.move(request, "resuming")

    assert await rows.state(provider) == "degraded"
