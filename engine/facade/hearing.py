"""What outside systems tell. Nothing of it is believed: it only makes the engine ask sooner."""

from __future__ import annotations

from engine.facade.core import Core
from engine.store import webhooks


class HearingVerbs(Core):
    """What outside systems tell the engine."""

    async def remember_delivery(self, source: str, delivery: str) -> bool:
        """Take a webhook's delivery; False where it was taken before."""
        return await self._once(lambda c: webhooks.remember(c, source, delivery))

    async def nudge_ticket(self, system: str | None, ticket_id: str) -> bool:
        """Ask for a ticket's status at once, and often for an hour; False where none waits.

        `system`: jira, servicenow, webhook ...; None: whichever has a ticket of this id.
        """
        return await self._once(lambda c: webhooks.nudge_tickets(c, system, ticket_id)) > 0

    async def nudge_job(self, step_type: str, job_id: str) -> bool:
        """Look at once at the step that waits for an outside job; False where none waits."""
        return await self._once(lambda c: webhooks.nudge_job(c, step_type, job_id)) > 0
