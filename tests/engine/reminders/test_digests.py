"""The digest of new operations: to each owner, once a day at most."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from engine.instances.digests import LONGEST, send_digests
from engine.store.pool import Connection, Pool
from tests.support.engines import add_operation
from tests.support.founding_rows import Rows


@pytest.fixture
def rows(connection: Connection) -> Rows:
    return Rows(connection)


async def offer(
    rows: Rows, instance: UUID, name: str = "to-2", status: str = "eligible", version: str = "2.0.0"
) -> None:
    await rows.connection.execute(
        "INSERT INTO eligible_operations (instance_id, operation_type, operation_name,"
        " operation_version, eligibility_status) VALUES (%s, 'upgrade', %s, %s, %s)",
        (instance, name, version, status),
    )


async def next_day(rows: Rows) -> None:
    await rows.connection.execute("UPDATE digests SET sent_at = sent_at - interval '1 day'")


async def told(rows: Rows) -> list[tuple[str, list[str]]]:
    """The digests so far: the owner, and the operations that each names."""
    return [
        (one["owner_user_id"], [operation["operation_name"] for operation in one["operations"]])
        for one in await rows.events("operations.eligible")
    ]


async def test_an_owner_hears_of_all_their_services_in_one_message(rows: Rows, pool: Pool) -> None:
    shop = await rows.instance(instance_id="si-shop", instance_name="shop")
    blog = await rows.instance(instance_id="si-blog", instance_name="blog")
    other = await rows.instance(owner_user_id="U2")
    for instance in (shop, blog, other):
        await offer(rows, instance)
    await offer(rows, shop, "to-3", "ineligible")
    await offer(rows, shop, "to-1", "completed")
    assert await send_digests(pool) == 2
    mine = next(
        one for one in await rows.events("operations.eligible") if one["owner_user_id"] == "U1"
    )
    assert mine == {
        "owner_user_id": "U1",
        "total": 2,
        "operations": [
            {
                "instance_id": f"si-{name}",
                "instance_name": name,
                "operation_type": "upgrade",
                "operation_name": "to-2",
                "operation_version": "2.0.0",
            }
            for name in ("blog", "shop")
        ],
    }


async def test_an_owner_hears_only_of_what_is_open_to_them(
    rows: Rows, pool: Pool, connection: Connection
) -> None:
    for name, team in (("to-2", "dba"), ("to-3", "payments"), ("to-4", "night")):
        targets = [{"name": "database", "version_range": ">=1.0.0"}]
        access = {"access": {"teams": [team]}}
        await add_operation(connection, "upgrade", name, targets, **access)
    await connection.execute(
        "INSERT INTO people (user_id, name, teams) VALUES ('U1', 'Alice', '{payments}')"
    )
    instance = await rows.instance()
    for name in ("to-2", "to-3", "to-4"):
        await offer(rows, instance, name)
    assert await send_digests(pool, {"night": {"U1"}, "dba": {"U2"}}) == 1
    assert await told(rows) == [("U1", ["to-3", "to-4"])]


async def test_what_is_new_on_the_same_day_waits_for_the_next(rows: Rows, pool: Pool) -> None:
    instance = await rows.instance()
    await offer(rows, instance)
    assert await send_digests(pool) == 1
    await offer(rows, instance, "to-3")
    assert await send_digests(pool) == 0
    await next_day(rows)
    assert await send_digests(pool) == 1
    assert await send_digests(pool) == 0
    assert await told(rows) == [("U1", ["to-2"]), ("U1", ["to-3"])]


async def test_nothing_new_is_no_message_however_many_days_pass(rows: Rows, pool: Pool) -> None:
    await offer(rows, await rows.instance())
    await send_digests(pool)
    await next_day(rows)
    assert await send_digests(pool) == 0


async def test_an_operation_that_may_be_run_again_is_new_again(rows: Rows, pool: Pool) -> None:
    await offer(rows, await rows.instance())
    for status in ("ineligible", "eligible"):
        await send_digests(pool)
        await next_day(rows)
        await rows.connection.execute(
            "UPDATE eligible_operations SET eligibility_status = %s", [status]
        )
    assert await send_digests(pool) == 1
    assert await told(rows) == [("U1", ["to-2"])] * 2


@pytest.mark.parametrize("busy", ["updating", "requested"])
async def test_one_that_only_waited_for_its_instance_is_not_new_again(
    rows: Rows, pool: Pool, connection: Connection, busy: str
) -> None:
    targets = [{"name": "database", "version_range": ">=1.0.0"}]
    await add_operation(connection, "upgrade", "to-2", targets)
    instance = await rows.instance(item=await rows.item("database"))

    async def judge() -> str | None:
        await rows.all("SELECT * FROM refresh_eligible_operations(%s)", [instance])
        return str(await rows.value("SELECT eligibility_status FROM eligible_operations"))

    async def state(name: str) -> None:
        await connection.execute("UPDATE service_instances SET instance_state = %s", [name])

    assert await judge() == "eligible"
    assert await send_digests(pool) == 1
    await next_day(rows)
    if busy == "updating":
        await state("updating")
    else:
        request = await rows.request("update", target_instance_id=instance)
    assert await judge() == "ineligible"
    assert await send_digests(pool) == 0
    if busy == "updating":
        await state("active")
    else:
        await rows.move(request, "cancelled")
    assert await judge() == "eligible"
    assert await send_digests(pool) == 0


async def test_services_that_are_gone_or_not_there_yet_are_not_told_of(
    rows: Rows, pool: Pool
) -> None:
    for state in ("provisioning", "updating", "decommissioning", "failed"):
        await offer(rows, await rows.instance(state))
    assert await send_digests(pool) == 0


async def test_a_judgement_that_has_expired_is_not_told(rows: Rows, pool: Pool) -> None:
    await offer(rows, await rows.instance())
    await rows.connection.execute("UPDATE eligible_operations SET expires_at = '2020-01-01'")
    assert await send_digests(pool) == 0


async def test_a_digest_names_so_many_and_counts_all(rows: Rows, pool: Pool) -> None:
    instance = await rows.instance()
    for number in range(LONGEST + 10):
        await offer(rows, instance, f"to-{number:03}")
    assert await send_digests(pool) == 1
    (digest,) = await rows.events("operations.eligible")
    assert (digest["total"], len(digest["operations"])) == (LONGEST + 10, LONGEST)
    await next_day(rows)
    assert await send_digests(pool) == 0


async def test_many_processes_tell_an_owner_once(rows: Rows, pool: Pool) -> None:
    for owner in ("U1", "U2", "U3"):
        await offer(rows, await rows.instance(owner_user_id=owner))
    assert sum(await asyncio.gather(*(send_digests(pool) for _ in range(5)))) == 3
    assert sorted(owner for owner, _ in await told(rows)) == ["U1", "U2", "U3"]
