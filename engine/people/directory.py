"""Who somebody is: the profile that Slack gave, with the teams and rights that the settings add.

The operator of the machine (`cli:<login>`) is an admin without a profile. Before Slack was ever
connected the directory is empty: then the settings are all there is, and any other id is taken as
an ordinary person without a team.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.config import EngineConfig
from engine.errors import NotFound
from engine.results import Actor, Source
from engine.store import people
from engine.store.people import Person
from engine.store.pool import Connection

OPERATOR_PREFIX: Final = "cli:"
PERSONAL_PREFIX: Final = "personal:"


@dataclass(frozen=True, slots=True)
class Profile:
    """A person as Slack knows them; `teams` are the handles of their user groups."""

    user_id: str
    name: str
    email: str | None = None
    time_zone: str | None = None
    teams: Sequence[str] = ()
    is_active: bool = True


async def find_actor(
    connection: Connection,
    config: EngineConfig,
    user_id: str,
    *,
    source: Source,
    audit_name: str | None = None,
) -> Actor:
    """Return who acts, with the teams and rights of this moment; NotFound for an unknown id."""
    audited = audit_name or user_id
    if source == "cli" and user_id.startswith(OPERATOR_PREFIX):
        return operator(user_id, audited)
    person = await people.person(connection, user_id)
    if person is None and not await _is_taken_on_trust(connection, config, user_id):
        raise NotFound(
            f"Nobody has the id {user_id}",
            "it is neither in the directory nor in the settings",
            "Give the Slack user id of somebody who has used the bot, or add them to TEAMS",
        )
    found = person or Person(user_id, user_id, None, None, (), is_admin=False, is_active=True)
    return Actor(
        user_id=user_id,
        name=found.name,
        email=found.email,
        teams=all_teams(config, user_id, found.teams),
        is_admin=found.is_admin or user_id in config.admins,
        is_active=found.is_active,
        time_zone=found.time_zone,
        source=source,
        audit_name=audited,
    )


def operator(user_id: str, audit_name: str) -> Actor:
    """Return the operator of the machine: an admin."""
    return Actor(
        user_id=user_id,
        name=user_id.removeprefix(OPERATOR_PREFIX),
        is_admin=True,
        source="cli",
        audit_name=audit_name,
    )


async def remember(connection: Connection, profile: Profile) -> None:
    """Keep a profile as true from now on."""
    person = Person(
        user_id=profile.user_id,
        name=profile.name,
        email=profile.email,
        time_zone=profile.time_zone,
        teams=tuple(profile.teams),
        is_admin=False,
        is_active=profile.is_active,
    )
    await people.keep(connection, person)


async def is_stale(connection: Connection, user_id: str) -> bool:
    """Say whether the profile must be asked for again (unknown ones too)."""
    person = await people.person(connection, user_id)
    return person is None or person.is_stale


def all_teams(config: EngineConfig, user_id: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the teams of Slack's user groups and of the settings, sorted."""
    declared = (team for team, members in config.teams.items() if user_id in members)
    return tuple(sorted({*known, *declared}))


def personal_team(user_id: str) -> str:
    """Return the team of somebody who has none."""
    return f"{PERSONAL_PREFIX}{user_id}"


async def _is_taken_on_trust(connection: Connection, config: EngineConfig, user_id: str) -> bool:
    declared = user_id in config.admins or any(user_id in who for who in config.teams.values())
    return declared or await people.is_empty(connection)
