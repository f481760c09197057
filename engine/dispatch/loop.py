"""The claim loop: sleeps until there is something to do, then claims as much as there is room for.

    asleep ──woken: NOTIFY, a finished step, the scheduler, a due time──> claim ──> asleep

A wake-up is a hint. The truth is in the database, which the loop asks at its start, after every
wake-up, when the next due time comes, and every `TICK` whatever happens; so a lost notification
costs a moment, never a step.

While the database is away the loop waits with growing pauses, for as long as an outage may last;
then it ends with Unavailable, and whoever supervises the process decides. What runs goes on
meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import timedelta
from typing import Final

import structlog

from engine.errors import PaoError, Unavailable
from engine.events import STEPS_CHANNEL
from engine.execution.work import Work
from engine.store.listen import listen
from engine.store.pool import through_outage

TICK: Final = 5.0
"""Seconds after which the loop looks without being woken."""

SHORTEST_SLEEP: Final = 0.005
CANCEL: Final = "cancel"
"""The payload of a notification that says that steps under way were cancelled."""
STEPS: Final = "steps"
"""The payload of one that is about steps only: the end of a step asks nothing of the outbox."""

log = structlog.get_logger(__name__)


class ClaimLoop:
    """Claims due steps into `work`, and calls each of `also` after each wake-up, at its own pace."""

    def __init__(
        self,
        dsn: str,
        work: Work,
        *,
        outage: timedelta,
        also: Mapping[str, Callable[[], Awaitable[object]]],
        woken: asyncio.Event,
    ) -> None:
        self._dsn = dsn
        self._work = work
        self._outage = outage.total_seconds()
        self._also = also
        self._woken = woken
        self._also_woken = {name: asyncio.Event() for name in also}

    async def run(self) -> None:
        """Run until cancelled; raises Unavailable after an outage that lasted too long."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(), name="listen-steps")
                tasks.create_task(self._claim_for_ever(), name="claim-loop")
                for name in self._also:
                    tasks.create_task(self._also_for_ever(name), name=f"{name}-loop")
        except* Unavailable as several:
            raise several.exceptions[0] from None

    async def _claim_for_ever(self) -> None:
        while True:
            self._woken.clear()
            while await through_outage(self._work.claim, limit=self._outage):
                pass
            await self._sleep(await self._seconds_to_next())

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _seconds_to_next(self) -> float:
        if not self._work.free:
            return TICK  # the end of a step wakes the loop
        seconds = await through_outage(self._work.seconds_to_next, limit=self._outage)
        if seconds is None or seconds <= 0:
            # What is due and was not claimed waits for a slot, whose end wakes the loop.
            return TICK
        return min(max(seconds, SHORTEST_SLEEP), TICK)

    async def _also_for_ever(self, name: str) -> None:
        """Each has a pace of its own: a ticket system or a check that is slow holds up no step."""
        while True:
            try:
                while await through_outage(self._also[name], limit=self._outage):
                    pass
            except Unavailable:
                raise
            except PaoError as error:
                log.warning("look_failed", at=name, error=str(error))
            await self._sleep_also(self._also_woken[name])

    async def _sleep_also(self, woken: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(TICK):
                await woken.wait()
        except TimeoutError:
            return
        finally:
            woken.clear()

    async def _listen(self) -> None:
        async with aclosing(listen(self._dsn, [STEPS_CHANNEL])) as reasons:
            async for reason in reasons:
                if reason.payload == CANCEL:
                    await self._notice_cancelled()
                self._woken.set()
                if reason.payload != STEPS:
                    for woken in self._also_woken.values():
                        woken.set()

    async def _notice_cancelled(self) -> None:
        try:
            await self._work.renew()
        except PaoError as error:
            log.warning("cancel_not_noticed", error=str(error))
