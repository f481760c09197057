"""Consumers: every event at least once, in order, late commits included; what fails is parked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from engine import Event, Forbidden, NotFound
from engine.dispatch import consumers
from engine.events import NewEvent
from engine.store import events
from engine.store.pool import Connection, connect, transaction
from tests.support.engines import ADMIN, ALICE
from tests.support.eventually import eventually
from tests.support.workbench import Workbench, step

LOOKED_SINCE = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'pao-consumer-slack'
  AND state = 'idle' AND query_start > %s
"""


class Seen(list[Event]):
    async def take(self, event: Event) -> None:
        self.append(event)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self]


@asynccontextmanager
async def consuming(
    bench: Workbench, handler: Callable[[Event], Awaitable[None]]
) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    task = asyncio.create_task(bench.engine.consume("slack", handler, stopping))
    await eventually(lambda: bench.one("SELECT name FROM consumers"))
    try:
        yield
    finally:
        stopping.set()
        await task


async def tell(bench: Workbench, *kinds: str) -> None:
    async with transaction(bench.pool) as connection:
        await events.write(connection, *(NewEvent(kind) for kind in kinds))


async def test_events_come_in_order_with_external_ids(bench: Workbench) -> None:
    seen = Seen()
    async with consuming(bench, seen.take):
        request = await bench.request([step("a")])
        await bench.run(request)
        await eventually(lambda: "request.completed" in seen.kinds)
        await eventually(lambda: seen.kinds[-1] == "instance.changed")
    assert seen.kinds == await bench.kinds(request)
    assert {event.request_id for event in seen} == {request.request_id}
    assert {event.step_id for event in seen if event.kind.startswith("step.")} == {"a"}
    assert [event.id for event in seen] == sorted(event.id for event in seen)


async def test_an_event_that_commits_late_is_not_passed_over(bench: Workbench) -> None:
    seen = Seen()
    late = await connect(bench.config.database_url)
    async with consuming(bench, seen.take):
        await late.execute("BEGIN")
        await late.execute("INSERT INTO events (kind) VALUES ('late')")
        await tell(bench, "early")
        told_at = await bench.one("SELECT clock_timestamp()")
        await eventually(lambda: bench.one(LOOKED_SINCE, told_at))
        assert seen.kinds == []
        await late.execute("COMMIT")
        await eventually(lambda: len(seen) == 2)
    await late.close()
    assert seen.kinds == ["late", "early"]


async def test_a_new_consumer_begins_now_and_goes_on_where_it_was(bench: Workbench) -> None:
    await tell(bench, "before")
    seen = Seen()
    async with consuming(bench, seen.take):
        await tell(bench, "one", "two")
        await eventually(lambda: seen.kinds == ["one", "two"])
    await tell(bench, "while away")
    async with consuming(bench, seen.take):
        await eventually(lambda: seen.kinds == ["one", "two", "while away"])


async def test_one_process_reads_at_a_time_and_another_takes_over(bench: Workbench) -> None:
    first, second = Seen(), Seen()
    async with consuming(bench, first.take), consuming(bench, second.take):
        for number in range(20):
            await tell(bench, f"event {number}")
            await eventually(lambda: len(first) + len(second) > number)  # noqa: B023 (awaited here)
        assert sorted([len(first), len(second)]) == [0, 20]


async def test_an_event_that_cannot_be_handled_is_parked_and_the_rest_goes_on(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "PAUSE_SECONDS", 0.01)
    seen = Seen()
    tries: list[str] = []

    async def picky(event: Event) -> None:
        if event.kind == "bad":
            tries.append(event.kind)
            raise ValueError("cannot read this")
        await seen.take(event)

    async with consuming(bench, picky):
        await tell(bench, "good", "bad", "better")
        await eventually(lambda: seen.kinds == ["good", "better"])
    assert len(tries) == consumers.TRIES
    assert await bench.one("SELECT error FROM parked_events") == "ValueError: cannot read this"


