"""Requests, their steps and attempts, as rows: what submit writes and what views read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from engine.foreign_json import clean
from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import jsonb, row_or_none, rows, run, value, values

_sql = queries.load("requests")
_ID = re.compile(r"[a-z0-9-]+")
_NEWEST: Final = "infinity"
"""PostgreSQL's timestamp after all others: where a list begins, with the plan of any page."""

_HIGHEST_ID: Final = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request with the names of its document and instance."""

    id: UUID
    request_id: str
    request_type: str
    status: str
    title: str
    catalog_item: str | None
    catalog_bundle: str | None
    update_item: str | None
    upgrade_item: str | None
    catalog_version: str
    parameters: Mapping[str, Any]
    requester_user_id: str
    requester_team: str | None
    requester_email: str | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    instance_id: str | None
    instance_name: str | None
    plan: Mapping[str, Any]
    reason: str | None
    not_before: datetime | None
    origin_channel: str | None
    source: str
    submitted_by: str | None
    open_steps: int
    catalog_commit: str | None
    document_owner: str
    overtaken: bool
    """Another request was started on its instance since, or waits for its approval."""
    gone: Sequence[str]
    """In words, what a failed create made that was taken down since."""
    touched: bool
    gate: str | None
    stands: Literal["approval", "scheduled"] | None
    approver_users: Sequence[str]
    approver_teams: Sequence[str]
    """Who was ever named to approve something of it."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step as views and recovery read it."""

    id: UUID
    step_id: str
    step_name: str
    step_type: str
    step_config: Mapping[str, Any]
    status: str
    position: int
    depends_on: Sequence[str]
    started_at: datetime | None
    completed_at: datetime | None
    outputs: Mapping[str, Any] | None
    component: str | None
    section: str
    next_run_at: datetime | None
    phase: str
    skip_reason: str | None
    attempt_count: int
    attempt_group: int
    external: Mapping[str, Any]
    is_lost: bool
    """Whether the worker that had it let its lease run out."""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt of a step."""

    id: UUID
    step_id: UUID
    attempt_number: int
    status: str
    started_at: datetime
    completed_at: datetime | None
    error_type: str | None
    error_message: str | None
    error_details: Any
    logs_url: str | None
    external_job_id: str | None
    external_job_url: str | None
    verification_result: Any
    parameters: Any


@dataclass(frozen=True, slots=True)
class TicketRow:
    """A ticket, or (`ticket_id` None) the outbox item that will make it."""

    step_id: UUID | None
    ticket_id: str | None
    system: str
    type: str
    status: str
    url: str | None
    summary: str | None
    last_error: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ListedRequest:
    """A request as lists show it."""

    id: UUID
    request_id: str
    request_type: str
    status: str
    title: str
    catalog_name: str | None
    catalog_version: str
    requester: str
    team: str | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    instance_id: str | None
    instance_name: str | None
    stands: Literal["approval", "scheduled"] | None
    not_before: datetime | None
    waits_for: str | None = None
    """Approval, ticket or failure: why it is in the list of what waits for somebody."""


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests a list shows.

    The first four say whose they are, each adding to what is shown: `everything`, a person's, teams',
    those of documents that teams own. `before` is the place of the last one seen.
    """

    everything: bool = False
    user_id: str | None = None
    teams: tuple[str, ...] = ()
    document_owners: tuple[str, ...] = ()
    status: str | None = None
    before: tuple[datetime, UUID] | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of an attempt's log."""

    attempt_number: int
    text: str


async def change_status(connection: Connection, request_id: UUID, status: str) -> None:
    """Move a request; ConstraintViolated(check_status_transition) where that is not allowed."""
    await value(connection, _sql.change_status, {"id": request_id, "status": status})


async def hold_members(connection: Connection, request_id: UUID) -> None:
    """Take the instances that a create makes, until the transaction ends."""
    await values(connection, _sql.hold_members, {"request_id": request_id})


async def set_reason(connection: Connection, request_id: UUID, reason: str | None) -> None:
    """Say why the request is about to end."""
    await run(connection, _sql.set_reason, {"id": request_id, "reason": clean(reason)})


async def begin_steps(connection: Connection, request_id: UUID, seconds: float | None) -> int:
    """Make the pending steps of a request that is in progress due; return how many are open.

    `seconds`: the timeout of the whole sequence.
    """
    parameters = {"id": request_id, "timeout": seconds}
    found = await rows(connection, _sql.begin_steps, parameters, _Begun)
    return found[0].open


