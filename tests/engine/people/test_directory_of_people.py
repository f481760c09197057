"""Who somebody is: Slack's profile, the settings' teams and admins, the operator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine import Engine, NotFound, Profile
from engine.store.pool import Connection
from tests.support.engines import config


@pytest.fixture
async def engine(dsn: str, tmp_path: Path) -> AsyncIterator[Engine]:
    settings = config(
        dsn, tmp_path, teams={"payments": frozenset({"U1"})}, admins=frozenset({"U9"})
    )
    async with Engine(settings) as engine:
        yield engine


async def test_a_profile_is_kept_with_the_teams_of_slack_and_of_the_settings(
    engine: Engine,
) -> None:
    await engine.remember_person(
        Profile("U1", "Alice", "alice@example.com", "Europe/Berlin", ("search",))
    )
    alice = await engine.actor("U1", source="slack")
    assert (alice.name, alice.email, alice.time_zone) == (
        "Alice",
        "alice@example.com",
        "Europe/Berlin",
    )
    assert alice.teams == ("payments", "search")
    assert (alice.is_admin, alice.is_active, alice.audit_name) == (False, True, "U1")


async def test_the_settings_name_admins(engine: Engine) -> None:
    assert (await engine.actor("U9", source="slack")).is_admin


async def test_somebody_deactivated_is_known_as_such(engine: Engine) -> None:
    await engine.remember_person(Profile("U2", "Bob", is_active=False))
    assert not (await engine.actor("U2", source="slack")).is_active


async def test_an_unknown_id_is_refused_once_slack_was_connected(engine: Engine) -> None:
    assert (await engine.actor("U5", source="cli")).teams == ()
    await engine.remember_person(Profile("U2", "Bob"))
    with pytest.raises(NotFound, match="U5"):
        await engine.actor("U5", source="cli")
    assert (await engine.actor("U1", source="cli")).teams == ("payments",)


async def test_the_operator_of_the_machine_is_an_admin_on_the_command_line_only(
    engine: Engine,
) -> None:
    await engine.remember_person(Profile("U2", "Bob"))
    operator = await engine.actor("cli:root", source="cli", audit_name="cli:root")
    assert (operator.is_admin, operator.audit_name) == (True, "cli:root")
    with pytest.raises(NotFound):
        await engine.actor("cli:root", source="slack")


async def test_a_profile_is_stale_after_a_quarter_of_an_hour(
    engine: Engine, connection: Connection
) -> None:
    assert await engine.person_is_stale("U1")
    await engine.remember_person(Profile("U1", "Alice"))
    assert not await engine.person_is_stale("U1")
    await connection.execute("UPDATE people SET fetched_at = now() - interval '16 minutes'")
    assert await engine.person_is_stale("U1")
