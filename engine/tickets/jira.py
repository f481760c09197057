"""Tickets as issues in Jira."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from pydantic import BaseModel

from engine.errors import StepFailed
from engine.jira import Issue, Jira, one_issue
from engine.steps.base import Json
from engine.steps.jira import JiraTemplate
from engine.steps.services import StepServices
from engine.steps.templates import read_template
from engine.tickets.base import Ticket, TicketDraft, TicketStatus

STATUSES: Final[Mapping[str | None, TicketStatus]] = {
    "new": "open",
    "indeterminate": "in_progress",
    "done": "resolved",
}
"""By the category of a status: its name is each project's own, and translated."""


class JiraTickets:
    """The ticket system `jira`."""

    name: ClassVar[str] = "jira"
    template_model: ClassVar[type[BaseModel]] = JiraTemplate
    can_follow: ClassVar[bool] = True

    def __init__(self, services: StepServices) -> None:
        self._jira = Jira(services.tickets)

    async def create(self, draft: TicketDraft) -> Ticket:
        """Find the issue of the draft's key or make it; `retry_after` says when to search again."""
        template = read_template(JiraTemplate, draft.template)
        new = template.issue(draft.key, summary=draft.summary, description=draft.description)
        issue = await one_issue(self._jira, new, draft.memory)
        if isinstance(issue, float):
            raise StepFailed(
                "outcome_unknown",
                "Jira's answer was lost, so it is not known whether the ticket was made;"
                f" it is searched for again in {issue:g} s",
                kind="transient",
                retry_after=issue,
            )
        return _ticket(issue)

    async def follow(self, ticket: Ticket) -> Ticket:
        """Read the status."""
        return _ticket(await self._jira.issue(ticket.ticket_id), ticket.template)

    async def comment(self, ticket: Ticket, text: str, *, close: bool = False) -> None:
        """Add a comment and move the issue to done; one that is gone needs neither."""
        try:
            await self._jira.comment(ticket.ticket_id, text)
            if close:
                await self._jira.close(ticket.ticket_id)
        except StepFailed as error:
            # A workflow may refuse the transition, or the issue may be deleted.
            if error.kind != "permanent" or error.error_type in {"not_configured", "http_401"}:
                raise


def _ticket(issue: Issue, template: Mapping[str, Json] | None = None) -> Ticket:
    return Ticket(
        issue.key,
        issue.url,
        STATUSES.get(issue.category, "open"),
        issue.status,
        template=template or {},
    )
