"""Tickets: made from the outbox, followed until somebody has done the work.

    outbox item ──claimed──> created outside ──kept──> open, in_progress ──> resolved, closed
         ^          │ the system is down                    │ resolved outside
         └─postponed┘                                       v
                                          the step is completed, or its outputs are asked for

The item's key is the ticket's idempotency key: a ticket system finds what a lost answer left
behind, and manual_tickets keeps one row a key. An item has a lease like a step; a death between the
creation and the row repeats the creation, which finds the ticket.

A ticket's text is put together when it is made (ticket_drafts.py, ticket_text.py); what its system
says of it later is taken by ticket_news.py.
"""

from __future__ import annotations

import asyncio
import random
import traceback
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from engine.errors import PaoError, StepFailed
from engine.events import NewEvent
from engine.execution.outcome import LONGEST_MESSAGE
from engine.execution.run import Surroundings
from engine.execution.ticket_drafts import Drafts, request_of
from engine.execution.ticket_memory import ItemMemory
from engine.execution.ticket_news import DONE, take_status
from engine.redaction import Redactor
from engine.requests.tickets import CLOSE, TICKET
from engine.store import events, outbox, requests
from engine.store.outbox import Item, KeptTicket, NewTicket
from engine.store.pool import Connection, transaction
from engine.tickets.base import Ticket, TicketDraft
from engine.tickets.registry import TicketRegistry

FIRST_POLL: Final = 5.0
LONGEST_POLL: Final = 300.0
"""Seconds between two looks at a ticket: from the first, growing by half, to the longest."""

FIRST_DELAY: Final = 5.0
LONGEST_DELAY: Final = 600.0
"""Seconds until a ticket that could not be made is tried again, doubling."""

LONGEST_RETRY_AFTER: Final = 3600.0
"""Seconds; a ticket system that asks for more is asked again after this."""

ITEM_LEASE: Final = timedelta(minutes=2)
BATCH: Final = 10
log = structlog.get_logger(__name__)


