"""Tickets as items of the outbox: written with the change that calls for them, made later.

What the ticket says is put together when it is made (engine/execution/ticket_drafts.py), from the state
of that moment. The key makes sure that there is one ticket for one cause.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal
from uuid import UUID

from engine.events import STEPS_CHANNEL, NewEvent
from engine.store import events, outbox, requests
from engine.store.pool import Connection

TICKET: Final = "ticket"
"""The kind of outbox items that become tickets."""

TicketType = Literal["fulfillment", "cleanup", "completion"]


async def ask_for_ticket(
    connection: Connection,
    request_id: UUID,
    ticket_type: TicketType,
    system: str,
    *,
    group: int = 1,
) -> None:
    """Ask for a ticket of the request itself; `group` tells repeated causes apart."""
    await requests.insert_outbox(
        connection,
        TICKET,
        effect_key(request_id, f"ticket:{ticket_type}", group),
        {"type": ticket_type, "system": system},
        request_id=request_id,
    )
    await events.write(
        connection,
        NewEvent("ticket.requested", request_id, data={"type": ticket_type, "system": system}),
    )
    await requests.wake(connection, STEPS_CHANNEL)


def effect_key(request_id: UUID, subject: str, group: int) -> str:
    """Return the idempotency key of an effect: of request, step (or other subject) and group."""
    return hashlib.sha256(f"{request_id}:{subject}:{group}".encode()).hexdigest()[:40]


CLOSE: Final = "ticket.close"
"""The kind of outbox items that comment and close a ticket that nobody needs any more."""


async def drop_tickets(
    connection: Connection,
    request_id: UUID,
    why: str,
    *,
    step_id: UUID | None = None,
    of_step: bool = False,
) -> None:
    """Give up the tickets of a request, or of one of its steps, that are not done.

    Those still to be made are not made; those that exist are commented and closed, later.
    """
    given_up = await outbox.cancel(connection, request_id, step_id if of_step else None)
    if given_up:
        await events.write(connection, NewEvent("ticket.cancelled", request_id, step_id))
    for ticket in await outbox.open_tickets(
        connection, request_id, step_id=step_id, of_step=of_step
    ):
        await outbox.update_ticket(connection, ticket.id, "closed")
        await requests.insert_outbox(
            connection,
            CLOSE,
            f"close:{ticket.id}",
            {"ticket": str(ticket.id), "text": why},
            request_id=request_id,
        )
        await requests.wake(connection, STEPS_CHANNEL)
