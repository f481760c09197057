"""Drafts: a ticket as it is made, and as its system knows it, put together from the state of the moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import structlog

from engine.errors import InvalidInput, PaoError, StepFailed, Unavailable
from engine.execution import ticket_text
from engine.execution.run import Surroundings
from engine.execution.scope import RunScope, build_scope, secret_ids
from engine.execution.ticket_text import LONGEST_SUMMARY, Cause, TicketType
from engine.redaction import Redactor
from engine.requests.parameters import with_dots
from engine.requests.subject import fulfillment_of
from engine.store import claimed, outbox, requests, secrets
from engine.store.claimed import ClaimedRequest
from engine.store.outbox import Item, KeptTicket, StepState
from engine.store.pool import Connection, transaction
from engine.store.secrets import EncryptedValue
from engine.templates import render
from engine.tickets.base import Ticket, TicketDraft, TicketStatus

log = structlog.get_logger(__name__)


class Drafts:
    """Puts tickets together."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def draft(self, item: Item) -> tuple[TicketDraft, str, Redactor]:
        """Return what the ticket says, in which system, and what redacts the system's answers."""
        async with transaction(self._around.pool) as connection:
            request_id = request_of(item)
            found = await claimed.requests_of(connection, [request_id])
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

    async def outside(self, kept: KeptTicket) -> Ticket:
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
            request = (await claimed.requests_of(connection, {request_id}))[request_id]
            kept = await secrets.by_id(connection, secret_ids(request))
            step = await _step(connection, request_id, step_id)
        component = step.component if step else None
        scope = self._scope(request, kept, component)
        written = fulfillment_of(request.plan, component).get("manual") or {}
        rendered: Mapping[str, Any] = render(
            written.get("template") or {}, scope.names, statements=True
        )
        return rendered

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


def request_of(item: Item) -> UUID:
    """Return the request that an item is of."""
    if item.request_id is None:
        raise InvalidInput("A ticket belongs to a request", f"outbox item {item.id} names none")
    return item.request_id
