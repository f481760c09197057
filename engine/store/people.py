"""The people table: a cache of profiles and teams that the Slack side fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import row_or_none, run, value

FRESH = timedelta(minutes=15)
"""How long a profile counts as true: who was deactivated loses everything within this."""


@dataclass(frozen=True, slots=True)
class Person:
    """A row of people."""

    user_id: str
    name: str
    email: str | None
    time_zone: str | None
    teams: Sequence[str]
    is_admin: bool
    is_active: bool
    is_stale: bool = False


async def person(connection: Connection, user_id: str) -> Person | None:
    """Return the person, None where the directory has none of this id."""
    parameters = {"user_id": user_id, "fresh": FRESH}
    return await row_or_none(connection, queries.load("people").person, parameters, Person)


async def is_empty(connection: Connection) -> bool:
    """Say whether the directory has nobody: Slack was never connected."""
    return not await value(connection, queries.load("people").has_people, {})


async def keep(connection: Connection, person: Person) -> None:
    """Add the person, or replace what was known, as of now."""
    await run(
        connection,
        queries.load("people").keep_person,
        {
            "user_id": person.user_id,
            "name": person.name,
            "email": person.email,
            "time_zone": person.time_zone,
            "teams": list(person.teams),
            "is_admin": person.is_admin,
            "is_active": person.is_active,
        },
    )
