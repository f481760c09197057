"""Who acts: Slack's profile and groups, the settings' teams, and rights that end at once."""

from bot.identity import Identity
from tests.support.running_bot import RunningBot

ALICE = "U0ALICE000"


async def test_a_groups_handle_is_the_teams_name(bot: RunningBot) -> None:
    alice = await bot.services.identity.actor(ALICE)

    assert alice.name == "alice"
    assert alice.email == "alice@example.com"
    assert alice.time_zone == "Europe/Berlin"
    assert alice.teams == ("payments",)
    assert not alice.is_admin
    assert (await bot.services.identity.actor("U0CAROL000")).is_admin


async def test_slack_is_asked_once_for_as_long_as_the_answer_is_fresh(bot: RunningBot) -> None:
    for _ in range(3):
        await bot.services.identity.actor(ALICE)

    assert len(bot.twin.calls("users.info")) == 1
    assert len(bot.twin.calls("usergroups.list")) == 1


async def test_another_process_uses_what_one_has_learnt(bot: RunningBot) -> None:
    await bot.services.identity.actor(ALICE)
    other = Identity(bot.engine, bot.services.client)

    assert (await other.actor(ALICE)).name == "alice"
    assert len(bot.twin.calls("users.info")) == 1


async def test_a_changed_profile_is_taken_over_from_the_event(bot: RunningBot) -> None:
    await bot.services.identity.actor(ALICE)
    bot.twin.change_person("alice", email="martin@example.com")

    async def email() -> str | None:
        return (await bot.services.identity.actor(ALICE)).email

    await _eventually(email, "martin@example.com")
    assert len(bot.twin.calls("users.info")) == 1


async def test_a_deactivated_person_loses_everything_with_the_event(bot: RunningBot) -> None:
    assert "Redis cache" in await bot.say("alice", "catalog")
    bot.twin.change_person("alice", deleted=True)

    async def active() -> bool:
        return (await bot.services.identity.actor(ALICE)).is_active

    await _eventually(active, False)
    assert "Redis cache" not in await bot.say("alice", "catalog")


async def test_group_changes_reach_everybody(bot: RunningBot) -> None:
    await bot.services.identity.actor(ALICE)
    bot.twin.playground.workspace.teams["S0CHECKOUT"].members.append(ALICE)
    bot.services.identity.groups_changed()

    alice = await bot.services.identity.actor(ALICE)
    assert alice.teams in {("payments",), ("checkout", "payments")}
    assert await bot.services.identity.teams() == ("checkout", "payments", "platform")


async def _eventually(look: object, wanted: object) -> None:
    from tests.support.eventually import eventually

    async def seen() -> bool:
        return await look() == wanted  # type: ignore[operator, no-any-return]

    await eventually(seen)


async def test_the_settings_name_the_team_of_a_user_group(bot: RunningBot) -> None:
    named = Identity(
        bot.engine, bot.services.client, group_teams={"payments": "money", "S0CHECKOUT": "tills"}
    )

    assert (await named.actor("U0ALICE000")).teams == ("money",)
    assert (await named.actor("U0BOB00000")).teams == ("tills",)
    assert await named.teams() == ("money", "platform", "tills")
