"""Webhooks of ticket systems: something happened to a ticket, so it is asked for now, not at its next poll.

Jira sends its own events to `/webhooks/jira`. Everything else (ServiceNow by a business rule, an HTTP
service of the company's own) sends `{"ticket_id": "...", "system"?: "..."}` to `/webhooks/tickets`.
The status that a delivery may name is not read: the ticket is asked for it.

A delivery counts once, by the id that the sender repeats with it, else by its contents. One that
says when it was made is of no use an hour later: the poll has seen by then what it tells.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bot.deliveries import LONGEST_ID, Delivery, Refused, Secret, accepted, answered, ignored
from bot.webhooks import TAKEN_BEFORE

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from engine import Engine

OLDEST: Final = 3600.0
"""Seconds; also how far ahead of ours a sender's clock may be."""

LONGEST_TICKET_ID: Final = 255
MILLISECONDS: Final = 1e11
"""A number above it counts milliseconds since 1970, one below it seconds."""

FAR_FUTURE: Final = 1e15
"""No moment in milliseconds is beyond it."""

SIGNATURES: Final = ("X-Hub-Signature-256", "X-Hub-Signature")
TICKET_STEP: Final = "JiraTicket"
"""The step type whose verifications wait for an issue."""


@dataclass(frozen=True, slots=True)
class Sender:
    """One kind of sender: where its deliveries have their id, and how they name a ticket."""

    source: str
    id_header: str
    ticket: Callable[[Mapping[str, Any]], tuple[str | None, Any]]
    """Gives (system, ticket id) of a payload."""


def _jira_issue(payload: Mapping[str, Any]) -> tuple[str | None, Any]:
    issue = payload.get("issue")
    return "jira", issue.get("key") if isinstance(issue, Mapping) else None


def _any_ticket(payload: Mapping[str, Any]) -> tuple[str | None, Any]:
    names = ("ticket_id", "id", "number")
    found = next((payload[name] for name in names if payload.get(name) is not None), None)
    system = payload.get("system")
    return (system if isinstance(system, str) else None), found


JIRA: Final = Sender("jira", "X-Atlassian-Webhook-Identifier", _jira_issue)
"""https://developer.atlassian.com/cloud/jira/platform/webhooks/ (the same id with every retry)."""

ANY: Final = Sender("tickets", "Idempotency-Key", _any_ticket)


class TicketWebhooks:
    """Answers the deliveries of one kind of sender; `secret` None refuses everything."""

    def __init__(self, engine: Engine, sender: Sender, secret: str | None, setting: str) -> None:
        self._engine = engine
        self._sender = sender
        self._secret = Secret(secret, setting, SIGNATURES)

    async def answer(self, request: Request) -> Response:
        """Answer one delivery."""
        return await answered(request, self._secret, self._take)

    async def _take(self, delivery: Delivery) -> Response:
        system, ticket_id = self._ticket(delivery.payload)
        id_ = delivery.headers.get(self._sender.id_header)
        if id_ is not None and not 0 < len(id_) <= LONGEST_ID:
            raise Refused(400, f"The header {self._sender.id_header} is empty or too long.")
        if _is_out_of_time(delivery.payload.get("timestamp")):
            return ignored("it was made more than an hour ago, or in the future")
        id_ = id_ or hashlib.sha256(delivery.body).hexdigest()
        if not await self._engine.remember_delivery(self._sender.source, id_):
            return ignored(TAKEN_BEFORE)
        if not await self._nudge(system, ticket_id):
            return ignored("no ticket of this id is followed")
        return accepted()

    def _ticket(self, payload: Mapping[str, Any]) -> tuple[str | None, str]:
        system, found = self._sender.ticket(payload)
        if isinstance(found, int) and not isinstance(found, bool):
            found = str(found)
        if not isinstance(found, str) or not 0 < len(found) <= LONGEST_TICKET_ID:
            raise Refused(400, "The delivery names no ticket.")
        if not f"{found}{system or ''}".isprintable():  # nor anything that cannot be looked up
            raise Refused(400, "The ticket's id or system has characters that no ticket has.")
        return system, found

    async def _nudge(self, system: str | None, ticket_id: str) -> bool:
        nudged = await self._engine.nudge_ticket(system, ticket_id)
        if self._sender is JIRA:
            nudged = await self._engine.nudge_job(TICKET_STEP, ticket_id) or nudged
        return nudged


def _is_out_of_time(made: Any) -> bool:
    """Say whether a delivery that tells when it was made comes too late to matter."""
    if not isinstance(made, int | float) or isinstance(made, bool):
        return False
    if not 0 <= made < FAR_FUTURE:
        return True
    seconds = made / 1000 if made > MILLISECONDS else made
    return abs(time.time() - seconds) > OLDEST
