"""Which ticket systems there are. A new built-in one is one file and one line here."""

from __future__ import annotations

from typing import Final, TypeAlias

from engine.steps.extension import Kind, Registry
from engine.steps.services import StepServices
from engine.tickets.base import TicketSystem

TicketRegistry: TypeAlias = Registry[TicketSystem]

TICKET_SYSTEMS: Final[Kind[TicketSystem]] = Kind(
    "ticket system",
    "pao.ticket_systems",
    {
        "jira": "engine.tickets.jira:JiraTickets",
        "servicenow": "engine.tickets.servicenow:ServiceNowTickets",
        "email": "engine.tickets.email:EmailTickets",
        "webhook": "engine.tickets.webhook:WebhookTickets",
    },
)


def build_ticket_systems(services: StepServices) -> TicketRegistry:
    """Build every ticket system; plug-ins that fail are in the registry's `broken`."""
    return TICKET_SYSTEMS.build(services)


def ticket_system_names() -> frozenset[str]:
    """Return the names of all ticket systems, without importing any."""
    return TICKET_SYSTEMS.names()
