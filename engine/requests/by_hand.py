"""By hand: what people do themselves for a request, and say so.

    failed ──resolve, skip──> resuming ──> in_progress      the step completed or skipped
    failed ──resolve of one of several──> failed            nothing can run yet
    in_progress ──resolve of a manual step──> in_progress   the step completed, its ticket resolved
    in_progress ──resolve of a manual-only request──> completed

What people did not approve cannot be resolved: it would be a way around them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from engine.catalog.suggest import did_you_mean
from engine.catalog.values import FieldError
from engine.errors import Conflict, InvalidInput, quoted
from engine.events import EVENTS_CHANNEL, NewEvent
from engine.people.permissions import Action
from engine.requests.acting import audited, held
from engine.requests.manual import complete_manual_step, waits_for_people
from engine.requests.parameters import refuse, seal_outputs
from engine.requests.recovery import (
    APPROVAL,
    drop_step_tickets,
    failed_step,
    go_on,
    require_resumable,
    resumable,
)
from engine.requests.sealed import redactor_of
from engine.requests.views import declared_outputs
from engine.results import Actor
from engine.secrets import Cipher
from engine.store import events, execution, gates, outbox, requests, steps
from engine.store import secrets as stored_secrets
from engine.store.pool import Connection
from engine.store.requests import RequestRow, StepRow


async def skip(
    connection: Connection, cipher: Cipher, actor: Actor, request_id: str, *, step: str, reason: str
) -> UUID:
    """Leave a failed step out; its dependents go on and see None."""
    row = await resumable(connection, actor, request_id, Action.SKIP)
    if not reason.strip():
        raise InvalidInput("A reason is needed to skip a step", field="reason", code="required")
    failed = await failed_step(connection, row, step)
    reason = (await redactor_of(connection, cipher, row)).text(reason)
    await drop_step_tickets(connection, row, [failed])
    await steps.close_step(connection, row.id, failed.step_id, skipped=True, reason=reason)
    await _go_on_if_possible(connection, row)
    await audited(connection, actor, Action.SKIP, row, step=failed.step_id, reason=reason)
    return row.id


async def resolve(
    connection: Connection,
    cipher: Cipher,
    actor: Actor,
    request_id: str,
    *,
    step: str | None = None,
    outputs: Mapping[str, Any] | None = None,
) -> UUID:
    """Say that a failed step, or the work of a manual-only request, was done by hand."""
    row = await held(connection, actor, request_id, Action.RESOLVE)
    if step is None and await _is_manual_only(connection, row):
        await complete_manual_request(connection, row)
        await audited(connection, actor, Action.RESOLVE, row)
        return row.id
    waiting = await _step_of_people(connection, row, step)
    if waiting is None:
        require_resumable(row, Action.RESOLVE)
    meant = waiting or await failed_step(connection, row, step)
    if meant.step_type == APPROVAL:
        raise _not_approved(row, meant)
    redactor = await redactor_of(connection, cipher, row)
    sealed, new = seal_outputs(outputs or {}, cipher, meant.id, redactor)
    await stored_secrets.insert(connection, new)
    if waiting is None:
        await resolve_step(connection, row, meant, sealed)
    else:
        await complete_manual_step(connection, row.id, waiting, sealed)
    await audited(connection, actor, Action.RESOLVE, row, step=meant.step_id)
    return row.id


async def resolve_step(
    connection: Connection, row: RequestRow, failed: StepRow, outputs: Mapping[str, Any]
) -> None:
    """Complete a failed step of a failed request by hand; InvalidInput for missing outputs."""
    declared = declared_outputs(failed.step_config)
    refuse(
        [
            FieldError(name, "This output is needed here.", "required")
            for name in declared
            if name not in outputs or outputs[name] is None
        ]
        + [
            FieldError(
                name,
                f"The step has no output {quoted(name)}.{did_you_mean(name, declared)}",
                "unknown_output",
            )
            for name in outputs
            if declared and name not in declared
        ]
    )
    await _resolve_tickets(connection, row.id, failed.id)
    await steps.close_step(connection, row.id, failed.step_id, outputs=outputs)
    await _go_on_if_possible(connection, row)


async def complete_manual_request(connection: Connection, row: RequestRow) -> None:
    """Complete a request of which everything is done by hand."""
    await _resolve_tickets(connection, row.id, None)
    await outbox.cancel(connection, row.id)
    await gates.clear(connection, row.id)
    await execution.end(connection, [row.id])
    await requests.wake(connection, EVENTS_CHANNEL)


def _not_approved(row: RequestRow, step: StepRow) -> Conflict:
    return Conflict(
        f"The step {step.step_id} cannot be resolved by hand",
        "people did not approve it",
        "Retry it to ask them again, or abort the request",
        request_id=row.request_id,
        code="not_approved",
    )


async def _go_on_if_possible(connection: Connection, row: RequestRow) -> None:
    """Let the request go on, unless other failed steps hold up everything that is left."""
    steps = [s for s in await requests.steps_of(connection, row.id) if s.section == "automation"]
    is_stuck = any(s.status == "failed" for s in steps) and not any(
        s.status == "pending" for s in steps
    )
    if not is_stuck:
        await go_on(connection, row, None)


async def _resolve_tickets(connection: Connection, request_id: UUID, step_id: UUID | None) -> None:
    """Mark the tickets of a step, or of the request itself, as resolved."""
    if step_id is not None:
        await outbox.cancel(connection, request_id, step_id)
    for ticket in await outbox.open_tickets(connection, request_id, step_id=step_id, of_step=True):
        if step_id is None and ticket.type != "fulfillment":
            continue
        await outbox.update_ticket(connection, ticket.id, "resolved")
        await events.write(
            connection,
            NewEvent("ticket.resolved", request_id, step_id, data={"ticket_id": ticket.ticket_id}),
        )


async def _step_of_people(
    connection: Connection, row: RequestRow, step: str | None
) -> StepRow | None:
    """Return the step that waits for a person and is meant: the one named, or the only one."""
    if row.status != "in_progress":
        return None
    waiting = [s for s in await requests.steps_of(connection, row.id) if waits_for_people(s)]
    named = [s for s in waiting if step in (None, s.step_id)] or [
        s for s in waiting if s.step_name == step
    ]
    return named[0] if len(named) == 1 else None


async def _is_manual_only(connection: Connection, row: RequestRow) -> bool:
    return row.status == "in_progress" and not await requests.steps_of(connection, row.id)
