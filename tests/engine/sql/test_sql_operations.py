"""Which updates and upgrades an instance may get."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.support.founding_rows import Rows


async def eligible(rows: Rows, instance: UUID) -> list[Any]:
    return await rows.all(
        "SELECT operation_type, operation_name FROM get_eligible_operations(%s) ORDER BY 1, 2",
        instance,
    )


async def reasons(rows: Rows, instance: UUID) -> dict[str, str | None]:
    """Return the reason of each operation by name; None where it is eligible."""
    found = await rows.all(
        "SELECT operation_name, eligible, reason FROM evaluate_operations(%s)", instance
    )
    assert all(is_eligible is (reason is None) for _, is_eligible, reason in found)
    return {name: reason for name, _, reason in found}


def target(name: str, version_range: str | None = None) -> dict[str, str]:
    return {"name": name} | ({} if version_range is None else {"version_range": version_range})


async def postgres(rows: Rows, version: str = "1.4.0", state: str = "active") -> UUID:
    """Write an instance of the item "PostgreSQL Database" (slug postgresql-database)."""
    item = await rows.item("PostgreSQL Database")
    return await rows.instance(state, item=item, catalog_version=version)


async def test_updates_and_upgrades_of_the_item_are_eligible(rows: Rows) -> None:
    instance = await postgres(rows)
    await rows.operation("update", "resize", [target("PostgreSQL Database", ">=1.0.0")])
    await rows.operation("upgrade", "to-2", [target("PostgreSQL Database", "1.x")])
    await rows.operation("update", "other", [target("Cache", ">=1.0.0")])

    assert await eligible(rows, instance) == [("update", "resize"), ("upgrade", "to-2")]


async def test_an_eligible_operation_comes_with_what_people_must_know(rows: Rows) -> None:
    instance = await postgres(rows)
    await rows.operation(
        "upgrade", "to-2", [target("PostgreSQL Database")], version="2.0.0",
        description="To 2", destructive=False, downtime_required=True, estimated_duration="20m",
    )  # fmt: skip

    assert await rows.all("SELECT * FROM get_eligible_operations(%s)", instance) == [
        ("upgrade", "to-2", "2.0.0", "To 2", False, True, "20m")
    ]


@pytest.mark.parametrize("name", ["PostgreSQL Database", "postgresql-database"])
async def test_targets_name_items_by_name_or_slug(rows: Rows, name: str) -> None:
    instance = await postgres(rows)
    await rows.operation("update", "resize", [target(name)])

    assert await eligible(rows, instance) == [("update", "resize")]


@pytest.mark.parametrize("name", ["Web Stack", "web-stack"])
async def test_targets_name_bundles_too(rows: Rows, name: str) -> None:
    instance = await rows.instance(catalog_bundle_id=await rows.bundle("Web Stack"))
    await rows.operation("update", "resize", [target(name)])

    assert await eligible(rows, instance) == [("update", "resize")]


@pytest.mark.parametrize(
    ("version_range", "reason"),
    [
        (">=1.0.0, <2.0.0", None),
        (None, None),
        ("", None),
        (">=2.0.0, <3.0.0", "version 1.4.0 is outside >=2.0.0, <3.0.0"),
        ("around two", "version 1.4.0 is outside around two"),
    ],
)
async def test_the_version_must_be_inside_the_range(
    rows: Rows, version_range: str | None, reason: str | None
) -> None:
    instance = await postgres(rows)
    await rows.operation("upgrade", "to-2", [target("PostgreSQL Database", version_range)])

    assert await reasons(rows, instance) == {"to-2": reason}


async def test_one_of_several_ranges_is_enough(rows: Rows) -> None:
    instance = await postgres(rows)
    targets = [target("PostgreSQL Database", "^3"), target("postgresql-database", "^1")]
    await rows.operation("update", "resize", targets)

    assert await eligible(rows, instance) == [("update", "resize")]


@pytest.mark.parametrize("state", ["active", "degraded"])
async def test_working_and_degraded_instances_may_be_changed(rows: Rows, state: str) -> None:
    instance = await postgres(rows, state=state)
    await rows.operation("update", "resize", [target("PostgreSQL Database")])

    assert await eligible(rows, instance) == [("update", "resize")]


@pytest.mark.parametrize(
    "state", ["provisioning", "updating", "failed", "decommissioning", "decommissioned"]
)
async def test_in_other_states_nothing_is_eligible(rows: Rows, state: str) -> None:
    instance = await postgres(rows, state=state)
    await rows.operation("update", "resize", [target("PostgreSQL Database")])

    assert await reasons(rows, instance) == {"resize": f"the instance is {state}"}
    assert await eligible(rows, instance) == []


async def test_nothing_is_eligible_while_a_request_is_under_way(rows: Rows) -> None:
    instance = await postgres(rows)
    operation = await rows.operation("update", "resize", [target("PostgreSQL Database")])
    await rows.request(
        "update", target_instance_id=instance, update_item_id=operation, request_id="req-busy"
    )

    assert await reasons(rows, instance) == {"resize": "request req-busy is under way"}


async def test_operations_that_left_the_catalog_are_not_offered(rows: Rows) -> None:
    instance = await postgres(rows)
    await rows.operation("update", "resize", [target("PostgreSQL Database")], is_active=False)

    assert await reasons(rows, instance) == {}


async def test_retired_operations_are_not_eligible(rows: Rows) -> None:
    instance = await postgres(rows)
    await rows.operation("update", "resize", [target("PostgreSQL Database")], lifecycle="retired")

    assert await reasons(rows, instance) == {"resize": "the operation is retired"}


async def test_an_unknown_instance_has_no_operations(rows: Rows) -> None:
    await rows.operation("update", "resize", [target("PostgreSQL Database")])

    assert await eligible(rows, uuid4()) == []


async def run(rows: Rows, type_: str, instance: UUID, operation: UUID, status: str) -> None:
    """Run an operation to its end, as the engine does."""
    request = await rows.request(
        type_, target_instance_id=instance, **{f"{type_}_item_id": operation}
    )
    await rows.move(request, "validating", "in_progress")
    await rows.move(request, "completed" if status == "success" else "failed")
    name = await rows.value(f"SELECT name FROM {type_}_items WHERE id = %s", operation)
    await rows.value(
        "SELECT record_upgrade_history(%s, %s, '1.4.0', '1.4.0', %s, %s)",
        instance, request, name, status,
    )  # fmt: skip


async def test_a_completed_upgrade_is_not_offered_again_in_that_version(rows: Rows) -> None:
    instance = await postgres(rows)
    upgrade = await rows.operation("upgrade", "to-2", [target("PostgreSQL Database")])
    await run(rows, "upgrade", instance, upgrade, "success")
    done = {"to-2": "this version of the upgrade was completed"}
    assert await reasons(rows, instance) == done

    await rows.value("UPDATE upgrade_items SET version = '1.1.0' RETURNING 1")

    assert await reasons(rows, instance) == {"to-2": None}


async def test_a_failed_upgrade_can_be_repeated(rows: Rows) -> None:
    instance = await postgres(rows)
    upgrade = await rows.operation("upgrade", "to-2", [target("PostgreSQL Database")])

    await run(rows, "upgrade", instance, upgrade, "failed")

    assert await reasons(rows, instance) == {"to-2": None}


async def test_an_update_can_be_repeated(rows: Rows) -> None:
    instance = await postgres(rows)
    update = await rows.operation("update", "resize", [target("PostgreSQL Database")])

    await run(rows, "update", instance, update, "success")

    assert await reasons(rows, instance) == {"resize": None}


async def test_an_update_and_an_upgrade_may_share_a_name(rows: Rows) -> None:
    instance = await postgres(rows)
    await rows.operation("update", "move", [target("PostgreSQL Database")])
    upgrade = await rows.operation("upgrade", "move", [target("PostgreSQL Database")])
    await run(rows, "upgrade", instance, upgrade, "success")

    assert await eligible(rows, instance) == [("update", "move")]


TARGETS = "SELECT kind, target_name, version_range FROM operation_targets ORDER BY 2"


async def test_targets_follow_what_a_document_says(rows: Rows) -> None:
    operation = await rows.operation("update", "resize", [target("a", "^1"), target("b")])
    assert await rows.all(TARGETS) == [("update", "a", "^1"), ("update", "b", None)]

    await rows.value(
        "UPDATE update_items SET targets = %s WHERE id = %s RETURNING 1",
        Jsonb({"catalog_items": [target("c", "^2")]}), operation,
    )  # fmt: skip
    assert await rows.all(TARGETS) == [("update", "c", "^2")]

    await rows.value("DELETE FROM update_items RETURNING 1")
    assert await rows.all(TARGETS) == []


async def test_a_change_of_one_document_leaves_the_targets_of_others(rows: Rows) -> None:
    await rows.operation("update", "resize", [target("a")])
    await rows.operation("upgrade", "to-2", [target("b")])

    await rows.value("UPDATE upgrade_items SET version = '1.1.0' RETURNING 1")
    await rows.value("DELETE FROM update_items RETURNING 1")

    assert await rows.all(TARGETS) == [("upgrade", "b", None)]


@pytest.mark.parametrize(
    "targets", [{}, [], {"catalog_items": None}, {"catalog_items": ["a", {}, {"name": None}]}]
)
async def test_targets_that_say_nothing_are_passed_over(rows: Rows, targets: Any) -> None:
    await rows.value(
        "INSERT INTO update_items (name, version, owner, targets, presentation, fulfillment)"
        " VALUES ('odd', '1.0.0', 'platform', %s, '{}', '{}') RETURNING 1",
        Jsonb(targets),
    )

    assert await rows.all(TARGETS) == []


async def test_many_instances_are_judged_as_one_by_one(rows: Rows) -> None:
    item = await rows.item("PostgreSQL Database")
    instances = [
        await rows.instance(state, item=item, catalog_version=version)
        for state in ("active", "degraded", "updating")
        for version in ("1.0.0", "1.4.0", "2.0.0-rc.1", "2.0.0")
    ]
    await rows.operation("update", "resize", [target("PostgreSQL Database", ">=1.2.0")])
    await rows.operation("upgrade", "to-2", [target("postgresql-database", "<2.0.0")])
    single = [
        (instance, *row)
        for instance in instances
        for row in await rows.all(
            "SELECT operation_name, eligible, reason FROM evaluate_operations(%s)", instance
        )
    ]

    together = await rows.all(
        "SELECT instance_id, operation_name, status = 'eligible', reason FROM evaluate_instances(NULL)"
    )

    assert len(single) == 24
    assert sorted(together, key=str) == sorted(single, key=str)


CACHE = (
    "SELECT operation_name, operation_version, eligibility_status, eligibility_reason"
    " FROM eligible_operations ORDER BY 1, 2"
)


async def refresh(rows: Rows, *instances: UUID) -> list[Any]:
    """Return the names of what became eligible."""
    return await rows.all(
        "SELECT operation_name FROM refresh_eligible_operations(%s) ORDER BY 1",
        list(instances) or None,
    )


async def test_the_cache_keeps_every_pair_with_its_reason(rows: Rows) -> None:
    instance = await postgres(rows)
    await rows.operation("update", "resize", [target("PostgreSQL Database")])
    await rows.operation("upgrade", "to-3", [target("PostgreSQL Database", "^2")])

    assert await refresh(rows, instance) == ["resize"]

    assert await rows.all(CACHE) == [
        ("resize", "1.0.0", "eligible", None),
        ("to-3", "1.0.0", "ineligible", "version 1.4.0 is outside ^2"),
    ]
    lives = "SELECT bool_and(expires_at > clock_timestamp()) FROM eligible_operations"
    assert await rows.value(lives) is True


async def test_only_what_became_eligible_is_returned(rows: Rows) -> None:
    instance = await postgres(rows, state="updating")
    await rows.operation("update", "resize", [target("PostgreSQL Database")])
    assert await refresh(rows) == []

    await rows.value("UPDATE service_instances SET instance_state = 'active' RETURNING 1")

    assert await refresh(rows) == ["resize"]
    assert await refresh(rows) == []
    assert await refresh(rows, instance) == []


async def test_what_says_the_same_is_not_written_again_until_half_its_time(rows: Rows) -> None:
    await postgres(rows)
    await rows.operation("update", "resize", [target("PostgreSQL Database")])
    await refresh(rows)
    evaluated = "SELECT evaluated_at FROM eligible_operations"
    first = await rows.value(evaluated)

    await refresh(rows)
    assert await rows.value(evaluated) == first

    await rows.value("UPDATE eligible_operations SET expires_at = clock_timestamp() RETURNING 1")
    await refresh(rows)
    assert await rows.value(evaluated) > first


async def test_a_newer_version_supersedes_what_was_cached(rows: Rows) -> None:
    await postgres(rows)
    await rows.operation("update", "resize", [target("PostgreSQL Database")])
    await refresh(rows)
    await rows.value("UPDATE update_items SET version = '1.1.0' RETURNING 1")

    assert await refresh(rows) == ["resize"]

    assert await rows.all(CACHE) == [
        ("resize", "1.0.0", "superseded", "superseded by version 1.1.0"),
        ("resize", "1.1.0", "eligible", None),
    ]


async def test_an_operation_that_left_the_catalog_is_ineligible(rows: Rows) -> None:
    await postgres(rows)
    await rows.operation("update", "resize", [target("PostgreSQL Database")])
    await refresh(rows)
    await rows.value("UPDATE update_items SET is_active = FALSE RETURNING 1")

    await refresh(rows)

    assert await rows.all(CACHE) == [
        ("resize", "1.0.0", "ineligible", "the operation is not offered any more")
    ]


async def test_a_completed_row_stays_and_does_not_expire(rows: Rows) -> None:
    instance = await postgres(rows)
    upgrade = await rows.operation("upgrade", "to-2", [target("PostgreSQL Database")])
    await refresh(rows)
    await run(rows, "upgrade", instance, upgrade, "success")
    await rows.value("UPDATE upgrade_items SET version = '1.1.0' RETURNING 1")

    assert await refresh(rows) == ["to-2"]

    found = await rows.all(
        "SELECT operation_version, eligibility_status, expires_at IS NULL"
        " FROM eligible_operations ORDER BY 1"
    )
    assert found == [("1.0.0", "completed", True), ("1.1.0", "eligible", False)]


async def test_refreshing_some_leaves_others_alone(rows: Rows) -> None:
    item = await rows.item("PostgreSQL Database")
    one, _ = await rows.instance(item=item), await rows.instance(item=item)
    await rows.operation("update", "resize", [target("PostgreSQL Database")])

    await refresh(rows, one)

    assert await rows.all("SELECT instance_id FROM eligible_operations") == [one]


async def test_the_cache_is_refreshed_for_all_instances_of_a_document(rows: Rows) -> None:
    instance = await postgres(rows)
    other = await rows.instance(item=await rows.item("Cache"))
    await rows.operation("update", "resize", [target("PostgreSQL Database")])
    await rows.operation("update", "flush", [target("Cache")])
    item = await rows.value("SELECT catalog_item_id FROM service_instances WHERE id = %s", instance)

    fresh = "SELECT operation_name FROM refresh_operations(NULL, ARRAY[%s::uuid])"
    assert await rows.all(fresh, item) == ["resize"]

    cached = "SELECT instance_id FROM eligible_operations"
    assert await rows.all(cached) == [instance]
    assert other not in await rows.all(cached)
    await rows.value("UPDATE update_items SET is_active = FALSE RETURNING 1")
    assert await rows.all(fresh, item) == []
    assert await rows.all(
        "SELECT eligibility_status, eligibility_reason, expires_at FROM eligible_operations"
    ) == [("ineligible", "the operation is not offered any more", None)]