async def test_a_lost_connection_repeats_at_most_what_was_not_noted(bench: Workbench) -> None:
    seen = Seen()
    async with consuming(bench, seen.take):
        await tell(bench, "one")
        await eventually(lambda: seen.kinds == ["one"])
        await bench.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'pao-consumer%'"
        )
        await tell(bench, "two")
        await eventually(lambda: "two" in seen.kinds)
    assert [kind for kind in seen.kinds if kind != "one"] == ["two"]


async def test_a_parked_event_is_taken_once_more_when_somebody_asks(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "PAUSE_SECONDS", 0.01)
    seen, mended = Seen(), asyncio.Event()

    async def picky(event: Event) -> None:
        if event.kind == "bad" and not mended.is_set():
            raise ValueError("cannot read this")
        await seen.take(event)

    async with consuming(bench, picky):
        await tell(bench, "bad", "good")
        await eventually(lambda: seen.kinds == ["good"])
        (parked,) = await bench.engine.parked_events(ADMIN)
        assert (parked.kind, parked.consumer, parked.retry_wanted) == ("bad", "slack", False)

        assert await bench.engine.retry_parked_events(ADMIN, [parked.event_id]) == [parked.event_id]

        async def failed_again() -> bool:
            (again,) = await bench.engine.parked_events(ADMIN)
            return again.parked_at > parked.parked_at and not again.retry_wanted

        await eventually(failed_again)
        mended.set()
        await bench.engine.retry_parked_events(ADMIN)
        await eventually(lambda: seen.kinds == ["good", "bad"])

        async def none_left() -> bool:
            return not await bench.engine.parked_events(ADMIN)

        await eventually(none_left)
        await tell(bench, "later")
        await eventually(lambda: seen.kinds == ["good", "bad", "later"])


async def test_a_parked_event_that_is_wanted_as_soon_as_it_is_parked_again_is_not_lost(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "PAUSE_SECONDS", 0.01)
    seen, park, parked = Seen(), events.park, list[int]()

    async def wanted_at_once(connection: Connection, name: str, event_id: int, error: str) -> None:
        await park(connection, name, event_id, error)
        parked.append(event_id)
        await bench.engine.retry_parked_events(ADMIN)

    async def picky(event: Event) -> None:
        if len(parked) < 3:
            raise ValueError("cannot read this")
        await seen.take(event)

    monkeypatch.setattr(events, "park", wanted_at_once)
    async with consuming(bench, picky):
        await tell(bench, "bad")
        await eventually(lambda: seen.kinds == ["bad"])
    assert len(parked) == 3


async def test_parked_events_are_given_up_by_admins_alone_and_that_is_audited(
    bench: Workbench,
) -> None:
    await tell(bench, "one", "two")
    async with transaction(bench.pool) as connection:
        await events.add_consumer(connection, "slack")
        for id_ in (first := await ids_of_events(bench)):
            await events.park(connection, "slack", id_, "broken")

    with pytest.raises(NotFound, match="999999"):
        await bench.engine.discard_parked_events(ADMIN, [first[0], 999999])
    with pytest.raises(Forbidden):
        await bench.engine.discard_parked_events(ALICE)
    assert len(await bench.engine.parked_events(ADMIN)) == 2

    assert await bench.engine.discard_parked_events(ADMIN, first[:1]) == first[:1]
    assert [one.event_id for one in await bench.engine.parked_events(ADMIN)] == first[1:]
    page = await bench.engine.audit_log(ADMIN)
    assert [(one.action, one.outcome) for one in page.items] == [
        ("events.parked", "done"),
        ("events.parked", "denied"),
    ]


async def ids_of_events(bench: Workbench) -> list[int]:
    cursor = await bench.connection.execute("SELECT id FROM events ORDER BY id")
    return [row[0] for row in await cursor.fetchall()]
