"""The reaper: what nobody carries any more goes on.

A lease that has expired is taken over: the reaper takes the next token (so the lost worker can write
nothing more), closes the attempt as `worker_lost` and makes the step due at once, in the phase it
was in, without using up an attempt of its budget. A step that loses ten workers is a poison step and
fails for good. A reaper that dies in between leaves a lease of its own, which expires as well.

A request whose sequence took longer than its timeout has its steps cancelled with error_type
`timeout`; what had not begun is skipped. A component of a bundle has a timeout of its own, which ends
its steps alone and what needs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from engine.events import STEPS_CHANNEL
from engine.metrics import TAKE_OVERS
from engine.store import execution, requests, steps, timeouts
from engine.store.execution import Finish, Lost
from engine.store.pool import Pool, retried_on_conflict, transaction
from engine.store.timeouts import Overdue

POISON_LOSSES: Final = 10
"""Workers that a step may lose before it fails for good."""

BATCH: Final = 100

log = structlog.get_logger(__name__)


async def reap(pool: Pool, lease: timedelta) -> int:
    """Take over what was lost, end what took too long; return how many steps and requests."""
    async with transaction(pool) as connection:
        lost = await execution.take_over(connection, limit=BATCH, lease=lease)
    if lost:
        log.warning("leases_taken_over", count=len(lost))
        TAKE_OVERS.inc(len(lost))
        await _let_go_on(pool, [_gone_on(one) for one in lost])
    async with transaction(pool) as connection:
        overdue = await execution.overdue(connection, BATCH)
        late = await timeouts.overdue(connection, BATCH)
    for request_id in overdue:
        await _time_out(pool, request_id)
    for component in late:
        await _stop_component(pool, component)
    return len(lost) + len(overdue) + len(late)


@retried_on_conflict
async def _let_go_on(pool: Pool, finishes: Sequence[Finish]) -> None:
    """Write what became of lost steps, and wake whoever sleeps: they are due now."""
    async with transaction(pool) as connection:
        await execution.finish(connection, finishes)
        await requests.wake(connection, STEPS_CHANNEL)


def _gone_on(lost: Lost) -> Finish:
    """Return what becomes of a step whose worker was lost."""
    is_poison = lost.losses + 1 >= POISON_LOSSES
    message = "The worker that had the step is gone"
    if is_poison:
        message = f"The step lost {POISON_LOSSES} workers; it may be what kills them"
    told = {"attempt": lost.attempt, "error_type": "worker_lost", "error_message": message}
    return Finish(
        id=lost.id,
        token=lost.token,
        outcome="failed" if is_poison else "retrying",
        phase=lost.phase,
        losses=1,
        uncounted=1,
        error_type="worker_lost",
        error_message=message,
        kind="step.failed" if is_poison else "step.retrying",
        data=told,
    )


@retried_on_conflict
async def _time_out(pool: Pool, request_id: UUID) -> None:
    async with transaction(pool) as connection:
        await requests.lock_request(connection, request_id)
        await steps.lock_steps(connection, request_id)
        row = await requests.request_row(connection, request_id)
        if row is None or row.status != "in_progress":
            return
        log.warning("request_timed_out", request_id=row.request_id)
        await requests.set_reason(connection, request_id, "The sequence took too long.")
        ended = await steps.cancel_steps(
            connection, request_id, skip_reason="dependency", error_type="timeout"
        )
        if not ended.running:
            await execution.end(connection, [request_id])


@retried_on_conflict
async def _stop_component(pool: Pool, late: Overdue) -> None:
    async with transaction(pool) as connection:
        await requests.lock_request(connection, late.request_id)
        await steps.lock_steps(connection, late.request_id)
        row = await requests.request_row(connection, late.request_id)
        if row is None or row.status != "in_progress":
            return
        log.warning("component_timed_out", request_id=row.request_id, component=late.component)
        if await timeouts.stop(connection, late):
            await execution.end(connection, [late.request_id])
