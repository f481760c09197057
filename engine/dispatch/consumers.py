"""Consumers of events: at least once, in order per request, nothing passed over.

A reader works in windows of finished transactions (engine/store/events.py) and keeps a cursor in
the database. One process at a time reads for a consumer, held by an advisory lock on a connection of
its own, which goes when the process dies. The cursor is moved after the handler is done, so a death
repeats at most the events of one batch.

An event that the handler cannot take is tried `TRIES` times, then parked where it can be seen, and
the rest goes on. Who mended the cause can have it taken once more, between two windows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final, Literal

import structlog

from engine.config import EngineConfig
from engine.errors import PaoError, Unavailable
from engine.events import EVENTS_CHANNEL
from engine.results import Event
from engine.store import events
from engine.store.events import EventRow
from engine.store.listen import listen
from engine.store.pool import Connection, Pool, connect, transaction

BATCH: Final = 100
TRIES: Final = 3
PAUSE_SECONDS: Final = 0.5
"""Before a failed event is tried again; doubles."""

LOOK_SECONDS: Final = 2.0
"""How often a reader looks without being woken: the end of a window makes no notification."""

LEAD_SECONDS: Final = 5.0
"""How often a process that does not read asks whether it may."""

Handler = Callable[[Event], Awaitable[None]]
OnLead = Callable[[], Awaitable[None]]

log = structlog.get_logger(__name__)


async def consume(
    pool: Pool,
    config: EngineConfig,
    name: str,
    handler: Handler,
    stopping: asyncio.Event,
    *,
    on_lead: OnLead | None = None,
) -> None:
    """Hand every event to `handler`, in order, until `stopping` is set.

    `on_lead` is awaited each time this process becomes the one that reads, before the first event.
    """
    while not stopping.is_set():
        try:
            await _lead(pool, config, name, handler, stopping, on_lead=on_lead)
        except Unavailable as error:
            log.warning("consumer_interrupted", consumer=name, error=str(error))
            await _wait(stopping, LOOK_SECONDS)


async def _lead(
    pool: Pool,
    config: EngineConfig,
    name: str,
    handler: Handler,
    stopping: asyncio.Event,
    *,
    on_lead: OnLead | None,
) -> None:
    """Become the one that reads, and read until stopping."""
    dsn = config.database_direct_url or config.database_url
    connection = await connect(dsn, f"pao-consumer-{name}")
    try:
        async with transaction(pool) as first:
            await events.add_consumer(first, name)
        while not await events.lead(connection, name):
            if await _wait(stopping, LEAD_SECONDS):
                return
        if on_lead is not None:
            await on_lead()
        await _Reader(pool, connection, name, handler, stopping).read(dsn)
    finally:
        await connection.close()


class _Reader:
    """Reads for a consumer while the lock on `connection` is ours."""

    def __init__(
        self,
        pool: Pool,
        connection: Connection,
        name: str,
        handler: Handler,
        stopping: asyncio.Event,
    ) -> None:
        self._pool = pool
        self._connection = connection
        self._name = name
        self._handler = handler
        self._stopping = stopping
        self._woken = asyncio.Event()

    async def read(self, dsn: str) -> None:
        """Read until stopping; raises Unavailable when the database is away."""
        listening = asyncio.create_task(self._listen(dsn), name=f"listen-{self._name}")
        try:
            while not self._stopping.is_set():
                if not await self._batch():
                    await self._sleep()
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    async def _batch(self) -> bool:
        """Handle what comes next; False when there is nothing."""
        # On the connection that holds the lock: a reader that lost it cannot go on.
        found = await events.next_events(self._connection, self._name, BATCH)
        if not found:
            again = await self._take_again()
            return await events.advance(self._connection, self._name) or again
        for row in found:
            if await self._handle(row) == "left":
                return False
            await events.move_cursor(self._connection, self._name, row.id)
        return True

    async def _take_again(self) -> bool:
        """Handle what was parked and is wanted once more; False when there is nothing."""
        found = await events.wanted_again(self._connection, self._name, BATCH)
        for row in found:
            became = await self._handle(row)
            if became == "left":
                return False
            if became == "handled":  # what was parked again may be wanted again by now
                await events.unpark(self._connection, self._name, row.id)
        return bool(found)

    async def _handle(self, row: EventRow) -> Literal["handled", "parked", "left"]:
        """Handle an event, or park it; leave it when it is time to stop."""
        if self._stopping.is_set():
            return "left"
        pause = PAUSE_SECONDS
        for left in reversed(range(TRIES)):
            try:
                await self._handler(public(row))
            except Unavailable:
                raise
            except Exception as error:
                log.exception("event_not_handled", consumer=self._name, event_id=row.id)
                if not left:
                    await self._park(row, error)
                elif await _wait(self._stopping, pause):
                    return "left"
                pause *= 2
            else:
                return "handled"
        return "parked"

    async def _park(self, row: EventRow, error: Exception) -> None:
        log.error("event_parked", consumer=self._name, event_id=row.id)
        message = str(error) if isinstance(error, PaoError) else f"{type(error).__name__}: {error}"
        await events.park(self._connection, self._name, row.id, message)

    async def _sleep(self) -> None:
        """Sleep until there may be something, or stopping."""
        waits = [
            asyncio.ensure_future(self._woken.wait()),
            asyncio.ensure_future(self._stopping.wait()),
        ]
        try:
            await asyncio.wait(waits, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.wait(waits)
        self._woken.clear()

    async def _listen(self, dsn: str) -> None:
        async with aclosing(listen(dsn, [EVENTS_CHANNEL])) as reasons:
            async for _ in reasons:
                self._woken.set()


async def _wait(stopping: asyncio.Event, seconds: float) -> bool:
    """Wait for `seconds` at most; say whether it is time to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return False
    return True


def public(row: EventRow) -> Event:
    """Return a row as those outside the engine see it."""
    return Event(
        id=row.id,
        kind=row.kind,
        at=row.at,
        data=row.data,
        request_id=row.request_id,
        step_id=row.step_id,
        instance_id=row.instance_id,
    )
