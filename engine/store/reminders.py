"""What is said again, or once a day: each statement finds what is due, marks it and writes its events."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import jsonb, rows, value

_sql = queries.load("reminders")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often something is said again: seconds to the first time, doubling up to the longest pause."""

    first: float
    longest: float
    most: int
    """Times, after which nothing more is said."""


@dataclass(frozen=True, slots=True)
class EstimatedRun:
    """A run with the estimate that its document wrote; `seconds` since it began, below 0 in its window."""

    id: UUID
    estimate: Any
    seconds: float


async def remind_of_approvals(connection: Connection, pace: Pace, limit: int) -> int:
    """Say again of up to `limit` approvals that they wait; return how many."""
    return await _count(connection, _sql.remind_of_approvals, pace, limit)


async def remind_of_tickets(connection: Connection, pace: Pace, limit: int) -> int:
    """Say again of up to `limit` tickets that they are open; return how many."""
    return await _count(connection, _sql.remind_of_tickets, pace, limit)


async def estimated_runs(connection: Connection) -> list[EstimatedRun]:
    """Return the runs that have an estimate and have not said that they take longer."""
    return await rows(connection, _sql.estimated_runs, {}, EstimatedRun)


async def tell_overruns(connection: Connection, ids: Sequence[UUID]) -> int:
    """Say of runs that they take longer; return of how many that was new."""
    return int(await value(connection, _sql.tell_overruns, {"ids": list(ids)}) or 0)


async def send_digests(
    connection: Connection,
    pause: timedelta,
    most: int,
    declared: Mapping[str, Collection[str]],
) -> int:
    """Tell owners of up to `most` new operations each, after `pause` again; return how many owners.

    `declared`: members of teams beside those that the directory knows.
    """
    teams = jsonb({team: sorted(members) for team, members in declared.items()})
    parameters = {"pause": pause, "most": most, "declared": teams}
    return int(await value(connection, _sql.send_digests, parameters) or 0)


async def _count(connection: Connection, statement: str, pace: Pace, limit: int) -> int:
    parameters = {
        "first": pace.first,
        "longest": pace.longest,
        "most": pace.most,
        "limit": limit,
    }
    return int(await value(connection, statement, parameters) or 0)
