"""Work that people do: the tickets of manual steps, and the steps' completion by hand.

The ticket and the step end in one transaction, whoever says that the work is done: the poll of the
ticket system, a webhook, a button, `pao request resolve`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from engine.errors import StepFailed
from engine.events import NewEvent
from engine.steps.base import StepContext
from engine.steps.manual import Purpose
from engine.store import events, execution, outbox
from engine.store.pool import Connection, Pool, transaction
from engine.store.requests import StepRow

MANUAL = "manual"
"""The step type that only the engine plans."""


class ManualWork:
    """The desk of manual steps, on the database (engine/steps/manual.py)."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def ask(self, context: StepContext, purpose: Purpose) -> None:
        """Put a ticket into the outbox, once by the context's key."""
        async with transaction(self._pool) as connection:
            system = await outbox.ask_for_manual_work(
                connection,
                context.request_id,
                context.step_id,
                purpose=purpose,
                key=context.idempotency_key,
            )
        if system is None:
            raise StepFailed(
                "no_manual_section",
                "The document does not say how work is asked for by hand",
                kind="permanent",
                do="Skip the step, or complete it by hand",
            )

    async def is_done(self, context: StepContext) -> bool:
        """Say whether the ticket of the context's key is resolved."""
        async with transaction(self._pool) as connection:
            return await outbox.is_resolved(connection, context.idempotency_key)


def waits_for_people(step: StepRow) -> bool:
    """Say whether a step is one that a person does, and not ended yet."""
    return step.step_type == MANUAL and step.status in ("running", "retrying")


async def complete_manual_step(
    connection: Connection, request_id: UUID, step: StepRow, outputs: Mapping[str, Any]
) -> bool:
    """Complete a step that waits for a person, and its ticket; False where it waits no more.

    The request is locked and in progress; `outputs` are sealed. What follows for dependents, members
    and the request itself is written in the same transaction.
    """
    await outbox.cancel(connection, request_id, step.id)
    for ticket in await outbox.open_tickets(connection, request_id, step_id=step.id, of_step=True):
        await outbox.update_ticket(connection, ticket.id, "resolved")
        data = {"ticket_id": ticket.ticket_id, "status": "resolved"}
        await events.write(connection, NewEvent("ticket.resolved", request_id, step.id, data=data))
    return await execution.complete_waiting(connection, step.id, outputs)
