"""Drive: carry one request to its end in this process, for whoever waits for it.

A driving process claims the steps and outbox items of its own request only, beside whatever else
runs; it gives back what it holds when it ends. The end of the waiting (a timeout, an interrupt) is
never the end of the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from engine.config import EngineConfig
from engine.dispatch.base import Carrier
from engine.errors import Unavailable
from engine.events import EVENTS_CHANNEL
from engine.execution.reaper import reap
from engine.execution.run import Surroundings
from engine.requests import views
from engine.results import RequestView
from engine.store import execution
from engine.store.listen import listen
from engine.store.pool import Pool, snapshot, through_outage
from engine.tickets.registry import TicketRegistry

ENDED: Final = frozenset({"completed", "failed", "cancelled", "aborted"})
LOOK_SECONDS: Final = 1.0
"""How often the request is looked at without any notification."""

OnChange = Callable[[RequestView], None]


async def drive(
    around: Surroundings,
    systems: TicketRegistry,
    config: EngineConfig,
    request_id: UUID,
    *,
    limit: float | None = None,
    on_change: OnChange | None = None,
) -> RequestView:
    """Carry the request until it ends and its tickets were tried; `timed_out` after `limit` seconds."""
    carrier = Carrier(around, systems, config, request_id=request_id)
    await carrier.start()
    watching = asyncio.ensure_future(
        watch(around.pool, config, request_id, on_change=on_change, lease_reaper=True)
    )
    try:
        return await _first_to_end(watching, carrier, around.pool, request_id, limit=limit)
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        await carrier.stop()


async def watch(
    pool: Pool,
    config: EngineConfig,
    request_id: UUID,
    *,
    on_change: OnChange | None = None,
    lease_reaper: bool = False,
) -> RequestView:
    """Follow a request until it ends and its tickets were tried; does none of its work."""
    shown: RequestView | None = None
    dsn = config.database_direct_url or config.database_url
    outage = config.database_outage.total_seconds()
    async with aclosing(_reasons(dsn)) as reasons:
        async for _ in reasons:
            if lease_reaper:
                await through_outage(lambda: reap(pool, config.lease), limit=outage)
            view, is_over = await through_outage(lambda: _look(pool, request_id), limit=outage)
            if view != shown:
                shown = view
                if on_change is not None:
                    on_change(view)
            if is_over:
                return view
    raise Unavailable("The request cannot be followed any more", "nothing listens")


async def _first_to_end(
    watching: asyncio.Future[RequestView],
    carrier: Carrier,
    pool: Pool,
    request_id: UUID,
    *,
    limit: float | None,
) -> RequestView:
    """Return the request as it ended, or as it stands when the time is over."""
    waited: list[asyncio.Future[Any]] = [watching]
    if carrier.running is not None:
        waited.append(carrier.running)
    done, _ = await asyncio.wait(waited, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    if watching in done:
        return watching.result()
    for ended in done:
        ended.result()  # raises: the loop ends by an error only
    view, _ = await _look(pool, request_id)
    return replace(view, timed_out=True)


async def _look(pool: Pool, request_id: UUID) -> tuple[RequestView, bool]:
    # One moment for both: else a request could fail, or its ticket be made, in between.
    async with snapshot(pool) as connection:
        progress = await execution.progress(connection, request_id)
        view = await views.view(connection, request_id)
    has_ended = view.status in ENDED and not (progress and progress.has_untried)
    return view, has_ended


async def _reasons(dsn: str) -> AsyncGenerator[None, None]:
    """Yield now, after each burst of events, and every `LOOK_SECONDS`."""
    woken = asyncio.Event()
    woken.set()
    listening = asyncio.create_task(_listen(dsn, woken), name="listen-events")
    try:
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await woken.wait()
            except TimeoutError:
                pass
            woken.clear()
            yield
    finally:
        listening.cancel()
        await asyncio.wait([listening])


async def _listen(dsn: str, woken: asyncio.Event) -> None:
    async with aclosing(listen(dsn, [EVENTS_CHANNEL])) as reasons:
        async for _ in reasons:
            woken.set()
