"""The logs of attempts, as they were kept: redacted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import row_or_none, rows, value, values

_sql = queries.load("logs")


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt with its step and request; `length`: characters of its whole log."""

    request_id: str
    title: str
    step_id: str
    step_name: str
    attempt_number: int
    status: str
    started_at: datetime
    completed_at: datetime | None
    error_message: str | None
    length: int


@dataclass(frozen=True, slots=True)
class _Numbered:
    id: UUID
    attempt_number: int


async def moment(connection: Connection) -> float:
    """Return the time in seconds since 1970."""
    return float(await value(connection, _sql.moment, {}))


async def attempts_of_step(connection: Connection, request_id: UUID, step: str) -> dict[int, UUID]:
    """Return the ids of a step's attempts by their numbers."""
    parameters = {"request_id": request_id, "step": step}
    found = await rows(connection, _sql.attempts_of_step, parameters, _Numbered)
    return {one.attempt_number: one.id for one in found}


async def attempt(connection: Connection, attempt_id: UUID) -> AttemptRow | None:
    """Return one attempt."""
    return await row_or_none(connection, _sql.attempt_by_id, {"attempt_id": attempt_id}, AttemptRow)


async def end_of_log(connection: Connection, attempt_id: UUID, most: int) -> Sequence[str]:
    """Return the last pieces of a log that hold `most` characters together."""
    parameters = {"attempt_id": attempt_id, "most": most}
    return await values(connection, _sql.end_of_log, parameters)
