"""News of tickets: what an outside system says of one is kept, and the request goes on where the work is done."""

from __future__ import annotations

from typing import Final

from engine.errors import Conflict, InvalidInput
from engine.events import STEPS_CHANNEL, NewEvent
from engine.execution.run import Surroundings
from engine.requests.begin import locked
from engine.requests.by_hand import complete_manual_request, resolve_step
from engine.requests.manual import complete_manual_step, waits_for_people
from engine.requests.recovery import is_refusal
from engine.store import events, outbox, requests
from engine.store.outbox import KeptTicket
from engine.store.pool import Connection, retried_on_conflict, transaction
from engine.tickets.base import Ticket

DONE: Final = frozenset({"resolved", "closed"})
"""States of a ticket whose work is done."""


@retried_on_conflict
async def take_status(around: Surroundings, kept: KeptTicket, now: Ticket) -> None:
    """Keep what a ticket system said, and let the request go on where the work is done."""
    async with transaction(around.pool) as connection:
        row = await locked(connection, kept.request_id)
        is_done = now.status in DONE
        if is_done and await _comes_too_early(connection, row, kept):
            return
        is_news = await outbox.update_ticket(
            connection, kept.id, now.status, external_status=now.external_status, url=now.url
        )
        if not is_news:
            return
        if now.status != kept.status:
            kind = "ticket.resolved" if is_done else "ticket.updated"
            data = {"ticket_id": kept.ticket_id, "status": now.status}
            await events.write(connection, NewEvent(kind, kept.request_id, kept.step_id, data=data))
        if not is_done:
            return
        if kept.step_id is not None:
            await _resolve_by_ticket(connection, row, kept)
        elif kept.type == "fulfillment" and row.status == "in_progress":
            await complete_manual_request(connection, row)
        await requests.wake(connection, STEPS_CHANNEL)


async def _comes_too_early(
    connection: Connection, row: requests.RequestRow, kept: KeptTicket
) -> bool:
    """Say whether the ticket's failed step cannot be completed yet: other steps are tried again.

    The ticket stays open and is asked for again; once the request has failed it resolves the step.
    """
    if kept.step_id is None or row.status not in ("in_progress", "resuming"):
        return False
    steps = await requests.steps_of(connection, row.id)
    return any(step.id == kept.step_id and step.status == "failed" for step in steps)


async def _resolve_by_ticket(
    connection: Connection, row: requests.RequestRow, kept: KeptTicket
) -> None:
    """Complete the ticket's step; where outputs are needed, or it cannot go on, it stays as it is."""
    for step in await requests.steps_of(connection, row.id):
        if step.id != kept.step_id:
            continue
        if row.status == "in_progress" and waits_for_people(step):
            await complete_manual_step(connection, row.id, step, {})
        elif row.status == "failed" and not row.overtaken and step.status == "failed":
            try:
                async with connection.transaction():
                    await resolve_step(connection, row, step, {})
            except InvalidInput as missing:
                why = f"outputs are needed: {missing}"
            except Conflict as refused:
                if not is_refusal(refused):
                    raise
                why = f"the request cannot go on: {refused}"
            else:
                continue
            data = {"text": f"The ticket is done, but {why}", "ticket_id": kept.ticket_id}
            event = NewEvent("step.progress", row.id, step.id, data=data)
            await events.write(connection, event)
