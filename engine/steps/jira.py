"""JiraTicket: an issue is made, once, whatever answer is lost (engine/jira/creation.py)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, BeforeValidator

from engine.errors import StepFailed
from engine.jira import Jira, NewIssue, label_of, one_issue
from engine.steps.base import Completed, Json, Outcome, StepContext, Waiting
from engine.steps.services import StepServices
from engine.steps.templates import RenderedTemplate, RenderedText, read_template

POSTPONED: Final = 30.0
"""Seconds until a search that had no answer is made again."""


def _many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[RenderedText, ...], BeforeValidator(_many)]
"""One text or a list."""


class JiraTemplate(RenderedTemplate):
    """What stands in the issue; that of tickets in Jira too."""

    project: RenderedText
    issue_type: RenderedText
    summary: RenderedText
    description: RenderedText | None = None
    assignee: RenderedText | None = None
    priority: RenderedText | None = None
    labels: Texts | None = None
    components: Texts | None = None
    custom_fields: dict[str, Json] | None = None

    def issue(self, key: str, *, summary: str, description: str) -> NewIssue:
        """Return the issue for an idempotency key."""
        return NewIssue(
            label=label_of(key),
            project=self.project,
            issue_type=self.issue_type,
            summary=summary,
            description=description,
            assignee=self.assignee,
            priority=self.priority,
            labels=self.labels or (),
            components=self.components or (),
            custom_fields=self.custom_fields or {},
        )


class JiraTicket:
    """An issue is made. That somebody works on it, verifications may wait for."""

    name: ClassVar[str] = "JiraTicket"
    template_model: ClassVar[type[BaseModel]] = JiraTemplate
    verifications: ClassVar[frozenset[str]] = frozenset({"ticket_status", "resolution_time"})
    outputs: ClassVar[frozenset[str] | None] = frozenset({"key", "url", "status"})

    def __init__(self, services: StepServices) -> None:
        self._jira = Jira(services.tickets)

    async def start(self, context: StepContext) -> Outcome:
        """Find the issue of this key or of an earlier one, else make it."""
        template = read_template(JiraTemplate, context.template)
        new = template.issue(
            context.idempotency_key,
            summary=template.summary,
            description=template.description or "",
        )
        earlier = [label_of(key) for key in context.earlier_idempotency_keys]
        issue = await one_issue(self._jira, new, context, earlier)
        if isinstance(issue, float):
            await context.log(
                f"whether the issue was made is not known; searching in {issue:g} s\n"
            )
            return Waiting(issue, context.external)
        await context.remember_job(issue.key, issue.url)
        return Completed(
            outputs={"key": issue.key, "url": issue.url, "status": issue.status},
            evidence={"key": issue.key},
        )

    async def poll(self, context: StepContext) -> Outcome:
        """Search again; a search without an answer says nothing, and is made again."""
        try:
            return await self.start(context)
        except StepFailed as error:
            if error.kind == "permanent":
                raise
            await context.log(f"{error.message}; asking again\n")
            return Waiting(max(POSTPONED, error.retry_after or 0.0), context.external)

    async def cancel(self, context: StepContext) -> None:
        """Leave the issue: it tells what was wanted, and people may have read it already."""
