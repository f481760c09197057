"""What happens to an instance when a request about it moves."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from tests.support.founding_rows import Rows


async def reserved(rows: Rows, request: UUID) -> UUID:
    found = await rows.value("SELECT reserve_service_instance(%s, 'orders')", request)
    assert isinstance(found, UUID)
    return found


CREATES = [
    (["failed"], "failed"),
    (["cancelled"], "decommissioned"),
    (["validating", "failed"], "failed"),
    (["validating", "cancelled"], "decommissioned"),
    (["validating", "in_progress"], "provisioning"),
    (["validating", "in_progress", "failed"], "failed"),
    (["validating", "in_progress", "cancelled"], "decommissioned"),
    (["validating", "in_progress", "aborted"], "failed"),
    (["validating", "in_progress", "failed", "aborted"], "failed"),
    (["validating", "in_progress", "failed", "resuming"], "provisioning"),
    (["validating", "in_progress", "failed", "resuming", "failed"], "failed"),
    (["validating", "in_progress", "failed", "resuming", "aborted"], "failed"),
    (["validating", "in_progress", "failed", "resuming", "in_progress"], "provisioning"),
]


@pytest.mark.parametrize(("path", "state"), CREATES)
async def test_a_create_moves_the_instance_it_reserved(
    rows: Rows, path: list[str], state: str
) -> None:
    request = await rows.request()
    instance = await reserved(rows, request)

    await rows.move(request, *path)

    assert await rows.state(instance) == state
    gone = "SELECT decommissioned_at IS NOT NULL FROM service_instances WHERE id = %s"
    assert await rows.value(gone, instance) is (state == "decommissioned")


async def test_a_failed_create_finds_its_instance_by_the_creation_request_alone(rows: Rows) -> None:
    request = await rows.request(status="in_progress")
    instance = await rows.instance("provisioning", creation_request_id=request)

    await rows.move(request, "failed")

    assert await rows.state(instance) == "failed"


async def test_members_of_a_bundle_that_are_active_stay_so_when_another_fails(rows: Rows) -> None:
    request = await rows.request(
        status="in_progress", catalog_item_id=None, catalog_bundle_id=await rows.bundle()
    )
    bundle = await reserved(rows, request)
    done = await rows.instance("active", creation_request_id=request)
    started = await rows.instance("provisioning", creation_request_id=request)

    await rows.move(request, "failed")
    assert [await rows.state(i) for i in (bundle, done, started)] == ["failed", "active", "failed"]
    await rows.move(request, "resuming")
    assert [await rows.state(i) for i in (bundle, done, started)] == [
        "provisioning",
        "active",
        "provisioning",
    ]


LATER = "2100-01-01"
WORKING = {"update": "updating", "upgrade": "updating", "decommission": "decommissioning"}
DONE = {"update": "active", "upgrade": "active", "decommission": "decommissioned"}
BEFORE, WORK, END = "before", "working", "done"
DAY_TWO = [
    (["failed"], BEFORE),
    (["cancelled"], BEFORE),
    (["validating"], WORK),
    (["validating", "failed"], BEFORE),
    (["validating", "cancelled"], BEFORE),
    (["validating", "failed", "aborted"], BEFORE),
    (["validating", "failed", "resuming"], WORK),
    (["validating", "failed", "resuming", "in_progress", "completed"], END),
    (["validating", "in_progress"], WORK),
    (["validating", "in_progress", "completed"], END),
    (["validating", "in_progress", "cancelled"], BEFORE),
    (["validating", "in_progress", "aborted"], "degraded"),
    (["validating", "in_progress", "failed"], "degraded"),
    (["validating", "in_progress", "failed", "aborted"], "degraded"),
    (["validating", "in_progress", "failed", "resuming"], WORK),
    (["validating", "in_progress", "failed", "resuming", "failed"], "degraded"),
    (["validating", "in_progress", "failed", "resuming", "aborted"], "degraded"),
    (["validating", "in_progress", "failed", "resuming", "in_progress", "completed"], END),
]


@pytest.mark.parametrize("type_", WORKING)
@pytest.mark.parametrize(("path", "state"), DAY_TWO)
@pytest.mark.parametrize("before", ["active", "degraded"])
async def test_a_request_moves_the_instance_it_targets(
    rows: Rows, type_: str, path: list[str], state: str, before: str
) -> None:
    instance = await rows.instance(before)
    request = await rows.request(type_, target_instance_id=instance)

    await rows.move(request, *path)

    expected = {BEFORE: before, WORK: WORKING[type_], END: DONE[type_]}.get(state, state)
    assert await rows.state(instance) == expected


@pytest.mark.parametrize("type_", WORKING)
@pytest.mark.parametrize("end", ["failed", "aborted"])
async def test_what_was_rolled_back_leaves_the_state_from_before(
    rows: Rows, type_: str, end: str
) -> None:
    instance = await rows.instance()
    request = await rows.request(type_, target_instance_id=instance)
    await rows.move(request, "validating", "in_progress")

    await rows.value("UPDATE service_requests SET rolled_back = TRUE RETURNING 1")
    await rows.move(request, end)

    assert await rows.state(instance) == "active"


@pytest.mark.parametrize("type_", WORKING)
async def test_a_request_that_never_passed_validating_here_still_degrades_its_target(
    rows: Rows, type_: str
) -> None:
    instance = await rows.instance()
    request = await rows.request(type_, "in_progress", target_instance_id=instance)

    await rows.move(request, "failed")

    assert await rows.state(instance) == "degraded"


@pytest.mark.parametrize("type_", ["update", "upgrade"])
async def test_a_completed_change_is_the_instances_last_update(rows: Rows, type_: str) -> None:
    instance = await rows.instance()
    request = await rows.request(type_, target_instance_id=instance)

    await rows.move(request, "validating", "in_progress", "completed")

    last = "SELECT last_update_request_id FROM service_instances WHERE id = %s"
    assert await rows.value(last, instance) == request


async def test_a_completed_decommission_is_dated(rows: Rows) -> None:
    request = await rows.request("decommission")

    await rows.move(request, "validating", "in_progress", "completed")

    assert await rows.value("SELECT decommissioned_at IS NOT NULL FROM service_instances")


async def test_every_change_of_an_instance_is_an_event_and_a_new_version(rows: Rows) -> None:
    instance = await rows.instance()
    request = await rows.request("update", target_instance_id=instance)

    await rows.move(request, "validating", "in_progress", "failed")

    assert await rows.events("instance.changed") == [
        {"from": "active", "to": "updating"},
        {"from": "updating", "to": "degraded"},
    ]
    told = "SELECT DISTINCT request_id, instance_id FROM events WHERE kind = 'instance.changed'"
    assert await rows.all(told) == [(request, instance)]
    assert await rows.value("SELECT version FROM service_instances WHERE id = %s", instance) == 3


async def test_a_bundle_takes_its_living_members_along(rows: Rows) -> None:
    states = ["active", "degraded", "decommissioned"]
    members = [await rows.instance(state) for state in states]
    bundle = await rows.bundle_instance(members)
    request = await rows.request("decommission", target_instance_id=bundle)

    await rows.move(request, "validating")
    assert [await rows.state(m) for m in members] == ["decommissioning"] * 2 + ["decommissioned"]
    await rows.move(request, "cancelled")
    assert [await rows.state(m) for m in (*members, bundle)] == [*states, "active"]


@pytest.mark.parametrize(
    ("end", "state"), [("completed", "decommissioned"), ("failed", "degraded")]
)
async def test_the_members_of_a_bundle_end_as_it_does(rows: Rows, end: str, state: str) -> None:
    members = [await rows.instance(), await rows.instance()]
    bundle = await rows.bundle_instance(members)
    request = await rows.request("decommission", target_instance_id=bundle)

    await rows.move(request, "validating", "in_progress", end)

    assert [await rows.state(m) for m in (*members, bundle)] == [state] * 3


async def test_an_update_of_a_bundle_leaves_its_members_alone(rows: Rows) -> None:
    member = await rows.instance()
    request = await rows.request("update", target_instance_id=await rows.bundle_instance([member]))

    await rows.move(request, "validating")

    assert await rows.state(member) == "active"


@pytest.mark.parametrize(
    ("type_", "state"),
    [
        *[(t, s) for t in ("update", "upgrade") for s in ("provisioning", "failed")],
        *[(t, s) for t in WORKING for s in ("updating", "decommissioning", "decommissioned")],
    ],
)
async def test_nothing_starts_on_an_instance_that_cannot_change(
    rows: Rows, type_: str, state: str
) -> None:
    instance = await rows.instance(state)
    request = await rows.request(type_, target_instance_id=instance)

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        await rows.move(request, "validating")

    assert refused.value.diag.constraint_name == "check_instance_can_change"
    assert await rows.state(instance) == state


async def test_a_failed_instance_can_be_decommissioned(rows: Rows) -> None:
    instance = await rows.instance("failed")
    request = await rows.request("decommission", target_instance_id=instance)

    await rows.move(request, "validating", "in_progress", "completed")

    assert await rows.state(instance) == "decommissioned"


async def test_a_failed_request_cannot_be_resumed_once_another_was_started(rows: Rows) -> None:
    instance = await rows.instance()
    first = await rows.request("update", target_instance_id=instance)
    await rows.move(first, "validating", "in_progress", "failed")
    second = await rows.request("update", target_instance_id=instance, created_at=LATER)
    await rows.move(second, "validating", "in_progress", "completed")

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        await rows.move(first, "resuming")

    assert refused.value.diag.constraint_name == "check_resume_not_overtaken"
    assert await rows.state(instance) == "active"


async def test_an_old_failure_that_is_aborted_does_not_touch_what_came_after(rows: Rows) -> None:
    instance = await rows.instance()
    first = await rows.request("update", target_instance_id=instance)
    await rows.move(first, "validating", "in_progress", "failed")
    second = await rows.request("update", target_instance_id=instance, created_at=LATER)
    await rows.move(second, "validating", "in_progress", "completed")

    await rows.move(first, "aborted")

    assert await rows.state(instance) == "active"
