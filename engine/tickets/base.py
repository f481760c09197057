"""What a ticket system is: where work goes that automation could not do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from pydantic import BaseModel

from engine.memory import Memory, Unkept
from engine.steps.base import Json

TicketStatus = Literal["open", "in_progress", "resolved", "closed"]


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """A ticket to be made. `template` is the manual section's template, rendered, secrets in clear in its headers.

    `description` already holds what the engine appends: error, step, attempts, rendered parameters, link.
    """

    key: str
    """Idempotency key: never two tickets of one key."""
    summary: str
    description: str
    template: Mapping[str, Json]
    request_id: str
    ticket_type: Literal["fulfillment", "cleanup", "completion"]
    parameters: Mapping[str, Json] = field(default_factory=dict)
    memory: Memory = field(default_factory=Unkept, compare=False)
    """What an earlier try remembered: that a creation may have left, say."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket that exists. `external` is what `follow` needs, as kept in manual_tickets.external."""

    ticket_id: str
    url: str | None
    status: TicketStatus
    external_status: str | None = None
    external: Mapping[str, Json] = field(default_factory=dict)
    template: Mapping[str, Json] = field(default_factory=dict)
    """The manual section's template, rendered afresh when the ticket is followed: `external` is stored and so
    holds no secret, and a status may need the template's headers to be read."""


class TicketSystem(Protocol):
    """One kind of ticket system. Raises StepFailed; transient and unknown kinds are tried again by the outbox."""

    name: ClassVar[str]
    template_model: ClassVar[type[BaseModel]]
    can_follow: ClassVar[bool]
    """Whether `follow` can see the outside status (email cannot)."""

    async def create(self, draft: TicketDraft) -> Ticket:
        """Find the ticket of `draft.key` or make it."""

    async def follow(self, ticket: Ticket) -> Ticket:
        """The ticket with its present status."""

    async def comment(self, ticket: Ticket, text: str, *, close: bool = False) -> None:
        """Tell the ticket something, and close it where the system can and `close` asks for it."""
