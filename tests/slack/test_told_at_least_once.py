"""What happens while a channel is held back is told later, by whoever runs then, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bot.notifier import READER, Notifier
from bot.playground.faults import Fault
from bot.process import running
from engine import Engine, Submission
from tests.support.eventually import eventually
from tests.support.git import GitRepository
from tests.support.http_server import HttpServer
from tests.support.running_bot import RunningBot, running_bot
from tests.support.slack_twin import text_of

GENERAL, REQUESTS = "C0GENERAL0", "C0REQUESTS"
STORY = ("Accepted as", "*create* has failed", "It has failed", "OPS-1")
"""What a request that fails is told of, in order."""


class Mortal(Notifier):
    """A notifier that dies at once when it is stopped, and says when it reads events."""

    def __init__(self, bot: RunningBot) -> None:
        super().__init__(bot.services, card_seconds=0.05, drain_seconds=0)
        self.leads = asyncio.Event()

    async def catch_up(self) -> None:
        await super().catch_up()
        self.leads.set()

    async def begin(self) -> Mortal:
        await self.start()
        await self.leads.wait()
        return self


@pytest.fixture
async def quiet(
    dsn: str, catalog: GitRepository, http_server: HttpServer, tmp_path: Path
) -> AsyncIterator[RunningBot]:
    """The bot without its notifier."""
    http_server.answer("POST", "/queues", status=400, json={"error": "no quota"})
    http_server.answer("POST", "/tickets", json={"id": "OPS-1", "status": "open"})
    async with running_bot(dsn, catalog.url, tmp_path / "data", notifying=False) as bot:
        yield bot


async def submitted(bot: RunningBot, channel: str = GENERAL) -> str:
    alice = await bot.services.identity.actor("U0ALICE000")
    view = await bot.engine.submit(
        alice, Submission(parameters={}, item="flaky-queue", origin_channel=channel)
    )
    return view.request_id


async def all_kept(engine: Engine, request_id: str) -> None:
    async def kept() -> bool:
        return "ticket.created" in [e.kind for e in await engine.untold_events(request_id)]

    await eventually(kept)


async def nothing_untold(engine: Engine) -> None:
    async def told() -> bool:
        return not await engine.untold_requests()

    await eventually(told)


async def failed(bot: RunningBot, request_id: str) -> None:
    async def has_failed() -> bool:
        return (await bot.engine.request(READER, request_id)).status == "failed"

    await eventually(has_failed)


async def told_whole(bot: RunningBot, channel: str = "general") -> list[str]:
    card = await bot.card(channel, "OPS-1")
    await bot.twin.until(lambda: all(word in bot.thread(card, channel) for word in STORY))
    return [text_of(reply) for reply in bot.twin.thread(channel, card.ts)]


def assert_told_once_in_order(replies: Sequence[str]) -> None:
    story = [[word for word in STORY if word in reply] for reply in replies]
    assert story == [[word] for word in STORY]


async def test_a_death_while_a_channel_is_rate_limited_loses_nothing(quiet: RunningBot) -> None:
    first = await Mortal(quiet).begin()
    quiet.twin.faults.rate_limit_next("chat.postMessage", retry_after=3600)
    request_id = await submitted(quiet)
    await all_kept(quiet.engine, request_id)
    await first.stop()
    assert quiet.twin.messages("general") == []

    async with running(Mortal(quiet)):
        assert_told_once_in_order(await told_whole(quiet))
        await nothing_untold(quiet.engine)


async def test_a_death_while_slack_is_down_loses_nothing(quiet: RunningBot) -> None:
    first = await Mortal(quiet).begin()
    request_id = await submitted(quiet)
    quiet.twin.faults.offline = True
    await all_kept(quiet.engine, request_id)
    await first.stop()
    quiet.twin.faults.offline = False

    async with running(Mortal(quiet)):
        assert_told_once_in_order(await told_whole(quiet))


async def test_what_happens_while_no_notifier_runs_is_told_by_the_next(quiet: RunningBot) -> None:
    await (await Mortal(quiet).begin()).stop()
    request_id = await submitted(quiet)
    await failed(quiet, request_id)

    async with running(Mortal(quiet)):
        assert_told_once_in_order(await told_whole(quiet))


async def test_a_channel_that_is_held_back_holds_back_no_other(quiet: RunningBot) -> None:
    first = await Mortal(quiet).begin()
    faults = quiet.twin.faults
    faults.rate_limit_next("chat.postMessage", retry_after=3600)
    await submitted(quiet, GENERAL)
    await eventually(lambda: not faults.left("chat.postMessage"))

    for _ in range(3):
        await submitted(quiet, REQUESTS)
    assert_told_once_in_order(await told_whole(quiet, "requests"))
    assert quiet.twin.messages("general") == []
    await first.stop()


async def test_an_outage_in_one_channel_holds_back_no_other(quiet: RunningBot) -> None:
    first = await Mortal(quiet).begin()
    faults = quiet.twin.faults
    faults.next_calls("chat.postMessage", *[Fault("internal_error", 500)] * 4)
    await submitted(quiet, GENERAL)
    await submitted(quiet, REQUESTS)

    assert_told_once_in_order(await told_whole(quiet, "requests"))
    assert_told_once_in_order(await told_whole(quiet, "general"))
    await first.stop()


async def test_what_slack_refuses_for_good_is_parked_and_the_rest_is_told(
    quiet: RunningBot,
) -> None:
    quiet.twin.faults.next_calls("chat.postMessage", Fault("invalid_blocks"))
    async with running(await Mortal(quiet).begin()):
        await submitted(quiet)
        card = await quiet.card("general", "OPS-1")
        await quiet.twin.until(lambda: STORY[-1] in quiet.thread(card))

        assert STORY[0] not in quiet.thread(card)
        assert STORY[1] in quiet.thread(card)
        await nothing_untold(quiet.engine)


async def test_cards_that_a_full_queue_leaves_off_are_drawn_once_it_is_empty(
    quiet: RunningBot,
) -> None:
    alice = await quiet.services.identity.actor("U0ALICE000")
    async with running(Notifier(quiet.services, card_seconds=0.05, most_cards=1)):
        requests = [await submitted(quiet) for _ in range(5)]
        await until_cards_say(quiet, "failed", len(requests))
        # Replies go first: while they are held back no card has its turn.
        quiet.twin.faults.rate_limit_next("chat.postMessage", retry_after=1)
        for request_id in requests:
            await quiet.engine.abort(alice, request_id, reason="too many")

        await until_cards_say(quiet, "aborted", len(requests))


async def until_cards_say(bot: RunningBot, what: str, number: int) -> None:
    await bot.twin.until(
        lambda: [what in text_of(card) for card in bot.twin.messages("general")] == [True] * number
    )
