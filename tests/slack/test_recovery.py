"""What fails becomes a ticket, and people take it from there, by button or by command."""

from bot.playground.workspace import Message
from tests.support.http_server import HttpServer
from tests.support.running_bot import RunningBot
from tests.support.slack_twin import text_of


async def failed(bot: RunningBot) -> Message:
    form = await bot.form("alice", "flaky-queue")
    await bot.twin.submit("alice", form, {"instance_name": "jobs"})
    return await bot.card(holding="has failed")


def id_of(card: Message) -> str:
    return text_of(card).split("`")[1]


async def test_a_failure_tells_error_ticket_and_ways_out(bot: RunningBot) -> None:
    card = await failed(bot)
    await bot.twin.until(lambda: "OPS-1" in bot.thread(card))

    thread = bot.thread(card)
    assert "400" in thread
    assert "/pao resume" in thread
    await bot.twin.until(lambda: "OPS-1" in text_of(card))


async def test_resolve_asks_for_each_declared_output(bot: RunningBot) -> None:
    card = await failed(bot)
    await bot.twin.click("alice", card, "step_resolve")
    form = await bot.twin.view("alice", "resolve_form")

    await bot.twin.submit("alice", form, {})
    assert set(bot.twin.errors_of(form)) == {"output:address"}

    await bot.twin.submit("alice", form, {"output:address": "queue.internal"})
    await bot.twin.until(lambda: "is completed" in text_of(card))
    assert "queue.internal" in text_of(card)


async def test_retry_runs_the_step_again(bot: RunningBot, http_server: HttpServer) -> None:
    card = await failed(bot)
    http_server.answer("POST", "/queues", json={"address": "queue.internal"})

    assert "goes on" in await bot.say("alice", f"retry {id_of(card)}")
    await bot.twin.until(lambda: "is completed" in text_of(card))


async def test_abort_asks_why(bot: RunningBot) -> None:
    card = await failed(bot)
    await bot.twin.click("alice", card, "request_abort")
    form = await bot.twin.view("alice", "abort_form")
    await bot.twin.submit("alice", form, {"reason": "not needed any more"})

    await bot.twin.until(lambda: "is aborted" in text_of(card))
    await bot.twin.until(lambda: "not needed any more" in bot.thread(card))


async def test_an_abort_can_hold_the_clean_up_back(
    bot: RunningBot, http_server: HttpServer
) -> None:
    card = await failed(bot)
    await bot.twin.until(lambda: "OPS-1" in bot.thread(card))
    before = len(http_server.requests("POST", "/tickets"))
    await bot.twin.click("alice", card, "request_abort")
    form = await bot.twin.view("alice", "abort_form")
    await bot.twin.submit("alice", form, {"reason": "look first", "choices": ["held_back"]})

    await bot.twin.until(lambda: "is aborted" in text_of(card))
    await bot.twin.until(lambda: "look first" in bot.thread(card))
    assert len(http_server.requests("POST", "/tickets")) == before


async def test_admins_skip_a_step_by_button_with_a_reason(bot: RunningBot) -> None:
    card = await failed(bot)
    await bot.twin.click("alice", card, "step_skip")
    refused = await bot.twin.eventually(lambda: bot.twin.ephemerals("alice"))
    assert "it is for admins" in text_of(refused[-1])

    await bot.twin.click("carol", card, "step_skip")
    form = await bot.twin.view("carol", "skip_form")
    await bot.twin.submit("carol", form, {"reason": "made by somebody already"})
    await bot.twin.until(lambda: "is completed" in text_of(card))
    assert "skipped by hand" in text_of(card)


async def test_the_log_is_a_click_away(bot: RunningBot) -> None:
    card = await failed(bot)
    await bot.twin.click("alice", card, "step_logs")

    answer = await bot.twin.eventually(lambda: bot.twin.ephemerals("alice"))
    assert "Log of create" in text_of(answer[-1])


async def test_a_click_on_somebody_elses_card_is_refused_in_private(bot: RunningBot) -> None:
    card = await failed(bot)
    await bot.twin.click("bob", card, "request_resume")
    answer = await bot.twin.eventually(lambda: bot.twin.ephemerals("bob"))

    assert "You may not do this" in text_of(answer[-1])
    assert "the requester or owner, their team" in text_of(answer[-1])
    assert "has failed" in text_of(card)
    assert "not found" in await bot.say("bob", f"status {id_of(card)}")


async def test_a_manual_request_is_resolved_by_a_button(bot: RunningBot) -> None:
    form = await bot.form("alice", "firewall-change")
    await bot.twin.submit("alice", form, {"field:port": "8443"})
    card = await bot.card(holding="OPS-1")

    await bot.twin.click("alice", card, "step_resolve")
    await bot.twin.submit("alice", await bot.twin.view("alice", "resolve_form"), {})
    await bot.twin.until(lambda: "is completed" in text_of(card))


async def test_logs_are_shown(bot: RunningBot) -> None:
    card = await failed(bot)

    assert "Log of create" in await bot.say("alice", f"logs {id_of(card)}")
