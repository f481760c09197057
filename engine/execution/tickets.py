"""Tickets: made from the outbox, followed until somebody has done the work.

    outbox item ──claimed──> created outside ──kept──> open, in_progress ──> resolved, closed
         ^          │ the system is down                    │ resolved outside
         └─postponed┘                                       v
                                          the step is completed, or its outputs are asked for

The item's key is the ticket's idempotency key: a ticket system finds what a lost answer left
behind, and manual_tickets keeps one row a key. An item has a lease like a step; a death between the
creation and the row repeats the creation, which finds the ticket.

A ticket's text is put together when it is made (engine/execution/ticket_text.py).
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, cast
from uuid import UUID

import structlog

from engine.errors import Conflict, InvalidInput, PaoError, StepFailed, Unavailable
from engine.events import STEPS_CHANNEL, NewEvent
from engine.execution import ticket_text
from engine.execution.outcome import LONGEST_MESSAGE
from engine.execution.run import Surroundings
from engine.execution.scope import RunScope, build_scope, secret_ids
from engine.execution.ticket_memory import ItemMemory
from engine.execution.ticket_text import LONGEST_SUMMARY, Cause, TicketType
from engine.redaction import Redactor
from engine.requests.begin import locked
from engine.requests.by_hand import complete_manual_request, resolve_step
from engine.requests.manual import complete_manual_step, waits_for_people
from engine.requests.parameters import with_dots
from engine.requests.recovery import is_refusal
from engine.requests.subject import fulfillment_of
from engine.requests.tickets import CLOSE, TICKET
from engine.store import events, execution, outbox, requests, secrets
from engine.store.execution import ClaimedRequest
from engine.store.outbox import Item, KeptTicket, NewTicket, StepState
from engine.store.pool import Connection, retried_on_conflict, transaction
from engine.store.secrets import EncryptedValue
from engine.templates import render
from engine.tickets.base import Ticket, TicketDraft, TicketStatus
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
DONE: Final = frozenset({"resolved", "closed"})
"""States of a ticket whose work is done."""

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
        for ticket in due:
            await self._follow(ticket)
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
        draft, system, redactor = await self._draft(item)
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
            await self._take_status(kept, ticket)

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
        request_id = _request_of(item)
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
            connection, _request_of(item), step_id=item.step_id, of_step=True
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
            await system.comment(await self._outside(kept), item.payload["text"], close=True)
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

    # The text

    async def _draft(self, item: Item) -> tuple[TicketDraft, str, Redactor]:
        """Return what the ticket says, in which system, and what redacts the system's answers."""
        async with transaction(self._around.pool) as connection:
            request_id = _request_of(item)
            found = await execution.requests_of(connection, [request_id])
            request = found[request_id]
            kept = await secrets.by_id(connection, secret_ids(request))
            attempts = (
                await outbox.failed_attempts(connection, item.step_id) if item.step_id else []
            )
            steps = await _what_was_done(connection, request)
            step = await _step(connection, request_id, item.step_id)
        component = step.component if step else None
        scope = self._scope(request, kept, component)
        manual = fulfillment_of(request.plan, component)["manual"]
        template, problem = ticket_text.rendered(manual.get("template") or {}, scope.names)
        cause = Cause(
            request=request,
            type=cast("TicketType", item.payload.get("type", "fulfillment")),
            step_name=step.step_name if step else None,
            attempts=attempts,
            steps=steps,
        )
        redactor = Redactor(scope.secrets())
        link = self._link(request.request_id)
        below = ticket_text.below(cause, link)
        described = "\n\n".join(
            filter(None, (str(template.get("description") or ""), problem, below))
        )
        draft = TicketDraft(
            key=item.key,
            summary=redactor.text(ticket_text.summary(template, cause))[:LONGEST_SUMMARY],
            description=redactor.text(described),
            template=ticket_text.for_people(template, described, redactor),
            request_id=request.request_id,
            ticket_type=cause.type,
            parameters=with_dots(request.parameters),
        )
        return draft, item.payload.get("system") or manual["system"], redactor

    def _scope(
        self,
        request: ClaimedRequest,
        kept: Mapping[UUID, EncryptedValue],
        component: str | None,
    ) -> RunScope:
        """Return what a ticket's templates see; of a component that cannot be rendered, its bundle's."""
        cipher, files = self._around.cipher, self._around.secret_files
        try:
            return build_scope(request, kept, cipher, files, component=component)
        except StepFailed as error:
            log.warning("component_not_rendered", component=component, error=str(error))
            return build_scope(request, kept, cipher, files)

    def _link(self, request_id: str) -> str | None:
        base = self._around.public_url
        return f"{base.rstrip('/')}/requests/{request_id}" if base else None

    # Following

    async def _follow(self, kept: KeptTicket) -> None:
        try:
            now = await self._systems.get(kept.system).follow(await self._outside(kept))
        except PaoError as error:
            log.warning("ticket_not_followed", ticket=kept.ticket_id, error=str(error))
            return
        except Exception:
            log.exception("ticket_follow_crashed", ticket=kept.ticket_id)
            return
        if now.status != kept.status or now.external_status != kept.external_status:
            await self._take_status(kept, now)

    async def _outside(self, kept: KeptTicket) -> Ticket:
        """Return the ticket as its system knows it, with the template that may be needed to ask."""
        try:
            template = await self._template(kept.request_id, kept.step_id)
        except Unavailable:
            raise
        except PaoError as error:
            log.warning("ticket_template_unreadable", ticket=kept.ticket_id, error=str(error))
            template = {}
        return Ticket(
            ticket_id=kept.ticket_id,
            url=kept.url,
            status=cast("TicketStatus", kept.status),
            external_status=kept.external_status,
            external=kept.external,
            template=template,
        )

    async def _template(self, request_id: UUID, step_id: UUID | None) -> Mapping[str, Any]:
        """Return the manual section's template, rendered with the secrets as they are now."""
        async with transaction(self._around.pool) as connection:
            request = (await execution.requests_of(connection, {request_id}))[request_id]
            kept = await secrets.by_id(connection, secret_ids(request))
            step = await _step(connection, request_id, step_id)
        component = step.component if step else None
        scope = self._scope(request, kept, component)
        written = fulfillment_of(request.plan, component).get("manual") or {}
        rendered: Mapping[str, Any] = render(
            written.get("template") or {}, scope.names, statements=True
        )
        return rendered

    async def _take_status(self, kept: KeptTicket, now: Ticket) -> None:
        await take_status(self._around, kept, now)


