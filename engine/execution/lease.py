"""Leases: which steps are this worker's, and how long it may believe that.

    claimed ──renewed every third of the lease──> claimed ──finish written──> free
       │                                             │
       │ not returned by a renewal                   │ no renewal got through
       v                                             v
      lost: the task is cancelled, nothing      not trusted: no effect is begun; what was
      more can be written (the token is old)    done is written if the token still stands

What the database owns: who has a step (lease_owner), until when (lease_expires_at, by its own
clock), and the fencing token that grows with every claim and must match every later write. Once a
lease has expired, a reaper anywhere takes the step and with it the next token.

What local time is for: a worker may begin an outside effect only while it can be sure that its
lease has not expired. It counts from the moment before the renewing statement was sent, on its own
monotonic clock, and subtracts a margin; so neither a slow answer nor a wrong clock lets it believe
too long. A frozen process finds its trust gone when it thaws.

A worker that dies says nothing: its leases run out. One that stops gives its steps back by finishing
them (engine/execution/work.py). A step that somebody aborts keeps its lease: the renewal says so,
and the task is cancelled and ends the step as cancelled itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from engine.errors import PaoError
from engine.store import execution
from engine.store.execution import Claim
from engine.store.pool import Pool, transaction

MARGIN: Final = 0.1
"""Part of a lease by which a worker trusts it less than the database does."""

RENEWALS: Final = 3
"""How many times a lease is renewed in its own length."""

log = structlog.get_logger(__name__)


class LeaseLost(PaoError):
    """The step is another worker's now, or cannot be known to be ours."""

    default_code = "lease_lost"
    default_kind = "transient"


@dataclass(slots=True)
class Lease:
    """One step of ours: `is_lost` to another worker, or `is_cancelled` by somebody."""

    step_id: UUID
    token: int
    trusted_until: float
    task: asyncio.Task[None] | None = None
    predecessor: asyncio.Task[None] | None = None
    """Who carried the step in this process before it was lost, and may not have ended yet."""
    is_lost: bool = False
    is_cancelled: bool = False

    def check(self) -> None:
        """Raise LeaseLost unless the step is certainly still ours."""
        if self.is_lost or time.monotonic() >= self.trusted_until:
            raise LeaseLost("The step's lease is gone", "another worker may have it")

    async def alone(self) -> None:
        """Wait until whoever carried the step here before has ended."""
        if self.predecessor is not None:
            await asyncio.wait([self.predecessor])

    def lose(self) -> None:
        """Somebody else has the step: stop carrying it."""
        log.warning("lease_lost", step=str(self.step_id))
        self.is_lost = True
        self.interrupt()

    def interrupt(self) -> None:
        """Cancel the task that carries the step."""
        if self.task is not None:
            self.task.cancel()


class Leases:
    """The steps of this worker, and the task that renews their leases."""

    def __init__(self, pool: Pool, length: timedelta) -> None:
        self._pool = pool
        self._length = length
        self._held: dict[UUID, Lease] = {}
        self._renewing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to renew."""
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew_for_ever(), name="lease-renewal")

    async def stop(self) -> None:
        """Renew no more; what is still held runs out."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])
            self._renewing = None

    def hold(self, claims: Sequence[Claim], asked_at: float) -> list[Lease]:
        """Take in claims that were asked for at `asked_at` (monotonic)."""
        return [self._hold(claim, self._trust(asked_at)) for claim in claims]

    def _hold(self, claim: Claim, until: float) -> Lease:
        lease = Lease(claim.id, claim.lease_token, until, is_cancelled=claim.phase == "cancel")
        earlier = self._held.get(claim.id)
        if earlier is not None and earlier.task is not None:
            # Lost and claimed again by this very worker, before a renewal could tell.
            lease.predecessor = earlier.task
            earlier.lose()
        self._held[claim.id] = lease
        return lease

    def release(self, lease: Lease) -> None:
        """Forget a step that is finished or lost."""
        if self._held.get(lease.step_id) is lease:
            del self._held[lease.step_id]

    async def renew(self) -> None:
        """Renew all leases once; raises Unavailable when the database is away."""
        held = dict(self._held)
        if not held:
            return
        asked_at = time.monotonic()
        tokens = {step_id: lease.token for step_id, lease in held.items()}
        async with transaction(self._pool) as connection:
            renewed = await execution.renew(connection, tokens, self._length)
        still_ours = {one.id: one for one in renewed}
        for step_id, lease in held.items():
            self._judge(lease, still_ours.get(step_id), asked_at)

    def _judge(self, lease: Lease, renewed: execution.Renewed | None, asked_at: float) -> None:
        if renewed is None:
            # A finish that is being written ends the lease too: then no task carries the step.
            if self._held.get(lease.step_id) is lease and lease.task is not None:
                lease.lose()
            return
        lease.trusted_until = self._trust(asked_at)
        if renewed.is_cancelled and not lease.is_cancelled:
            lease.is_cancelled = True
            lease.interrupt()

    def _trust(self, asked_at: float) -> float:
        return asked_at + self._length.total_seconds() * (1 - MARGIN)

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._length.total_seconds() / RENEWALS)
            try:
                await self.renew()
            except PaoError as error:  # away, or a deadlock with a finish: the next one comes soon
                log.warning("lease_renewal_failed", error=str(error))
