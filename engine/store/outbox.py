"""The outbox (what must still be done outside) and the tickets that came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from engine.foreign_json import clean
from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import jsonb, row_or_none, rows, run, value, values

_sql = queries.load("outbox")


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the outbox that is ours until its lease ends."""

    id: int
    kind: str
    payload: Mapping[str, Any]
    request_id: UUID | None
    step_id: UUID | None
    attempts: int
    token: int
    key: str


@dataclass(frozen=True, slots=True)
class KeptTicket:
    """A row of manual_tickets."""

    id: UUID
    request_id: UUID
    step_id: UUID | None
    system: str
    ticket_id: str
    url: str | None
    status: str
    external_status: str | None
    external: Mapping[str, Any]
    type: str


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A ticket that was made outside and is to be kept. `delay`: seconds to its first poll."""

    request_id: UUID
    step_id: UUID | None
    system: str
    ticket_id: str
    url: str | None
    type: str
    status: str
    summary: str
    key: str
    delay: float | None
    external_status: str | None
    external: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt that failed, as a ticket tells of it."""

    attempt_number: int
    error_type: str | None
    error_message: str | None
    error_details: Any
    parameters: Any
    external_job_url: str | None


@dataclass(frozen=True, slots=True)
class StepState:
    """How far a step came and what it made."""

    step_name: str
    step_type: str
    status: str
    resources: Sequence[Mapping[str, Any]] | None
    external_job_url: str | None


async def claim(
    connection: Connection,
    owner: str,
    *,
    limit: int,
    lease: timedelta,
    request_id: UUID | None = None,
) -> list[Item]:
    """Take up to `limit` due items, of one request or of all."""
    parameters = {"owner": owner, "limit": limit, "lease": lease, "request_id": request_id}
    return await rows(connection, _sql.claim_items, parameters, Item)


async def finish(connection: Connection, item: Item) -> bool:
    """Say that an item is done; False where it was not ours any more, or was given up."""
    done = await value(connection, _sql.finish_item, {"id": item.id, "token": item.token})
    return done is not None


async def postpone(connection: Connection, item: Item, delay: float, error: str) -> datetime | None:
    """Try an item again after `delay` seconds; return when, None where it was not ours any more."""
    parameters = {"id": item.id, "token": item.token, "delay": delay, "error": clean(error)}
    due: datetime | None = await value(connection, _sql.postpone_item, parameters)
    return due


async def remember(
    connection: Connection, item: Item, external: Mapping[str, Any], lease: timedelta
) -> Mapping[str, Any] | None:
    """Merge into what an item's next try must know; None where the item is not ours any more."""
    parameters = {
        "id": item.id,
        "token": item.token,
        "external": jsonb(external),
        "lease": lease,
    }
    kept: Mapping[str, Any] | None = await value(connection, _sql.remember_item, parameters)
    return kept


async def release(connection: Connection, owner: str) -> None:
    """Give back what a worker holds and has not done."""
    await run(connection, _sql.release_items, {"owner": owner})


async def cancel(connection: Connection, request_id: UUID, step_id: UUID | None = None) -> int:
    """Give up what was still to be done for a request or one of its steps; return how much."""
    parameters = {"request_id": request_id, "step_id": step_id}
    return len(await values(connection, _sql.cancel_items, parameters))


async def keep_ticket(connection: Connection, ticket: NewTicket) -> UUID | None:
    """Keep a ticket; None where the one of its key is kept already."""
    parameters = {
        "request_id": ticket.request_id,
        "step_id": ticket.step_id,
        "system": ticket.system,
        "ticket_id": clean(ticket.ticket_id),
        "url": clean(ticket.url),
        "type": ticket.type,
        "status": ticket.status,
        "summary": clean(ticket.summary),
        "key": ticket.key,
        "delay": ticket.delay,
        "external_status": clean(ticket.external_status),
        "external": jsonb(ticket.external),
    }
    kept: UUID | None = await value(connection, _sql.insert_ticket, parameters)
    return kept


async def tickets_to_poll(
    connection: Connection,
    *,
    limit: int,
    first: float,
    longest: float,
    request_id: UUID | None = None,
) -> list[KeptTicket]:
    """Return tickets to be asked for now; their next time grows by half, from first to longest."""
    parameters = {"limit": limit, "first": first, "longest": longest, "request_id": request_id}
    return await rows(connection, _sql.claim_tickets, parameters, KeptTicket)


async def update_ticket(
    connection: Connection,
    ticket_id: UUID,
    status: str,
    *,
    external_status: str | None = None,
    url: str | None = None,
) -> bool:
    """Keep a ticket's status; False where it was done before."""
    parameters = {
        "id": ticket_id,
        "status": status,
        "external_status": clean(external_status),
        "url": clean(url),
    }
    return await value(connection, _sql.update_ticket, parameters) is not None


async def open_tickets(
    connection: Connection, request_id: UUID, *, step_id: UUID | None = None, of_step: bool = False
) -> list[KeptTicket]:
    """Return the tickets that are not done: of a request, or `of_step` of one step (None: itself)."""
    parameters = {"request_id": request_id, "step_id": step_id, "of_step": of_step}
    return await rows(connection, _sql.open_tickets, parameters, KeptTicket)


async def ticket(connection: Connection, ticket_id: UUID) -> KeptTicket | None:
    """Return one ticket."""
    return await row_or_none(connection, _sql.ticket_by_id, {"id": ticket_id}, KeptTicket)


async def ask_for_manual_work(
    connection: Connection, request_id: str, step_id: str, *, purpose: str, key: str
) -> str | None:
    """Ask for the ticket of a manual step, by external ids, once by its key.

    Return the system that it is made in; None where the document names none.
    """
    parameters = {"request_id": request_id, "step_id": step_id, "purpose": purpose, "key": key}
    system: str | None = await value(connection, _sql.ask_for_manual_work, parameters)
    return system


async def is_resolved(connection: Connection, key: str) -> bool:
    """Say whether the ticket of a key is done."""
    return bool(await value(connection, _sql.is_resolved, {"key": key}))


async def creation_states(connection: Connection, request_id: UUID) -> list[StepState]:
    """Return what the create of a request's target left, beside what Terraform made."""
    return await rows(connection, _sql.creation_resources, {"request_id": request_id}, StepState)


async def failed_attempts(connection: Connection, step_id: UUID) -> list[FailedAttempt]:
    """Return the attempts of a step that failed."""
    return await rows(connection, _sql.failed_attempts, {"step_id": step_id}, FailedAttempt)


async def step_states(connection: Connection, request_id: UUID) -> list[StepState]:
    """Return how far each step of a request came."""
    return await rows(connection, _sql.existing_resources, {"request_id": request_id}, StepState)
