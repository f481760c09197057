"""What holds when several connections act on the same rows at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest

from engine.store.pool import Connection, connect
from tests.support.eventually import eventually
from tests.support.founding_rows import Rows

ROUNDS = 40


@asynccontextmanager
async def connections(dsn: str, count: int) -> AsyncIterator[list[Rows]]:
    """Give writers on as many connections, each statement committed."""
    async with AsyncExitStack() as stack:
        yield [
            Rows(await stack.enter_async_context(await connect(dsn, f"racer-{n}")))
            for n in range(count)
        ]


async def outcome(attempt: Awaitable[Any]) -> str:
    """Return "done", or the name of the constraint that refused; everything else is raised."""
    try:
        await attempt
    except psycopg.errors.IntegrityError as refusal:
        return refusal.diag.constraint_name or ""
    return "done"


async def waits_for_a_lock(connection: Connection, racer: Rows) -> None:
    pid = racer.connection.info.backend_pid
    rows = Rows(connection)
    await eventually(lambda: rows.value("SELECT cardinality(pg_blocking_pids(%s)) > 0", pid))


async def test_a_decommission_waits_for_a_dependency_that_came_first(
    committed: Rows, dsn: str
) -> None:
    provider, dependent = await committed.instance(), await committed.instance()
    request = await committed.request("decommission", target_instance_id=provider)
    async with connections(dsn, 2) as (adding, ending):
        async with adding.connection.transaction():
            await adding.depend(dependent, provider)
            end = asyncio.create_task(outcome(ending.move(request, "validating")))
            await waits_for_a_lock(committed.connection, ending)

        assert await end == "check_can_decommission"
    assert await committed.state(provider) == "active"


async def test_a_dependency_waits_for_a_decommission_that_came_first(
    committed: Rows, dsn: str
) -> None:
    provider, dependent = await committed.instance(), await committed.instance()
    request = await committed.request("decommission", target_instance_id=provider)
    async with connections(dsn, 2) as (ending, adding):
        async with ending.connection.transaction():
            await ending.move(request, "validating")
            add = asyncio.create_task(outcome(adding.depend(dependent, provider)))
            await waits_for_a_lock(committed.connection, adding)

        assert await add == "check_dependencies_provider_stays"


async def test_a_dependency_that_waited_for_a_decommission_that_was_undone_is_added(
    committed: Rows, dsn: str
) -> None:
    provider, dependent = await committed.instance(), await committed.instance()
    request = await committed.request("decommission", target_instance_id=provider)
    async with connections(dsn, 2) as (ending, adding):
        async with ending.connection.transaction(force_rollback=True):
            await ending.move(request, "validating")
            add = asyncio.create_task(outcome(adding.depend(dependent, provider)))
            await waits_for_a_lock(committed.connection, adding)

        assert await add == "done"


@pytest.mark.parametrize("of_a_bundle", [False, True])
async def test_dependencies_and_a_decommission_never_both_win(
    committed: Rows, dsn: str, of_a_bundle: bool
) -> None:
    dependents = [await committed.instance() for _ in range(4)]
    won: set[str] = set()
    async with connections(dsn, 5) as (ending, *adding):
        for number in range(10 * ROUNDS):
            if number >= ROUNDS and len(won) == 2:
                break  # both were seen to win
            provider = await committed.instance()
            target = await committed.bundle_instance([provider]) if of_a_bundle else provider
            request = await committed.request("decommission", target_instance_id=target)
            racers = [
                outcome(rows.depend(dependent, provider))
                for rows, dependent in zip(adding, dependents, strict=True)
            ]
            # Who is first in line changes from round to round.
            racers.insert(number % 5, outcome(ending.move(request, "validating")))
            results = await asyncio.gather(*racers)

            added = await committed.value(
                "SELECT count(*) FROM service_instance_dependencies WHERE provider_instance_id = %s",
                provider,
            )
            ended = await committed.state(provider) == "decommissioning"
            assert ended is (added == 0), results
            assert results.count("done") == (1 if ended else added)
            won.add("decommission" if ended else "dependency")
    assert won == {"decommission", "dependency"}


async def test_one_active_request_an_instance_whoever_asks_at_once(
    committed: Rows, dsn: str
) -> None:
    operation = await committed.operation("update", "resize")
    async with connections(dsn, 6) as racers:
        for _ in range(10):
            target = await committed.instance()
            results = await asyncio.gather(
                *(
                    outcome(
                        rows.request("update", target_instance_id=target, update_item_id=operation)
                    )
                    for rows in racers
                )
            )
            assert sorted(results) == ["done"] + ["uq_service_requests_active_subject"] * 5


@pytest.mark.parametrize("status", ["submitted", "validating", "in_progress", "resuming"])
async def test_a_second_request_is_refused_while_one_is_active(rows: Rows, status: str) -> None:
    target = await rows.instance()
    await rows.request("update", status, target_instance_id=target)

    with pytest.raises(psycopg.errors.UniqueViolation) as refused:
        await rows.request("decommission", target_instance_id=target)

    assert refused.value.diag.constraint_name == "uq_service_requests_active_subject"


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "aborted"])
async def test_a_request_that_ended_makes_room(rows: Rows, status: str) -> None:
    target = await rows.instance()
    await rows.request("update", status, target_instance_id=target)

    assert await rows.request("update", target_instance_id=target)


async def test_a_failed_request_cannot_be_resumed_beside_an_active_one(rows: Rows) -> None:
    target = await rows.instance()
    failed = await rows.request("update", "failed", target_instance_id=target)
    await rows.request("update", target_instance_id=target)

    with pytest.raises(psycopg.errors.UniqueViolation):
        await rows.move(failed, "resuming")


async def test_two_dependencies_that_close_a_circle_together_are_not_both_added(
    committed: Rows, dsn: str
) -> None:
    async with connections(dsn, 2) as (one, other):
        for _ in range(ROUNDS):
            a, b = await committed.instance(), await committed.instance()
            results = await asyncio.gather(outcome(one.depend(a, b)), outcome(other.depend(b, a)))
            assert sorted(results) == ["check_dependencies_no_cycle", "done"]


async def test_one_of_many_who_move_a_request_wins_and_none_meets_a_deadlock(
    committed: Rows, dsn: str
) -> None:
    async def tell_and_move(rows: Rows, request: UUID) -> None:
        async with rows.connection.transaction():
            # The event's foreign key holds FOR KEY SHARE on the request that the move then locks.
            await rows.connection.execute(
                "INSERT INTO events (request_id, kind) VALUES (%s, 'step.progress')", (request,)
            )
            await rows.move(request, "failed")

    async with connections(dsn, 6) as racers:
        for _ in range(10):
            request = await committed.request("update", "in_progress")
            results = await asyncio.gather(
                *(outcome(tell_and_move(rows, request)) for rows in racers)
            )
            assert sorted(results) == ["check_status_transition"] * 5 + ["done"]


async def test_bundles_and_dependencies_on_their_members_meet_no_deadlock(
    committed: Rows, dsn: str
) -> None:
    insert = (
        "INSERT INTO service_instance_dependencies (dependent_instance_id, provider_instance_id,"
        " dependency_type) SELECT %s, id, 'data' FROM unnest(%s::uuid[]) AS id ORDER BY id"
        " RETURNING 1"
    )
    async with connections(dsn, 4) as (first, second, third, ending):
        for _ in range(10):
            members = [await committed.instance() for _ in range(6)]
            bundle = await committed.bundle_instance(members)
            request = await committed.request("decommission", target_instance_id=bundle)
            dependents = [await committed.instance() for _ in range(3)]
            results = await asyncio.gather(
                outcome(first.value(insert, dependents[0], members)),
                outcome(ending.move(request, "validating")),
                outcome(second.value(insert, dependents[1], members[::-1])),
                outcome(third.value(insert, dependents[2], members[3:] + members[:3])),
            )
            assert set(results) <= {
                "done",
                "check_can_decommission",
                "check_dependencies_provider_stays",
            }


async def test_a_request_reserves_one_instance_whoever_asks_at_once(
    committed: Rows, dsn: str
) -> None:
    request = await committed.request()
    async with connections(dsn, 6) as racers:
        reserved = await asyncio.gather(
            *(r.value("SELECT reserve_service_instance(%s, 'orders')", request) for r in racers)
        )

    assert len(set(reserved)) == 1
    assert await committed.value("SELECT count(*) FROM service_instances") == 1


async def test_a_completed_request_makes_one_instance_whoever_asks_at_once(
    committed: Rows, dsn: str
) -> None:
    request = await committed.request()
    await committed.move(request, "validating", "in_progress", "completed")
    create = "SELECT create_service_instance(%s, 'orders', '{}', '[]')"
    async with connections(dsn, 6) as racers:
        created = await asyncio.gather(*(r.value(create, request) for r in racers))

    assert len(set(created)) == 1
    assert await committed.value("SELECT count(*) FROM service_instances") == 1
