"""Judgements on a Jira issue: waited for, since people take their time."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import BaseModel

from engine.errors import StepFailed
from engine.jira import Issue, Jira
from engine.steps.base import Completed, Json, StepContext
from engine.steps.services import StepServices
from engine.steps.templates import Seconds
from engine.verifications.base import Verdict
from engine.verifications.properties import Names, Properties

FIRST_INTERVAL: Final = 5.0
LONGEST_INTERVAL: Final = 300.0
"""Seconds between two looks at an issue, growing by half."""

WAITED: Final = "ticket_waited"
"""Key of `external`: by verification, how often was looked and the seconds waited so far."""


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
            return await _later(context, self.name, properties.timeout, expected, None)
        wanted = {word.strip().lower() for word in expected}
        if {str(issue.status).lower(), issue.category} & wanted:
            return Verdict(True, expected, issue.status)
        if issue.category == "done":
            reason = f"{issue.key} is {issue.status}, not {' or '.join(expected)}"
            return Verdict(False, expected, issue.status, reason)
        return await _later(context, self.name, properties.timeout, expected, issue.status)


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
            return await _later(context, self.name, limit, limit, None)
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


async def _later(
    context: StepContext, name: str, limit: float | None, expected: Json, actual: Json
) -> Verdict:
    """Return "not yet", or that the time is over. Time is counted by the waits themselves."""
    kept = dict(context.external.get(WAITED) or {})
    looks, waited = kept.get(name) or (0, 0.0)
    if limit is not None and waited >= limit:
        return Verdict(False, expected, actual, f"the ticket was not done within {limit:g} s")
    delay = min(LONGEST_INTERVAL, FIRST_INTERVAL * 1.5 ** min(int(looks), 20))
    if limit is not None:
        delay = max(1.0, min(delay, limit - waited))
    kept[name] = [int(looks) + 1, float(waited) + delay]
    await context.remember({WAITED: kept})
    return Verdict(False, expected, actual, "the ticket is not there yet", again_in=delay)
