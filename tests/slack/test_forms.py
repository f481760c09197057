"""From the form to the service: errors under their fields, nothing twice, nothing lost."""

import asyncio

from bot.playground.faults import Fault
from tests.support.eventually import eventually
from tests.support.git import GitRepository
from tests.support.http_server import HttpServer
from tests.support.running_bot import RunningBot
from tests.support.slack_twin import text_of

GOOD = {
    "instance_name": "orders cache",
    "field:contact": "alice@example.com",
    "field:password": "hunter2-hunter2",
}


async def test_from_the_command_to_the_completed_card(
    bot: RunningBot, http_server: HttpServer
) -> None:
    form = await bot.form("alice", "redis-cache")
    await bot.twin.submit("alice", form, GOOD)

    assert bot.twin.views("alice") == []
    card = await bot.card(holding="is completed")
    told = text_of(card)
    assert "cache.internal:6379" in told
    assert "hunter2" not in told
    await bot.twin.until(lambda: "is completed" in bot.thread(card))
    thread = bot.thread(card)
    assert "Accepted" in thread
    assert "<@U0ALICE000>" in thread
    assert http_server.requests("POST", "/caches")[0].json() == {
        "size": "small",
        "password": "hunter2-hunter2",
    }


async def test_afterwards_the_commands_show_it(bot: RunningBot) -> None:
    form = await bot.form("alice", "redis-cache")
    await bot.twin.submit("alice", form, GOOD)
    card = await bot.card(holding="is completed")
    request_id = text_of(card).split("`")[1]

    await eventually(lambda: bot.engine.conversation(request_id))
    assert "is completed" in await bot.say("alice", "requests")
    assert "thread" in await bot.say("alice", f"status {request_id}")
    services = await bot.ask("alice", "services")
    assert "orders cache" in text_of(services)
    before = len(bot.twin.ephemerals("alice"))
    await bot.twin.click("alice", services, "Details")
    await bot.twin.until(lambda: len(bot.twin.ephemerals("alice")) > before)
    assert "cache.internal:6379" in text_of(bot.twin.ephemerals("alice")[-1])


async def test_an_error_stands_under_its_field(bot: RunningBot) -> None:
    form = await bot.form("alice", "redis-cache")
    await bot.twin.submit("alice", form, {**GOOD, "field:contact": "nobody@nowhere@else"})

    assert set(bot.twin.errors_of(form)) == {"field:contact"}
    assert bot.twin.values_of(form)["instance_name"]["field"]["value"] == "orders cache"


async def test_a_field_appears_when_its_condition_holds_and_what_was_typed_stays(
    bot: RunningBot,
) -> None:
    form = await bot.form("alice", "redis-cache")
    bot.twin.fill("alice", form, {"instance_name": "big one"})
    await bot.twin.click("alice", form, "field", "large", block_id="field:size")
    await bot.twin.until(lambda: "field:memory" in bot.twin.values_of(form))

    assert bot.twin.values_of(form)["instance_name"]["field"]["value"] == "big one"
    await bot.twin.submit("alice", form, {**GOOD, "field:memory": "4"})
    assert "4" in text_of(await bot.card(holding="is completed"))


async def test_a_double_click_on_submit_makes_one_request(
    bot: RunningBot, http_server: HttpServer
) -> None:
    form = await bot.form("alice", "redis-cache")
    bot.twin.fill("alice", form, GOOD)
    gestures, alice = bot.twin.playground.gestures, bot.twin.user("alice")
    await asyncio.gather(*(gestures.submit(alice, form) for _ in range(2)), return_exceptions=True)
    await bot.card(holding="is completed")
    await bot.settled()

    assert len(bot.twin.messages("general")) == 1
    assert len(http_server.requests("POST", "/caches")) == 1


async def test_a_form_that_a_sync_changed_says_what_and_keeps_what_was_typed(
    bot: RunningBot, catalog: GitRepository
) -> None:
    form = await bot.form("alice", "firewall-change")
    path = "catalog/networking/firewall-change.yaml"
    text = (catalog.path / path).read_text()
    text = text.replace("version: 1.0.0", "version: 1.1.0").replace(
        "fields:\n", "fields:\n    - {name: why, type: string, label: The reason}\n"
    )
    catalog.commit({path: text})
    await bot.engine.sync_catalog(None, trigger="interval")

    await bot.twin.submit("alice", form, {"field:port": "8443"})

    form = await bot.twin.view("alice", "request_form")
    assert "was changed in the catalog" in text_of(form)
    assert "The reason" in text_of(form)
    assert bot.twin.values_of(form)["field:port"]["field"]["value"] == "8443"
    await bot.twin.submit("alice", form, {"field:why": "audit"})
    assert bot.twin.views("alice") == []
    assert "1.1.0" in text_of(await bot.card(holding="Firewall change"))


async def test_an_item_that_a_sync_removed_is_told_in_words(
    bot: RunningBot, catalog: GitRepository
) -> None:
    form = await bot.form("alice", "firewall-change")
    catalog.commit({"catalog/networking/firewall-change.yaml": None})
    await bot.engine.sync_catalog(None, trigger="interval")

    await bot.twin.submit("alice", form, {"field:port": "8443"})

    notice = await bot.twin.view("alice", "notice")
    assert "no longer in the catalog" in text_of(notice)
    assert bot.twin.messages("general") == []


async def test_a_closed_form_is_a_draft_without_its_secrets(bot: RunningBot) -> None:
    form = await bot.form("alice", "redis-cache")
    bot.twin.fill("alice", form, GOOD)
    await bot.twin.close("alice", form)
    alice = await bot.services.identity.actor(bot.twin.user("alice"))
    await eventually(lambda: bot.engine.form_draft(alice, "CatalogItem:redis-cache"))

    again = await bot.form("alice", "redis-cache")
    values = bot.twin.values_of(again)
    assert "You have a draft" in text_of(again)
    assert values["field:contact"]["field"]["value"] == "alice@example.com"
    assert values["field:password"]["field"]["value"] is None

    await bot.twin.click("alice", again, "form_anew")
    await bot.twin.until(
        lambda: (
            (bot.twin.values_of(again).get("field:contact") or {"field": {"value": 1}})["field"][
                "value"
            ]
            is None
        )
    )


async def test_a_slow_slack_does_not_lose_the_form(bot: RunningBot) -> None:
    bot.twin.faults.next_calls("users.info", Fault("internal_error", 500))
    answer = await bot.say("alice", "request redis-cache")

    assert "Slack could not be asked who you are" in answer
    assert "Redis cache" in text_of(await bot.form("alice", "redis-cache"))


async def test_what_is_ordered_for_later_says_so_and_waits(
    bot: RunningBot, http_server: HttpServer
) -> None:
    form = await bot.form("alice", "redis-cache --at 2099-01-31T22:00+01:00")
    assert "not before" in text_of(form)
    await bot.twin.submit("alice", form, GOOD)

    assert bot.twin.views("alice") == []
    assert "2099-01-31 21:00 UTC" in text_of(await bot.card(holding="orders cache"))
    assert http_server.requests("POST", "/caches") == []