@retried_on_conflict
async def take_status(around: Surroundings, kept: KeptTicket, now: Ticket) -> None:
    """Keep what a ticket system said, and let the request go on where the work is done."""
    async with transaction(around.pool) as connection:
        row = await locked(connection, kept.request_id)
        is_news = await outbox.update_ticket(
            connection, kept.id, now.status, external_status=now.external_status, url=now.url
        )
        if not is_news:
            return
        is_done = now.status in DONE
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
            data = {"text": f"The ticket is done, but {why}"}
            event = NewEvent("step.progress", row.id, step.id, data=data)
            await events.write(connection, event)


async def _step(
    connection: Connection, request_id: UUID, step_id: UUID | None
) -> requests.StepRow | None:
    if step_id is None:
        return None
    steps = await requests.steps_of(connection, request_id)
    return next((step for step in steps if step.id == step_id), None)


async def _what_was_done(connection: Connection, request: ClaimedRequest) -> Sequence[StepState]:
    """Return what a ticket lists: of a decommission, what the create left beside Terraform's."""
    if request.request_type == "decommission":
        return await outbox.creation_states(connection, request.id)
    return await outbox.step_states(connection, request.id)


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


def _request_of(item: Item) -> UUID:
    if item.request_id is None:
        raise InvalidInput("A ticket belongs to a request", f"outbox item {item.id} names none")
    return item.request_id
