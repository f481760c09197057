"""Work: claim what is due into free slots, carry each step in a task of its own, finish.

    wake ──> claim up to the free slots ──> one task a step: run a turn ──> finish ──> slot free

The tasks are owned here: a stop claims no more, lets what runs go on for the grace, then cancels it
and gives the steps back at once, without using up their attempts. A kill says nothing and the leases
run out. Waiting steps hold nothing: no task, no slot, no lease.

A step whose turn is over and waits to be written gives its slot free, so the next ones are claimed
and run while the flushers write; twice as many may wait as there are slots.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from structlog.contextvars import bind_contextvars

from engine.errors import PaoError, Unavailable
from engine.execution.finish import Finisher, write_finishes
from engine.execution.lease import Lease, LeaseLost, Leases
from engine.execution.outcome import LONGEST_MESSAGE
from engine.execution.run import Surroundings, run_claim, stay_alive
from engine.execution.scope import RunScope, Scopes, secret_ids
from engine.metrics import START_DELAY, step_turned
from engine.requests.parameters import references_in
from engine.store import claimed, execution, secrets
from engine.store.claimed import ClaimedRequest
from engine.store.execution import Claim, Finish, Phase
from engine.store.pool import transaction

log = structlog.get_logger(__name__)

UNWRITTEN: Final = 2
"""Steps that are over and wait to be written, for each slot, before a step keeps its slot."""

HAND_BACK_SECONDS: Final = 5.0
"""How long a worker that stops waits for its results and steps to be written."""


class Work:
    """The steps that this process carries, at most `slots` at a time.

    `on_change` is called whenever there may be something new to claim. With `request_id`, only the
    steps of that request are taken.
    """

    def __init__(
        self,
        around: Surroundings,
        *,
        owner: str,
        slots: int,
        lease: timedelta,
        outage: timedelta,
        on_change: Callable[[], None],
        request_id: UUID | None = None,
    ) -> None:
        self._around = around
        self._owner = owner
        self._slots = slots
        self._lease = lease
        self._on_change = on_change
        self._request_id = request_id
        self._leases = Leases(around.pool, lease)
        self._finisher = Finisher(around.pool, outage_seconds=outage.total_seconds())
        self._tasks: set[asyncio.Task[None]] = set()
        self._unwritten = 0
        self._is_stopping = False

    def start(self) -> None:
        """Begin to renew leases and to write finishes."""
        self._is_stopping = False
        self._leases.start()
        self._finisher.start()

    async def stop(self, grace: timedelta) -> None:
        """Let what runs go on for `grace`, then give it back; claim nothing meanwhile."""
        self._is_stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace.total_seconds())
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            # While the database is away nothing can be given back: the leases' ends will do it.
            _, late = await asyncio.wait(self._tasks, timeout=HAND_BACK_SECONDS)
            for task in late:
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._leases.stop()
        await self._finisher.stop()
        await self._give_back_the_rest()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is carried."""
        return not self._tasks

    @property
    def unwritten(self) -> int:
        """How many steps are over and wait to be written."""
        return self._unwritten

    @property
    def free(self) -> int:
        """How many steps there is room for."""
        running = len(self._tasks) - min(self._unwritten, UNWRITTEN * self._slots)
        return 0 if self._is_stopping else max(self._slots - running, 0)

    async def claim(self) -> bool:
        """Claim into the free slots; say whether there may be more that is due.

        Raises Unavailable when the database is away.
        """
        free = self.free
        if not free:
            return False
        asked_at = time.monotonic()
        async with transaction(self._around.pool) as connection:
            claims = await execution.claim(
                connection,
                self._owner,
                limit=free,
                lease=self._lease,
                request_id=self._request_id,
            )
            if not claims:
                return False
            requests = await claimed.requests_of(connection, {c.request_id for c in claims})
            of_request = {id_: frozenset(secret_ids(one)) for id_, one in requests.items()}
            wanted = [
                of_request[one.request_id].union(references_in(one.external)) for one in claims
            ]
            kept = await secrets.by_id(connection, set().union(*wanted))
        leases = self._leases.hold(claims, asked_at)
        scopes = Scopes(kept, self._around.cipher, self._around.secret_files)
        for claim, own, lease in zip(claims, wanted, leases, strict=True):
            START_DELAY.observe(claim.seconds_late)
            request = requests[claim.request_id]
            scope = partial(scopes.of, request, claim.component, own)
            self._carry_in_task(claim, request, scope, lease)
        return len(claims) == free

    async def seconds_to_next(self) -> float | None:
        """Return the seconds until a step that this work may claim is due, None where none is."""
        async with transaction(self._around.pool) as connection:
            return await execution.seconds_to_next(connection, self._request_id)

    async def renew(self) -> None:
        """Look at once whether steps of ours were cancelled; raises Unavailable."""
        await self._leases.renew()

    def _carry_in_task(
        self,
        claim: Claim,
        request: ClaimedRequest,
        scope: Callable[[], RunScope],
        lease: Lease,
    ) -> None:
        task = asyncio.create_task(
            self._carry(claim, request, scope, lease), name=f"step {claim.step_id}"
        )
        lease.task = task
        self._tasks.add(task)
        task.add_done_callback(self._put_down)

    def _put_down(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._on_change()
        if not task.cancelled() and task.exception() is not None:
            log.error("step_task_failed", exc_info=task.exception())

    async def _carry(
        self,
        claim: Claim,
        request: ClaimedRequest,
        scope: Callable[[], RunScope],
        lease: Lease,
    ) -> None:
        bind_contextvars(request_id=request.request_id, step_id=claim.step_id)  # the task's own
        try:
            began = time.monotonic()
            finish = await self._turn(claim, request, scope, lease)
            seconds = claim.seconds_running + time.monotonic() - began
            step_turned(claim.step_type, finish.outcome, seconds)
            lease.task = None  # nothing interrupts a step whose turn is over
            await self._write_beside(finish)
        except LeaseLost:
            log.warning("step_lost", attempt=claim.attempt_count)
        finally:
            self._leases.release(lease)

    async def _turn(
        self,
        claim: Claim,
        request: ClaimedRequest,
        scope: Callable[[], RunScope],
        lease: Lease,
    ) -> Finish:
        try:
            await lease.alone()
            return await run_claim(self._around, claim, request, scope, lease)
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
            stay_alive()
            return given_back(claim.id, claim.lease_token, claim.phase, claim.attempt_count)

    async def _give_back_the_rest(self) -> None:
        """A claim that was interrupted between its commit and its task leaves steps behind."""
        try:
            async with asyncio.timeout(HAND_BACK_SECONDS):
                async with transaction(self._around.pool) as connection:
                    held = await execution.held_by(connection, self._owner)
                if held:
                    back = [given_back(one.id, one.token, one.phase, one.attempt) for one in held]
                    await write_finishes(self._around.pool, back)
        except (PaoError, TimeoutError) as error:
            log.warning("steps_not_given_back", error=str(error))

    async def _write_beside(self, finish: Finish) -> None:
        self._unwritten += 1
        self._on_change()
        try:
            await self._write(finish)
        finally:
            self._unwritten -= 1

    async def _write(self, finish: Finish) -> None:
        try:
            await self._finisher.write(finish)
        except Unavailable:
            raise
        except PaoError as error:
            # What the database will not take, it will not take tomorrow either.
            log.warning("finish_not_stored", error=str(error))
            await self._finisher.write(_unstorable(finish, error))


def given_back(step_id: UUID, token: int, phase: Phase, attempt: int) -> Finish:
    """Return the finish of a step whose worker stops: due at once, its attempt not counted."""
    message = "The worker was stopped before the step was done"
    told = {"attempt": attempt, "error_type": "worker_stopped", "error_message": message}
    return Finish(
        id=step_id,
        token=token,
        outcome="retrying",
        phase=phase,
        uncounted=1,
        error_type="worker_stopped",
        error_message=message,
        kind="step.retrying",
        data=told,
    )


def _unstorable(finish: Finish, error: PaoError) -> Finish:
    message = str(error)[:LONGEST_MESSAGE]
    return Finish(
        id=finish.id,
        token=finish.token,
        outcome="failed",
        error_type="result_not_stored",
        error_message=message,
        kind="step.failed",
        data={"error_type": "result_not_stored", "error_message": message},
    )
