"""Traces: a consumer of events that sends each request that has ended to the collector."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from engine import Engine, Event

CONSUMER: Final = "traces"
ENDS: Final = frozenset(
    {"request.completed", "request.failed", "request.cancelled", "request.aborted"}
)

log = structlog.get_logger(__name__)


class Traces:
    """Sends traces for as long as it runs; one process of all does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stopping = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read events."""
        if self._reading is None:
            self._stopping.clear()
            self._reading = asyncio.create_task(
                self._engine.consume(CONSUMER, self._take, self._stopping), name="traces"
            )

    async def stop(self) -> None:
        """Read no more; a trace that is being sent may end."""
        reading, self._reading = self._reading, None
        if reading is None:
            return
        self._stopping.set()
        for ended in await asyncio.gather(reading, return_exceptions=True):
            if isinstance(ended, Exception):
                log.warning("traces_ended", error=str(ended))

    async def _take(self, event: Event) -> None:
        if event.kind in ENDS and event.request_id is not None:
            await self._engine.send_trace(event.request_id)
