"""Webhook deliveries that were taken, so that one that comes again does nothing, and what they hurry."""

from __future__ import annotations

from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import value

_sql = queries.load("webhooks")


async def remember(connection: Connection, source: str, delivery: str) -> bool:
    """Remember a delivery; False where it was there already."""
    parameters = {"id": f"{source}:{delivery}", "source": source}
    return bool(await value(connection, _sql.remember_delivery, parameters))


async def nudge_tickets(connection: Connection, system: str | None, ticket_id: str) -> int:
    """Have tickets (None: of any system) asked for at once; return how many there are."""
    parameters = {"system": system, "ticket_id": ticket_id}
    return int(await value(connection, _sql.nudge_tickets, parameters) or 0)


async def nudge_job(connection: Connection, step_type: str, job_id: str) -> int:
    """Have the step that waits for an outside job asked for at once; return how many there are."""
    parameters = {"step_type": step_type, "job_id": job_id}
    return int(await value(connection, _sql.nudge_job, parameters) or 0)
