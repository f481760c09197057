"""The cache of eligible operations: judged again after a change, and when its time is over."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from engine.instances import eligibility
from engine.store.pool import Pool
from tests.support.eventually import eventually
from tests.support.founding_rows import Rows


@pytest.fixture
async def database(rows: Rows) -> UUID:
    """The item that "resize" is for."""
    item = await rows.item("database")
    await rows.operation("update", "resize", [{"name": "database", "version_range": "^1"}])
    return item


async def refresh(rows: Rows, pool: Pool) -> None:
    """Do rounds until every event was read: transactions of other tests hold windows up."""

    async def all_read() -> bool:
        await eligibility.refresh(pool)
        return bool(
            await rows.value(
                "SELECT NOT EXISTS (SELECT FROM events WHERE transaction_id >= window_to)"
                " FROM consumers WHERE name = 'eligibility'"
            )
        )

    await eventually(all_read)


async def cached(rows: Rows, instance: UUID) -> list[tuple[str, str | None]]:
    return await rows.all(
        "SELECT eligibility_status, eligibility_reason FROM eligible_operations"
        " WHERE instance_id = %s ORDER BY operation_name, operation_version",
        instance,
    )


async def change(rows: Rows, instance: UUID, state: str) -> None:
    await rows.value(
        "SELECT set_instance_states(jsonb_build_object(%s::text, %s::text), NULL)", instance, state
    )


async def test_the_first_round_judges_all_that_live(rows: Rows, pool: Pool, database: UUID) -> None:
    instance = await rows.instance(item=database)
    gone = await rows.instance("decommissioned", item=database)

    await eligibility.refresh(pool)

    assert await cached(rows, instance) == [("eligible", None)]
    assert await cached(rows, gone) == []


async def test_the_first_round_judges_so_many_at_a_time_and_goes_on_where_it_was(
    rows: Rows, database: UUID
) -> None:
    instances = sorted([await rows.instance(item=database) for _ in range(5)])
    await rows.instance("decommissioned", item=database)
    refresh_two = "SELECT refresh_changed_eligibility(2)"

    assert await rows.value(refresh_two) == 2
    await change(rows, instances[0], "updating")
    judged = "SELECT instance_id FROM eligible_operations ORDER BY 1"
    assert await rows.all(judged) == instances[:2]

    assert [await rows.value(refresh_two) for _ in range(2)] == [2, 1]
    assert await rows.all(judged) == instances
    assert await cached(rows, instances[0]) == [("eligible", None)]

    async def caught_up() -> bool:
        await rows.value(refresh_two)
        return await cached(rows, instances[0]) == [("ineligible", "the instance is updating")]

    await eventually(caught_up)


async def test_a_change_of_an_instance_judges_that_one_again(
    rows: Rows, pool: Pool, database: UUID
) -> None:
    one, other = await rows.instance(item=database), await rows.instance(item=database)
    await refresh(rows, pool)
    await rows.value("DELETE FROM eligible_operations WHERE instance_id = %s RETURNING 1", other)
    await change(rows, one, "updating")

    await refresh(rows, pool)

    assert await cached(rows, one) == [("ineligible", "the instance is updating")]
    assert await cached(rows, other) == []


async def test_after_a_long_silence_events_are_read_so_many_at_a_time(
    rows: Rows, pool: Pool, database: UUID
) -> None:
    instances = [await rows.instance(item=database) for _ in range(5)]
    await refresh(rows, pool)
    for instance in instances:
        await change(rows, instance, "updating")
    refresh_two = "SELECT refresh_changed_eligibility(2)"
    judged = "SELECT count(*) FROM eligible_operations WHERE eligibility_reason = 'the instance is updating'"

    async def has_begun() -> bool:
        taken = await rows.value(refresh_two)
        assert taken <= 2
        return bool(await rows.value(judged))

    await eventually(has_begun)
    assert await rows.value(judged) <= 2
    await refresh(rows, pool)
    assert await rows.value(judged) == 5


async def test_events_of_one_transaction_are_read_in_parts_and_none_twice(
    rows: Rows, pool: Pool, database: UUID
) -> None:
    instances = [await rows.instance(item=database) for _ in range(3)]
    await refresh(rows, pool)
    await rows.value(
        "SELECT set_instance_states(jsonb_object_agg(id, 'updating'), NULL) FROM service_instances"
    )
    await rows.value("INSERT INTO events (kind) VALUES ('other') RETURNING 1")
    taken: list[int] = []

    async def all_read() -> bool:
        taken.append(await rows.value("SELECT refresh_changed_eligibility(2)"))
        return sum(taken) == 4

    await eventually(all_read)
    assert max(taken) == 2
    told = [one["owners"] for one in await rows.events("operations.changed")]
    assert len(told) > 1, "the first round, and one for each part"
    assert [await cached(rows, one) for one in instances] == [
        [("ineligible", "the instance is updating")]
    ] * 3


async def test_what_changes_is_told_once_for_all_whose_it_is(
    rows: Rows, pool: Pool, database: UUID
) -> None:
    one = await rows.instance(item=database)
    await rows.instance(item=database)
    await refresh(rows, pool)
    before = await rows.events("operations.changed")
    await refresh(rows, pool)
    assert await rows.events("operations.changed") == before
    await change(rows, one, "updating")

    await refresh(rows, pool)

    owner = await rows.value("SELECT owner_user_id FROM service_instances WHERE id = %s", one)
    team = await rows.value("SELECT owner_team FROM service_instances WHERE id = %s", one)
    *earlier, last = await rows.events("operations.changed")
    assert (earlier, last) == (before, {"owners": [owner], "teams": [team]})


async def test_a_request_under_way_is_a_change_too(rows: Rows, pool: Pool, database: UUID) -> None:
    instance = await rows.instance(item=database)
    await eligibility.refresh(pool)
    request = await rows.request("update", target_instance_id=instance, request_id="req-busy")
    await rows.value(
        "INSERT INTO events (request_id, kind) VALUES (%s, 'request.submitted') RETURNING 1",
        request,
    )

    await refresh(rows, pool)

    assert await cached(rows, instance) == [("ineligible", "request req-busy is under way")]


async def test_rows_whose_time_is_over_are_judged_again(
    rows: Rows, pool: Pool, database: UUID
) -> None:
    instance = await rows.instance(item=database)
    await refresh(rows, pool)
    await rows.value(
        "UPDATE eligible_operations SET expires_at = now() - INTERVAL '1 second',"
        " eligibility_status = 'ineligible' RETURNING 1"
    )

    await refresh(rows, pool)

    assert await cached(rows, instance) == [("eligible", None)]


async def test_a_completed_upgrade_does_not_expire_and_its_next_version_is_eligible(
    rows: Rows, pool: Pool, database: UUID
) -> None:
    instance = await rows.instance(item=database)
    upgrade = await rows.operation("upgrade", "to-2", [{"name": "database"}])
    request = await rows.request("upgrade", target_instance_id=instance, upgrade_item_id=upgrade)
    await rows.value(
        "SELECT record_upgrade_history(%s, %s, '1.0.0', '1.0.0', 'to-2')", instance, request
    )
    await rows.move(request, "validating", "in_progress", "completed")
    await refresh(rows, pool)
    await rows.value("UPDATE upgrade_items SET version = '1.1.0' RETURNING 1")
    await change(rows, instance, "degraded")

    await refresh(rows, pool)

    assert await rows.all(
        "SELECT operation_version, eligibility_status, expires_at IS NULL FROM eligible_operations"
        " WHERE operation_name = 'to-2' ORDER BY operation_version"
    ) == [("1.0.0", "completed", True), ("1.1.0", "eligible", False)]


async def test_an_older_version_of_an_operation_is_superseded(
    rows: Rows, pool: Pool, database: UUID
) -> None:
    instance = await rows.instance(item=database)
    await refresh(rows, pool)
    await rows.value("UPDATE update_items SET version = '2.0.0' RETURNING 1")
    await change(rows, instance, "degraded")

    await refresh(rows, pool)

    assert await cached(rows, instance) == [
        ("superseded", "superseded by version 2.0.0"), ("eligible", None),
    ]  # fmt: skip


async def test_a_change_that_commits_late_is_not_passed_over(
    rows: Rows, pool: Pool, database: UUID
) -> None:
    instance = await rows.instance(item=database)
    await eligibility.refresh(pool)
    async with pool.connection() as late:
        await Rows(late).value(
            "SELECT set_instance_states(jsonb_build_object(%s::text, 'updating'), NULL)", instance
        )
        await rows.instance(item=database)
        await eligibility.refresh(pool)

    await refresh(rows, pool)

    assert await cached(rows, instance) == [("ineligible", "the instance is updating")]


async def test_rounds_at_the_same_moment_do_no_harm(rows: Rows, pool: Pool, database: UUID) -> None:
    instance = await rows.instance(item=database)

    await asyncio.gather(*(eligibility.refresh(pool) for _ in range(6)))

    assert await cached(rows, instance) == [("eligible", None)]
