"""Approvals and decisions as rows. Whoever decides holds the request: two never count as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from engine.foreign_json import clean
from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import jsonb, row_or_none, rows, run, value, values

_sql = queries.load("approvals")

Ended = Literal["approved", "rejected", "expired", "withdrawn"]


@dataclass(frozen=True, slots=True)
class NewApproval:
    """An approval to be asked for. `expires` in seconds; `asked_by` where it is not the requester."""

    request_id: UUID
    key: str
    approvers: Sequence[Mapping[str, str]]
    users: Sequence[str]
    teams: Sequence[str]
    needed: int
    expires: float | None = None
    self_approval: bool = False
    step_id: UUID | None = None
    component: str | None = None
    asked_by: str | None = None
    message: str | None = None
    fields: Sequence[Mapping[str, Any]] = ()
    resumption: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """An approval that was asked for just now."""

    id: UUID
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """An approval; `step` is the step's id in its request, None for the document's own."""

    id: UUID
    request_id: UUID
    step_id: UUID | None
    step: str | None
    component: str | None
    key: str
    status: str
    approvers: Sequence[Mapping[str, str]]
    approver_users: Sequence[str]
    approver_teams: Sequence[str]
    needed: int
    self_approval: bool
    asked_by: str | None
    message: str | None
    fields: Sequence[Mapping[str, Any]]
    resumption: Mapping[str, Any] | None
    expires_at: datetime | None
    given: int
    is_overdue: bool


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """What one person decided."""

    approval_id: UUID
    user_id: str
    name: str
    decision: Literal["approved", "rejected"]
    reason: str | None
    fields: Mapping[str, Any] | None
    source: Literal["slack", "cli"]
    decided_by: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How an approval of a step stands, for the step that waits for it; decisions in their order."""

    id: UUID
    request_id: UUID
    status: str
    needed: int
    expires_at: datetime | None
    seconds_left: float | None
    decisions: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class RunningStep:
    """The internal ids of a step that runs."""

    id: UUID
    request_id: UUID


@dataclass(frozen=True, slots=True)
class Known:
    """A person of the directory."""

    user_id: str
    is_active: bool


async def ask(connection: Connection, new: NewApproval) -> Asked | None:
    """Ask for an approval; None where the same key asked already."""
    parameters = {
        "request_id": new.request_id,
        "step_id": new.step_id,
        "component": new.component,
        "key": new.key,
        "approvers": jsonb(list(new.approvers)),
        "users": list(new.users),
        "teams": list(new.teams),
        "needed": new.needed,
        "self_approval": new.self_approval,
        "asked_by": new.asked_by,
        "message": clean(new.message),
        "fields": jsonb(list(new.fields)),
        "resumption": None if new.resumption is None else jsonb(new.resumption),
        "expires": new.expires,
    }
    return await row_or_none(connection, _sql.insert_approval, parameters, Asked)


async def of_request(connection: Connection, request_id: UUID) -> list[ApprovalRow]:
    """Return all approvals of a request, oldest first."""
    return await rows(connection, _sql.approvals_of, {"request_id": request_id}, ApprovalRow)


async def decisions_of(connection: Connection, request_id: UUID) -> list[DecisionRow]:
    """Return all decisions about a request."""
    return await rows(connection, _sql.decisions_of, {"request_id": request_id}, DecisionRow)


async def standing(connection: Connection, key: str) -> Standing | None:
    """Return how the approval of a key stands; None where it was never asked for."""
    return await row_or_none(connection, _sql.approval_by_key, {"key": key}, Standing)


async def decide(
    connection: Connection,
    approval_id: UUID,
    *,
    user_id: str,
    name: str,
    decision: Literal["approved", "rejected"],
    reason: str | None,
    fields: Mapping[str, Any] | None,
    source: str,
    decided_by: str,
) -> bool:
    """Keep a decision; False where the person has decided the same already."""
    parameters = {
        "approval_id": approval_id,
        "user_id": user_id,
        "name": clean(name),
        "decision": decision,
        "reason": clean(reason),
        "fields": None if fields is None else jsonb(fields),
        "source": source,
        "decided_by": decided_by,
    }
    return await run(connection, _sql.insert_decision, parameters) > 0


async def end(connection: Connection, approval_id: UUID, status: Ended) -> None:
    """End an approval that waits."""
    await run(connection, _sql.end_approval, {"id": approval_id, "status": status})


async def withdraw(
    connection: Connection, request_id: UUID, *, resumptions_only: bool = False
) -> None:
    """Withdraw what a request waits for; `resumptions_only`: what it would go on with alone."""
    parameters = {"request_id": request_id, "resumptions_only": resumptions_only}
    await run(connection, _sql.withdraw, parameters)


async def withdraw_key(connection: Connection, key: str) -> None:
    """Withdraw the approval of a key, if it waits."""
    await run(connection, _sql.withdraw_key, {"key": key})


async def overdue(connection: Connection, request_id: UUID | None = None) -> list[UUID]:
    """Return requests with an approval whose time is over: of all, or the one if it is."""
    return await values(connection, _sql.overdue_requests, {"request_id": request_id})


async def wake_step(connection: Connection, step_id: UUID) -> None:
    """Have a step that waits for an approval look at it at once."""
    await run(connection, _sql.wake_step, {"id": step_id})


async def running_step(connection: Connection, request: str, step: str) -> RunningStep | None:
    """Return a running step by external ids, held; None where it does not run any more."""
    parameters = {"request": request, "step": step}
    return await row_or_none(connection, _sql.running_step, parameters, RunningStep)


async def set_step_outputs(
    connection: Connection, step_id: UUID, outputs: Mapping[str, Any]
) -> None:
    """Replace outputs of a completed approval step."""
    await run(connection, _sql.set_step_outputs, {"id": step_id, "outputs": jsonb(outputs)})


async def known_people(
    connection: Connection, *, users: Sequence[str], teams: Sequence[str]
) -> list[Known]:
    """Return whom the directory knows of the named users and of the teams' members."""
    parameters = {"users": list(users), "teams": list(teams)}
    return await rows(connection, _sql.members, parameters, Known)


async def count(connection: Connection, request_id: UUID) -> int:
    """Return how many approvals were ever asked for a request: what tells their keys apart."""
    return int(await value(connection, _sql.count_approvals, {"request_id": request_id}))
