"""What stands between a request and its first step, as rows: checks to run, a time to open at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from engine.foreign_json import clean
from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import jsonb, row_or_none, rows, run, value

_sql = queries.load("gates")

Gate = Literal["checks", "opening"]


@dataclass(frozen=True, slots=True)
class GateClaim:
    """A request that is ours to check or to open until the lease ends."""

    id: UUID
    request_id: str
    gate: Gate
    token: int


@dataclass(frozen=True, slots=True)
class FactsRow:
    """What checks may know, as it stands now; `now` is the database's time."""

    request_id: str
    request_type: str
    parameters: Mapping[str, Any]
    plan: Mapping[str, Any]
    now: datetime
    not_before: datetime | None
    window_ends_at: datetime | None
    sequence_seconds: float | None
    instance_id: str | None
    instance_name: str | None
    instance_state: str | None
    instance_version: str | None
    instance_parameters: Mapping[str, Any] | None
    instance_item: Sequence[str]


@dataclass(frozen=True, slots=True)
class CheckRow:
    """What a check of the last round found."""

    name: str
    passed: bool
    reason: str | None
    checked_at: datetime


async def await_checks(connection: Connection, request_id: UUID, seconds: float | None) -> None:
    """Have a worker run the checks. `seconds`: a timeout of the sequence other than the plan's."""
    await run(connection, _sql.await_checks, {"id": request_id, "seconds": seconds})


async def await_opening(connection: Connection, request_id: UUID, seconds: float | None) -> bool:
    """Have a worker open the request at its time; False where that has come already."""
    return await run(connection, _sql.await_opening, {"id": request_id, "seconds": seconds}) > 0


async def clear(connection: Connection, request_id: UUID) -> None:
    """Nothing is to be checked or opened any more."""
    await run(connection, _sql.clear_gate, {"id": request_id})


async def claim(
    connection: Connection, *, limit: int, lease: timedelta, request_id: UUID | None
) -> list[GateClaim]:
    """Take what is due, of all requests or of one; none while the engine is paused."""
    parameters = {"limit": limit, "lease": lease, "request_id": request_id}
    return await rows(connection, _sql.claim_gates, parameters, GateClaim)


async def seconds_to_next(connection: Connection, request_id: UUID | None) -> float | None:
    """Return the seconds until something is due, None where nothing is; may be negative."""
    found = await value(connection, _sql.next_gate, {"request_id": request_id})
    return None if found is None else float(found)


async def hold(connection: Connection, claim: GateClaim) -> bool:
    """Take the request until the transaction ends; False where its gate is not ours any more."""
    parameters = {"id": claim.id, "token": claim.token, "gate": claim.gate}
    return await value(connection, _sql.hold_gate, parameters) is not None


async def facts(connection: Connection, request_id: UUID) -> FactsRow | None:
    """Return what checks may know of a request."""
    return await row_or_none(connection, _sql.gate_facts, {"id": request_id}, FactsRow)


async def nothing_was_done(connection: Connection, request_id: UUID) -> None:
    """Let the instance go back to its state from before, if no step ever began."""
    await run(connection, _sql.nothing_was_done, {"id": request_id})


async def keep_checks(
    connection: Connection, request_id: UUID, found: Sequence[tuple[str, str | None]]
) -> None:
    """Replace the last round of checks: (name, why it failed or None) each."""
    checks = [
        {"position": position, "name": name, "passed": reason is None, "reason": clean(reason)}
        for position, (name, reason) in enumerate(found)
    ]
    await run(connection, _sql.forget_checks, {"id": request_id})
    await run(connection, _sql.insert_checks, {"id": request_id, "checks": jsonb(checks)})


async def checks_of(connection: Connection, request_id: UUID) -> list[CheckRow]:
    """Return the last round of checks."""
    return await rows(connection, _sql.checks_of, {"request_id": request_id}, CheckRow)


async def set_window(
    connection: Connection,
    request_id: UUID,
    starts: datetime,
    ends: datetime | None,
    *,
    is_changed: bool = False,
) -> None:
    """Keep when a request may run; a window that `is_changed` replaces the time from before."""
    new = {"id": request_id, "starts": starts, "ends": ends, "is_changed": is_changed}
    await run(connection, _sql.set_window, new)


async def count_begun(
    connection: Connection, request_id: UUID, team: str, document_id: UUID
) -> int:
    """Count the team's other instances of a document that wait for nothing; others wait meanwhile."""
    parameters = {"id": request_id, "team": team, "document_id": document_id}
    await value(connection, _sql.lock_begun, parameters)
    return int(await value(connection, _sql.count_begun, parameters))
