"""Tickets made by a POST to an HTTP service of the company's own.

The answer is `{id or ticket_id, url?, status?}`, or `id_path` says where the id stands. The status
is read from `status_url` (`{id}` in it stands for the ticket's id), else from the ticket's url,
else from the answer's Location. The Idempotency-Key is the same whenever the same ticket is asked
for, so the service can make it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field

from engine.errors import InvalidInput
from engine.foreign_json import Json, clean, dump_json, parse_json
from engine.jsonpaths import NoMatch, first
from engine.outbound import Outbound, Response, failure_of, same_origin
from engine.steps.services import StepServices
from engine.steps.templates import RenderedTemplate, RenderedText, read_template
from engine.tickets.base import Ticket, TicketDraft, TicketStatus

RESOLVED = frozenset({"done", "resolved", "closed", "complete", "completed"})
IN_PROGRESS = frozenset({"in_progress", "in progress", "in-progress", "started", "assigned"})

LONGEST_ID = 255
"""Characters that manual_tickets.ticket_id holds."""


class WebhookTemplate(RenderedTemplate):
    """What is called to make a ticket."""

    url: str
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    headers: dict[str, RenderedText] = Field(default_factory=dict)
    body: Json = None
    id_path: str | None = None
    status_url: str | None = None


class WebhookTickets:
    """The ticket system `webhook`."""

    name: ClassVar[str] = "webhook"
    template_model: ClassVar[type[BaseModel]] = WebhookTemplate
    can_follow: ClassVar[bool] = True

    def __init__(self, services: StepServices) -> None:
        self._outbound: Outbound = services.outbound

    async def create(self, draft: TicketDraft) -> Ticket:
        """Ask for the ticket under its key; the service finds what it made for the key before."""
        template = read_template(WebhookTemplate, draft.template)
        content_type, body = _content(template.body, draft)
        response = await self._outbound.request(
            template.method,
            template.url,
            headers={"content-type": content_type, "idempotency-key": draft.key}
            | _lower(template.headers),
            body=body,
        )
        if error := failure_of(response):
            raise error
        return _ticket(template, response, draft)

    async def follow(self, ticket: Ticket) -> Ticket:
        """Read the status; an answer that holds none leaves it as it is."""
        address = ticket.external.get("status_url")
        if not isinstance(address, str):
            return ticket
        response = await self._outbound.request("GET", address, headers=_headers(ticket, address))
        if error := failure_of(response):
            raise error
        said = _text(_object(response).get("status"))
        if said is None:
            return ticket
        return Ticket(
            ticket.ticket_id, ticket.url, _status(said), said, ticket.external, ticket.template
        )

    async def comment(self, ticket: Ticket, text: str, *, close: bool = False) -> None:
        """Nothing: a webhook takes tickets and offers no agreed way to speak to them."""


def _content(body: Json, draft: TicketDraft) -> tuple[str, bytes]:
    """Return type and bytes of the call; whatever the document sends, the description goes along."""
    if isinstance(body, str):
        structure = _structure(body)
        if structure is None:
            text = f"{body}\n\n{draft.description}"
            return "text/plain; charset=utf-8", text.encode("utf-8", "replace")
        body = structure
    if body is None:
        body = {
            "summary": draft.summary,
            "description": draft.description,
            "type": draft.ticket_type,
            "request_id": draft.request_id,
            "parameters": draft.parameters,
            "idempotency_key": draft.key,
        }
    elif isinstance(body, Mapping):
        body = {**body, "description": _joined(body.get("description"), draft.description)}
    return "application/json", dump_json(clean(body)).encode()


def _structure(text: str) -> Json:
    try:
        value = parse_json(text)
    except ValueError:
        return None
    return value if isinstance(value, Mapping | list) else None


def _joined(own: Json, description: str) -> str:
    own = _text(own)
    return description if own is None or own in description else f"{own}\n\n{description}"


def _ticket(template: WebhookTemplate, response: Response, draft: TicketDraft) -> Ticket:
    answer = _object(response)
    ticket_id = _id(template, answer) or draft.key
    link = _text(answer.get("url")) or response.headers.get("location")
    url = response.link(link) if link else None
    asked = template.status_url or _text(answer.get("status_url"))
    if asked:
        asked = response.link(asked.replace("{id}", quote(ticket_id, safe="")))
    said = _text(answer.get("status"))
    external = {"status_url": asked or url} if asked or url else {}
    return Ticket(ticket_id, url, _status(said or "open"), said, external)


def _id(template: WebhookTemplate, answer: Mapping[str, Json]) -> str | None:
    """Return the ticket's id. A ticket whose id is not found is there all the same."""
    if template.id_path:
        try:
            found = _text(first(template.id_path, answer))
        except (NoMatch, InvalidInput):
            found = None
    else:
        found = _text(answer.get("id")) or _text(answer.get("ticket_id"))
    return found[:LONGEST_ID] if found else None


def _headers(ticket: Ticket, address: str) -> dict[str, str]:
    """Return the document's headers where the address is of the service that they are for."""
    if not ticket.template:
        return {}
    template = read_template(WebhookTemplate, ticket.template)
    return _lower(template.headers) if same_origin(address, template.url) else {}


def _status(said: str) -> TicketStatus:
    word = said.strip().lower()
    if word in RESOLVED:
        return "resolved"
    return "in_progress" if word in IN_PROGRESS else "open"


def _object(response: Response) -> Mapping[str, Json]:
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, Mapping) else {}


def _text(value: Json) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