async def insert_outbox(
    connection: Connection,
    kind: str,
    key: str,
    payload: Mapping[str, Any],
    *,
    request_id: UUID | None = None,
    step_id: UUID | None = None,
) -> None:
    """Remember what must be done outside; the same key once."""
    parameters = {
        "kind": kind,
        "key": key,
        "payload": jsonb(payload),
        "request_id": request_id,
        "step_id": step_id,
    }
    await run(connection, _sql.insert_outbox, parameters)


async def wake(connection: Connection, channel: str) -> None:
    """Tell whoever listens, at the commit, that there is something to look at."""
    await value(connection, _sql.wake, {"channel": channel})


async def lock_request(connection: Connection, request_id: UUID) -> None:
    """Take the request until the transaction ends."""
    await value(connection, _sql.lock_request, {"id": request_id})


async def request_row(connection: Connection, request_id: UUID) -> RequestRow | None:
    """Return one request."""
    return await row_or_none(connection, _sql.request_by_id, {"id": request_id}, RequestRow)


async def matching_ids(connection: Connection, word: str) -> list[UUID]:
    """Return the requests that an external id, or the beginning of one, may mean."""
    if not _ID.fullmatch(word):
        return []
    exact = await values(connection, _sql.ids_exact, {"word": word})
    return exact or await values(connection, _sql.ids_like, {"word": word})


async def steps_of(
    connection: Connection, request_id: UUID, *, untouched_rollback: bool = False
) -> list[StepRow]:
    """Return the steps of a request in their order; those of an unneeded rollback where asked for."""
    parameters = {"request_id": request_id, "untouched_rollback": untouched_rollback}
    return await rows(connection, _sql.steps_of, parameters, StepRow)


async def attempts_of(connection: Connection, request_id: UUID) -> list[AttemptRow]:
    """Return all attempts of a request's steps."""
    return await rows(connection, _sql.attempts_of, {"request_id": request_id}, AttemptRow)


async def tickets_of(connection: Connection, request_id: UUID) -> list[TicketRow]:
    """Return the tickets of a request, those still to be made included."""
    return await rows(connection, _sql.tickets_of, {"request_id": request_id}, TicketRow)


async def list_requests(connection: Connection, wanted: RequestFilter) -> list[ListedRequest]:
    """Return up to `limit` requests, newest first."""
    before, before_id = wanted.before or (_NEWEST, _HIGHEST_ID)
    parameters = {
        "everything": wanted.everything,
        "user_id": wanted.user_id,
        "teams": list(wanted.teams),
        "document_owners": list(wanted.document_owners),
        "status": wanted.status,
        "before": before,
        "before_id": before_id,
        "limit": wanted.limit,
    }
    return await rows(connection, _sql.list_requests, parameters, ListedRequest)


async def waiting_for(
    connection: Connection, user_id: str, teams: Sequence[str], limit: int
) -> list[ListedRequest]:
    """Return up to `limit` requests that wait for a person, the oldest first."""
    parameters = {"user_id": user_id, "teams": list(teams), "limit": limit}
    return await rows(connection, _sql.waiting_for, parameters, ListedRequest)


async def chosen_dependencies(connection: Connection, request_id: UUID) -> dict[str, str]:
    """Return the instances that a create was connected to: semantic name -> external id."""
    parameters = {"request_id": request_id}
    found = await rows(connection, _sql.chosen_dependencies, parameters, _Chosen)
    return {one.dependency_name: one.instance_id for one in found}


async def log_lines(connection: Connection, request_id: UUID, step: str) -> list[LogChunk]:
    """Return the log of a step, by attempt."""
    return await rows(
        connection, _sql.log_lines, {"request_id": request_id, "step": step}, LogChunk
    )


async def set_parameters(
    connection: Connection, request_id: UUID, parameters: Mapping[str, Any]
) -> None:
    """Replace the parameters of a request."""
    new = {"id": request_id, "parameters": jsonb(parameters)}
    await run(connection, _sql.set_parameters, new)


@dataclass(frozen=True, slots=True)
class _Chosen:
    dependency_name: str
    instance_id: str


@dataclass(frozen=True, slots=True)
class _Begun:
    pg_notify: str
    open: int
