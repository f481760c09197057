"""The slash command: every word has its answer, whatever is typed."""

import pytest

from bot.playground.faults import Fault
from bot.playground.workspace import Message
from tests.support.git import GitRepository
from tests.support.running_bot import RunningBot
from tests.support.slack_twin import text_of

DOUBLE = """
name: redis-cluster
display_name: Redis cluster
version: 1.0.0
owner: platform
presentation: {fields: []}
fulfillment: {manual: {system: webhook, template: {url: "http://127.0.0.1:1/", body: {summary: x}}}}
"""
INSIDE = DOUBLE.replace("redis-cluster", "my-redis").replace("Redis cluster", "Mine")


async def test_help_lists_what_one_may_do(bot: RunningBot) -> None:
    told = await bot.say("alice", "")

    assert "/pao catalog" in told
    assert "/pao unpause" not in told
    assert "/pao unpause" in await bot.say("carol", "help")


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("catalgo", "Did you mean 'catalog'?"),
        ("status", "needs a request"),
        ("status req-nothing", "not found"),
        ("service si-nothing", "not found"),
        ("catalog --catgory x", "Did you mean 'category'?"),
        ("catalog --tag", "--tag needs a value"),
        ("requests everybody", "does not know"),
        ("request nothing-like-this", "nothing-like-this"),
        ("skip req-1 create because", "not"),
        ('"', "/pao help"),
        ("\N{ROCKET}\N{ROCKET}", "/pao help"),
        ("<!channel> *x* `y` ```z", "/pao help"),
    ],
)
async def test_whatever_is_typed_gets_a_clear_answer(
    bot: RunningBot, typed: str, answer: str
) -> None:
    assert answer in await bot.say("alice", typed)
    assert bot.twin.notices("alice") == []


async def test_forty_thousand_characters_get_a_clear_answer(bot: RunningBot) -> None:
    for typed in ("\N{ROCKET}" * 39_000, "catalog " + "word " * 7_900, "request " + "x" * 39_000):
        told = await bot.say("alice", typed)
        assert told
        assert "boom" not in told
    assert bot.twin.notices("alice") == []


async def test_the_catalog_is_browsed_and_searched(bot: RunningBot) -> None:
    everything = await bot.say("alice", "catalog")
    found = await bot.say("alice", "catalog cach")

    assert "Redis cache" in everything
    assert "Firewall change" in everything
    assert "Redis cache" in found
    assert "Firewall change" not in found
    assert "Nothing in the catalog fits" in await bot.say("alice", "catalog zebra")


async def test_a_name_may_be_shortened_to_what_is_unique(bot: RunningBot) -> None:
    for typed in ("redis", "Redis ca"):
        await bot.twin.command("alice", "general", f"/pao request {typed}")
        form = await bot.twin.view("alice", "request_form")
        assert "Redis cache" in text_of(form)
        await bot.twin.close("alice", form)


async def test_a_name_that_fits_more_than_one_item_is_answered_with_all_of_them(
    bot: RunningBot, catalog: GitRepository
) -> None:
    catalog.commit(
        {"catalog/databases/redis-cluster.yaml": DOUBLE, "catalog/more/my-redis.yaml": INSIDE}
    )
    await bot.say("carol", "sync")
    answer = await bot.ask("alice", "request redis --at 2099-01-01T10:00")

    assert "Did you mean 'redis-cache' or 'redis-cluster'?" in text_of(answer)
    assert "my-redis" not in text_of(answer)
    await bot.twin.click("alice", answer, "Open form", "at 2099-01-01T10:00:00+01:00 redis-cluster")
    form = await bot.twin.view("alice", "request_form")
    assert "Redis cluster" in text_of(form)
    assert "2099-01-01" in text_of(form)


async def test_a_word_from_within_is_answered_with_what_holds_it(bot: RunningBot) -> None:
    answer = await bot.ask("alice", "request queue")

    assert "Did you mean 'flaky-queue'?" in text_of(answer)
    await bot.twin.click("alice", answer, "Open form")
    assert "Flaky queue" in text_of(await bot.twin.view("alice", "request_form"))


async def test_details_open_in_a_modal(bot: RunningBot) -> None:
    answer = await bot.ask("alice", "catalog firewall")
    await bot.twin.click("alice", answer, "Details")
    view = await bot.twin.view("alice", "details")

    assert "Done by people" in text_of(view)
    assert "Port (integer)" in text_of(view)


async def test_what_admins_may_others_may_not(bot: RunningBot) -> None:
    for typed in ("sync", "stats", "pause", "unpause"):
        assert "no_entry" in await bot.say("alice", typed)
    assert "Nothing has changed" in await bot.say("carol", "sync")
    assert "Paused" in await bot.say("carol", "pause")
    assert "Started again" in await bot.say("carol", "unpause")


async def test_the_shortcut_opens_a_searchable_picker(bot: RunningBot) -> None:
    await bot.twin.shortcut("alice", "request_service")
    picker = await bot.twin.view("alice", "picker")

    offered = await bot.twin.suggest("alice", picker, "picked_item", "redis")
    assert [option["value"] for option in offered] == ["redis-cache"]
    await bot.twin.submit("alice", picker, {"picked_item": "redis-cache"})
    form = await bot.twin.view("alice", "request_form")
    assert "Redis cache" in text_of(form)


async def test_an_expired_trigger_leaves_a_button(bot: RunningBot) -> None:
    bot.twin.faults.next_calls("views.open", Fault("expired_trigger_id"))
    answer: Message = await bot.ask("alice", "request redis-cache")

    await bot.twin.click("alice", answer, "Open form")
    assert "Redis cache" in text_of(await bot.twin.view("alice", "request_form"))


async def test_a_rate_limit_is_told_in_words(bot: RunningBot) -> None:
    bot.twin.faults.rate_limit_next("views.open", retry_after=30)

    assert "please try again in a minute" in await bot.say("alice", "request redis-cache")


async def test_slack_out_of_order_is_told_in_words(bot: RunningBot) -> None:
    bot.twin.faults.next_calls("views.open", Fault("internal_error", 500))
    assert "Slack does not do what" in await bot.say("alice", "request redis-cache")


async def test_a_long_word_is_repeated_in_part(bot: RunningBot) -> None:
    for text in ("x" * 500, "request " + "x" * 500, "status " + "x" * 500, "stats --" + "x" * 500):
        answer = await bot.say("alice", text)
        assert "x" * 40 in answer
        assert "x" * 100 not in answer


async def test_the_app_home_shows_what_is_mine(bot: RunningBot) -> None:
    bot.twin.open_home("alice")
    home = await bot.twin.eventually(lambda: bot.twin.home("alice"))

    assert "No services here" in text_of(home)


async def test_the_app_home_follows_what_happens(bot: RunningBot) -> None:
    bot.twin.open_home("alice")
    await bot.twin.eventually(lambda: bot.twin.home("alice"))
    form = await bot.form("alice", "flaky-queue")
    await bot.twin.submit("alice", form, {"instance_name": "jobs"})

    def is_told() -> bool:
        home = bot.twin.home("alice")
        return home is not None and "Waiting for you" in text_of(home) and "jobs" in text_of(home)

    await bot.twin.until(is_told)
    assert bot.twin.home("bob") is None


async def test_admins_read_who_did_what(bot: RunningBot) -> None:
    assert "pause" in await bot.say("carol", "pause")
    told = await bot.say("carol", "audit")

    assert "engine.pause" in told
    assert "<@U0CAROL000>" in told
    assert "catalog.sync" not in await bot.say("alice", "audit")
    assert "*denied*" in await bot.say("carol", "audit")
