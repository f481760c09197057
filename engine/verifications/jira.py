"""Judgements on a Jira issue: waited for, since people take their time."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from engine.errors import StepFailed
from engine.jira import Issue, Jira
from engine.steps.base import Completed, StepContext
from engine.steps.services import StepServices
from engine.steps.templates import Seconds
from engine.verifications.base import Verdict
from engine.verifications.properties import Names, Properties
from engine.verifications.waiting import not_yet


class StatusProperties(Properties):
    """`ticket_status`: statuses (names or categories) to wait for, and how long."""

    expected_status: Names
    timeout: Seconds | None = None


class TicketStatus:
    """The ticket reaches an expected status."""

    name: ClassVar[str] = "ticket_status"
    model: ClassVar[type[BaseModel]] = StatusProperties

    def __init__(self, services: StepServices) -> None:
        self._jira = Jira(services.tickets)

    async def check(
        self, context: StepContext, properties: StatusProperties, result: Completed
    ) -> Verdict:
        """Look at the status; a done issue in another status than the expected is final."""
        expected = list(properties.expected_status)
        issue = await _look(self._jira, result)
        if issue is None:
            return await self._later(context, properties, None)
        wanted = {word.strip().lower() for word in expected}
        if {str(issue.status).lower(), issue.category} & wanted:
            return Verdict(True, expected, issue.status)
        if issue.category == "done":
            reason = f"{issue.key} is {issue.status}, not {' or '.join(expected)}"
            return Verdict(False, expected, issue.status, reason)
        return await self._later(context, properties, issue.status)

    async def _later(
        self, context: StepContext, properties: StatusProperties, actual: str | None
    ) -> Verdict:
        return await not_yet(
            context,
            self.name,
            limit=properties.timeout,
            expected=list(properties.expected_status),
            actual=actual,
            reason=f"the ticket was not {' or '.join(properties.expected_status)}",
        )


class TimeProperties(Properties):
    """`resolution_time`: the longest time from creation to resolution."""

    max: Seconds


class ResolutionTime:
    """The ticket is resolved in time."""

    name: ClassVar[str] = "resolution_time"
    model: ClassVar[type[BaseModel]] = TimeProperties

    def __init__(self, services: StepServices) -> None:
        self._jira = Jira(services.tickets)

    async def check(
        self, context: StepContext, properties: TimeProperties, result: Completed
    ) -> Verdict:
        """Compare by Jira's own times; until it is resolved, wait as long as it may take."""
        limit = properties.max
        issue = await _look(self._jira, result)
        if issue is None or issue.category != "done":
            return await not_yet(
                context,
                self.name,
                limit=limit,
                expected=limit,
                actual=None,
                reason="the ticket was not resolved",
            )
        if issue.created is None or issue.resolved is None:
            return Verdict(True, limit, None, "Jira tells no time of resolution")
        took = (issue.resolved - issue.created).total_seconds()
        reason = "" if took <= limit else f"{issue.key} took {took:g} s, more than {limit:g} s"
        return Verdict(took <= limit, limit, took, reason)


async def _look(jira: Jira, result: Completed) -> Issue | None:
    """Return the issue as it is now, None where there was no answer."""
    try:
        return await jira.issue(str(result.evidence.get("key")))
    except StepFailed as error:
        if error.kind == "permanent":
            raise
        return None
