"""What runs, put together: the database, the engine and the services around it, in the order of their start.

Each long-running command is one function here. Services start top to bottom and stop bottom to top, by an exit
stack, so a start that fails half way stops what stood already. A signal cancels the function once: whatever it
was doing, the stack unwinds in order, the database last. A second signal cuts the waiting short.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from bot.database import Database
from engine import Engine
from engine.service import Service

if TYPE_CHECKING:
    from bot.settings import Settings

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[None]:
    """Start `service`, and stop it at the end of the block."""
    try:
        await service.start()
        yield
    finally:
        await service.stop()


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncIterator[Engine]:
    """Give an engine on a database that is held for as long as the block lasts; it runs nothing by itself."""
    async with (
        Database(settings).held() as (url, keys),
        Engine(settings.engine_config(url, keys)) as engine,
    ):
        yield engine


def until_signalled(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `main` until it ends or a signal asks for the end; returns when all of it has stopped."""
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_cancelled_by_signals(main))


async def _cancelled_by_signals(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    # Our own handlers in any case: a shell's background job starts with SIGINT ignored.
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(main())
    for number in SIGNALS:
        loop.add_signal_handler(number, work.cancel)
    await work
