"""Events as rows, and the cursors of those who read them.

An event's id is drawn when it is written, not when it is committed: a reader that remembered only
the highest id would pass over what commits late. So a reader works in windows of finished
transactions (`transaction_id` below the oldest that still runs), in the order of ids within each.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.events import NewEvent
from engine.foreign_json import clean_text
from engine.results import CatalogChange, ParkedEvent
from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import jsonb, rows, run, value, values

_sql = queries.load("events")


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event with external ids."""

    id: int
    kind: str
    at: datetime
    data: Any
    request_id: str | None
    step_id: str | None
    instance_id: str | None


async def write(connection: Connection, *events: NewEvent) -> None:
    """Write events in the transaction that makes them true."""
    if not events:
        return
    new = [
        {
            "kind": event.kind,
            "request_id": event.request_id and str(event.request_id),
            "step_id": event.step_id and str(event.step_id),
            "instance_id": event.instance_id and str(event.instance_id),
            "data": event.data,
        }
        for event in events
    ]
    await run(connection, _sql.insert_events, {"events": jsonb(new)})


async def add_consumer(connection: Connection, name: str) -> None:
    """Begin to read at the first event that may still come, unless it reads already."""
    await run(connection, _sql.add_consumer, {"name": name})


async def lead(connection: Connection, name: str) -> bool:
    """Say whether this session, outside the pool, is the one that reads for the consumer."""
    return bool(await value(connection, _sql.lead_consumer, {"name": name}))


async def advance(connection: Connection, name: str) -> bool:
    """Open the next window; False where no transaction has finished since the last."""
    return await run(connection, _sql.advance_window, {"name": name}) > 0


async def next_events(connection: Connection, name: str, limit: int) -> Sequence[EventRow]:
    """Return the next events of the window, none at its end."""
    return await rows(connection, _sql.next_events, {"name": name, "limit": limit}, EventRow)


async def catalog_changes(
    connection: Connection, *, teams: Sequence[str], sees_all: bool, limit: int
) -> Sequence[CatalogChange]:
    """Return what the last syncs changed of what somebody of these teams may see, newest first."""
    parameters = {"teams": list(teams), "sees_all": sees_all, "limit": limit}
    return await rows(connection, _sql.catalog_changes, parameters, CatalogChange)


async def move_cursor(connection: Connection, name: str, event_id: int) -> None:
    """Say that everything up to an event was handled."""
    await run(connection, _sql.move_cursor, {"name": name, "event_id": event_id})


async def park(connection: Connection, name: str, event_id: int, error: str) -> None:
    """Put an event aside that cannot be handled."""
    parameters = {"name": name, "event_id": event_id, "error": clean_text(error)}
    await run(connection, _sql.park_event, parameters)


async def wanted_again(connection: Connection, name: str, limit: int) -> Sequence[EventRow]:
    """Return events put aside that somebody wants the consumer to take once more."""
    return await rows(connection, _sql.wanted_again, {"name": name, "limit": limit}, EventRow)


async def unpark(connection: Connection, name: str, event_id: int) -> None:
    """Forget that an event was put aside: it was handled."""
    await run(connection, _sql.unpark_event, {"name": name, "event_id": event_id})


async def parked(connection: Connection, limit: int) -> Sequence[ParkedEvent]:
    """Return what consumers could not handle, the oldest first."""
    return await rows(connection, _sql.parked_events, {"limit": limit}, ParkedEvent)


async def retry_parked(connection: Connection, ids: Collection[int] | None) -> list[int]:
    """Have consumers take events (None: all put aside) once more; return which there are."""
    return await values(connection, _sql.retry_parked, {"ids": None if ids is None else list(ids)})


async def discard_parked(connection: Connection, ids: Collection[int] | None) -> list[int]:
    """Give up events (None: all put aside); return which there were."""
    return await values(
        connection, _sql.discard_parked, {"ids": None if ids is None else list(ids)}
    )
