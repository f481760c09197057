"""The dispatcher: what a process runs to carry steps, as one service.

    stopped ──start──> claiming ──stop──> draining ──grace over──> stopped

Draining claims nothing more, lets what runs go on for the grace, and gives back the rest. A
dispatcher whose loop ended by itself (the database stayed away for too long) says so in `wait`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import structlog

from engine.config import EngineConfig
from engine.dispatch.apscheduler import PeriodicJobs
from engine.dispatch.loop import ClaimLoop
from engine.dispatch.periodic import Job, periodic_jobs
from engine.errors import PaoError
from engine.events import STEPS_CHANNEL
from engine.execution.run import Surroundings
from engine.execution.tickets import Tickets
from engine.execution.work import HAND_BACK_SECONDS, Work
from engine.requests.gates import Gates
from engine.service import Service
from engine.store import requests
from engine.store.pool import Pool, transaction
from engine.tickets.registry import TicketRegistry

log = structlog.get_logger(__name__)


class Carrier:
    """The claim loop with its work and its tickets, for all requests or for one."""

    def __init__(
        self,
        around: Surroundings,
        systems: TicketRegistry,
        config: EngineConfig,
        *,
        slots: int | None = None,
        request_id: UUID | None = None,
    ) -> None:
        owner = owner_name()
        self._config = config
        self._pool = around.pool
        self._woken = asyncio.Event()
        self._tickets = Tickets(around, systems, owner=owner, request_id=request_id)
        self._gates = Gates(around.pool, around.checks, config, request_id)
        self._work = Work(
            around,
            owner=owner,
            slots=slots or config.worker_concurrency,
            lease=config.lease,
            outage=config.database_outage,
            on_change=self._woken.set,
            request_id=request_id,
        )
        self._loop = ClaimLoop(
            config.database_direct_url or config.database_url,
            self._work,
            outage=config.database_outage,
            also={"outbox": self._do_tickets, "gates": self._gates.work},
            woken=self._woken,
        )
        self._running: asyncio.Task[None] | None = None

    @property
    def running(self) -> asyncio.Task[None] | None:
        """The loop's task, None while stopped."""
        return self._running

    @property
    def unwritten(self) -> int:
        """How many steps are over and wait to be written."""
        return self._work.unwritten

    def wake(self) -> None:
        """Look at once whether something is due."""
        self._woken.set()

    async def start(self) -> None:
        """Begin to claim."""
        if self._running is None:
            self._work.start()
            self._running = asyncio.create_task(self._loop.run(), name="dispatcher")

    async def stop(self) -> None:
        """Claim no more, let what runs go on for the grace, give back the rest."""
        if self._running is None:
            return
        running, self._running = self._running, None
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)  # `wait` tells why it ended
        await self._work.stop(self._config.shutdown_grace)
        try:
            async with asyncio.timeout(HAND_BACK_SECONDS):
                await self._tickets.give_back()
                await self._wake_others()
        except (PaoError, TimeoutError) as error:
            log.warning("outbox_not_given_back", error=str(error))

    async def _wake_others(self) -> None:
        """What was given back is due now, and whoever else runs may be asleep."""
        async with transaction(self._pool) as connection:
            await requests.wake(connection, STEPS_CHANNEL)

    async def _do_tickets(self) -> bool:
        """Do what is due in the outbox and ask for tickets; say whether there may be more."""
        return bool(await self._tickets.work() + await self._tickets.poll())


class Dispatcher:
    """Carries the steps of all requests and runs the periodic jobs."""

    def __init__(
        self,
        around: Surroundings,
        systems: TicketRegistry,
        config: EngineConfig,
        sync: Callable[[], Awaitable[object]],
    ) -> None:
        self._carrier = Carrier(around, systems, config)
        self._jobs = self._clock(around.pool, config, periodic_jobs(around.pool, config, sync))

    def _clock(self, pool: Pool, config: EngineConfig, jobs: Sequence[Job]) -> Service:
        """Return what runs the periodic jobs: the only difference between the two dispatchers."""
        if config.dispatcher == "apscheduler":
            return PeriodicJobs(pool, owner_name(), jobs)
        from engine.dispatch.procrastinate import ProcrastinateJobs  # noqa: PLC0415 (slow to import)

        direct = config.database_direct_url or config.database_url
        return ProcrastinateJobs(pool, direct, owner_name(), jobs, self._carrier.wake)

    async def wait(self) -> None:
        """Return when the dispatcher was stopped; raises why it cannot go on (Unavailable)."""
        running = self._carrier.running
        if running is not None:
            await asyncio.wait([running])
            if not running.cancelled():
                running.result()

    async def start(self) -> None:
        """Begin to carry steps and to run the periodic jobs."""
        await self._carrier.start()
        await self._jobs.start()

    async def stop(self) -> None:
        """Claim no more from now on, end the jobs meanwhile, and drain."""
        await asyncio.gather(self._carrier.stop(), self._jobs.stop())


def owner_name() -> str:
    """Return a name that no other worker has: host, process and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