class Tickets:
    """Makes and follows the tickets of all requests, or of one."""

    def __init__(
        self,
        around: Surroundings,
        systems: TicketRegistry,
        *,
        owner: str,
        request_id: UUID | None = None,
    ) -> None:
        self._around = around
        self._systems = systems
        self._owner = owner
        self._request_id = request_id
        self._drafts = Drafts(around)

    async def work(self) -> int:
        """Do what is due in the outbox; return how many items were tried."""
        async with transaction(self._around.pool) as connection:
            items = await outbox.claim(
                connection,
                self._owner,
                limit=BATCH,
                lease=ITEM_LEASE,
                request_id=self._request_id,
            )
        await asyncio.gather(*(self._do(item) for item in items))
        return len(items)

    async def poll(self) -> int:
        """Ask for the status of the tickets that are due; return how many were asked for."""
        async with transaction(self._around.pool) as connection:
            due = await outbox.tickets_to_poll(
                connection,
                limit=BATCH,
                first=FIRST_POLL,
                longest=LONGEST_POLL,
                request_id=self._request_id,
            )
        await asyncio.gather(*(self._follow(ticket) for ticket in due))
        return len(due)

    async def give_back(self) -> None:
        """Leave nothing for a lease to run out: called when the worker stops."""
        async with transaction(self._around.pool) as connection:
            await outbox.release(connection, self._owner)

    # The outbox

    async def _do(self, item: Item) -> None:
        try:
            if item.kind == TICKET:
                await self._create(item)
            elif item.kind == CLOSE:
                await self._close(item)
        except PaoError as error:
            await self._postpone(item, error)
        except Exception as error:
            log.exception("ticket_crashed", outbox_item=item.id)
            await self._postpone(item, StepFailed(type(error).__name__, str(error)))

    async def _create(self, item: Item) -> None:
        """Make the ticket outside, then keep it."""
        draft, system, redactor = await self._drafts.draft(item)
        draft = replace(draft, memory=ItemMemory(self._around.pool, item, ITEM_LEASE))
        try:
            with self._around.span(draft.request_id):
                ticket = await self._systems.get(system).create(draft)
        except Exception as error:  # noqa: BLE001 (the edge of the system)
            # What the system repeats of the call is kept, shown and logged from here on.
            raise _redacted(error, redactor) from None
        can_follow = self._systems.get(system).can_follow
        async with transaction(self._around.pool) as connection:
            if not await outbox.finish(connection, item):
                await self._close_unwanted(connection, item, ticket, system, draft)
                return
            id_ = await self._keep(connection, item, ticket, system, draft, can_follow=can_follow)
            kept = None if id_ is None else await outbox.ticket(connection, id_)
        if kept and ticket.status in DONE:
            await take_status(self._around, kept, ticket)

    async def _keep(
        self,
        connection: Connection,
        item: Item,
        ticket: Ticket,
        system: str,
        draft: TicketDraft,
        *,
        can_follow: bool,
    ) -> UUID | None:
        """Keep the ticket, open: that it is done is taken like any news, also after a death."""
        request_id = request_of(item)
        kept = await outbox.keep_ticket(
            connection,
            NewTicket(
                request_id=request_id,
                step_id=item.step_id,
                system=system,
                ticket_id=ticket.ticket_id,
                url=ticket.url,
                type=draft.ticket_type,
                status="open" if ticket.status in DONE else ticket.status,
                summary=draft.summary,
                key=item.key,
                delay=FIRST_POLL if can_follow else None,
                external_status=ticket.external_status,
                external=ticket.external,
            ),
        )
        if kept is not None:
            data = {
                "ticket_id": ticket.ticket_id,
                "url": ticket.url,
                "type": draft.ticket_type,
                "system": system,
                "summary": draft.summary,
            }
            event = NewEvent("ticket.created", request_id, item.step_id, data=data)
            await events.write(connection, event)
        return kept

    async def _close_unwanted(
        self,
        connection: Connection,
        item: Item,
        ticket: Ticket,
        system: str,
        draft: TicketDraft,
    ) -> None:
        """The item was given up while its ticket was made: keep the ticket and have it closed."""
        await self._keep(connection, item, ticket, system, draft, can_follow=False)
        for kept in await outbox.open_tickets(
            connection, request_of(item), step_id=item.step_id, of_step=True
        ):
            if kept.ticket_id == ticket.ticket_id:
                await outbox.update_ticket(connection, kept.id, "closed")
                await requests.insert_outbox(
                    connection,
                    CLOSE,
                    f"close:{kept.id}",
                    {"ticket": str(kept.id), "text": "This is not needed any more."},
                    request_id=item.request_id,
                )

    async def _close(self, item: Item) -> None:
        async with transaction(self._around.pool) as connection:
            kept = await outbox.ticket(connection, UUID(item.payload["ticket"]))
        if kept is not None:
            system = self._systems.get(kept.system)
            await system.comment(await self._drafts.outside(kept), item.payload["text"], close=True)
        async with transaction(self._around.pool) as connection:
            await outbox.finish(connection, item)

    async def _postpone(self, item: Item, error: PaoError) -> None:
        longest = min(FIRST_DELAY * 2 ** min(item.attempts - 1, 20), LONGEST_DELAY)
        delay = random.uniform(longest / 2, longest)  # noqa: S311
        if isinstance(error, StepFailed) and error.retry_after is not None:
            delay = max(delay, min(error.retry_after, LONGEST_RETRY_AFTER))
        message = str(error)[:LONGEST_MESSAGE]
        log.warning("outbox_item_postponed", outbox_item=item.id, error=message)
        async with transaction(self._around.pool) as connection:
            due = await outbox.postpone(connection, item, delay, message)
            if due is not None and item.kind == TICKET:
                data = {"error": message, "due": due.isoformat()}
                event = NewEvent("ticket.delayed", item.request_id, item.step_id, data=data)
                await events.write(connection, event)

    # Following

    async def _follow(self, kept: KeptTicket) -> None:
        try:
            now = await self._systems.get(kept.system).follow(await self._drafts.outside(kept))
        except PaoError as error:
            log.warning("ticket_not_followed", ticket=kept.ticket_id, error=str(error))
            return
        except Exception:
            log.exception("ticket_follow_crashed", ticket=kept.ticket_id)
            return
        if now.status != kept.status or now.external_status != kept.external_status:
            await take_status(self._around, kept, now)


def _redacted(error: Exception, redactor: Redactor) -> StepFailed:
    if isinstance(error, StepFailed):
        return StepFailed(
            error.error_type,
            redactor.text(str(error)),
            kind=error.kind,
            retry_after=error.retry_after,
        )
    if isinstance(error, PaoError):
        return StepFailed(error.code, redactor.text(str(error)), kind=error.kind)
    trace = "".join(traceback.format_exception(error))
    log.error("ticket_crashed", trace=redactor.text(trace))
    return StepFailed(type(error).__name__, redactor.text(str(error)))
