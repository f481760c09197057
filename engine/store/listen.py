"""NOTIFY as a hint: a dedicated connection that listens, and comes back when it was lost.

    connecting --connected--> listening --lost--> connecting (after a growing pause)

A notification is never the truth, only a reason to look: what was sent while the connection was
away is lost, so after every connect `Woken.all` is given once, and callers poll as well. A peer
that vanishes without a word shows only by a question, so a silent connection is asked every
`SILENCE_SECONDS`. Behind a transaction pooler LISTEN needs a direct address (DATABASE_DIRECT_URL).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import psycopg
import structlog

from engine.errors import Unavailable
from engine.store import queries
from engine.store.pool import Connection, connect, driver_errors
from engine.store.uninterrupted import heeding_cancellation

SILENCE_SECONDS = 30.0
"""A silent connection is asked whether it lives."""

LONGEST_PAUSE_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Woken:
    """A reason to look: a notification, or (`channel` None) a new connection that missed some."""

    channel: str | None
    payload: str = ""


async def listen(dsn: str, channels: Sequence[str]) -> AsyncGenerator[Woken, None]:
    """Yield a Woken for each notification on `channels`, and one after every (re)connect.

    Never ends by itself and never raises for a lost database; close or cancel it to stop.
    """
    pause = 0.1
    while True:
        try:
            connection = await _subscribe(dsn, channels)
        except Unavailable as error:
            log.warning("listen_reconnect", error=str(error), retry_in=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            continue
        pause = 0.1
        async with connection:
            yield Woken(None)
            async with aclosing(_notifications(connection)) as notifications:
                async for woken in notifications:
                    yield woken


async def _subscribe(dsn: str, channels: Sequence[str]) -> Connection:
    connection = await connect(dsn, "pao-listen")
    try:
        with driver_errors():
            for channel in channels:
                await connection.execute(
                    psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel))
                )
    except BaseException:  # a cancellation too: nobody else knows of the connection yet
        await connection.close()
        raise
    return connection


async def _notifications(connection: Connection) -> AsyncGenerator[Woken, None]:
    """Yield until the connection is lost."""
    alive = queries.load("listen").alive
    try:
        while True:
            async for notify in connection.notifies(timeout=SILENCE_SECONDS):
                yield Woken(notify.channel, notify.payload)
            with heeding_cancellation():
                await connection.execute(alive)
    except psycopg.Error as error:
        log.warning("listen_lost", error=str(error).strip())
