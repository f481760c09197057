"""A channel's queue: in order, held back when Slack asks for it, cards drawn once."""

import asyncio
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.channels import MOST_CARDS, Channel
from engine import Unavailable

Send = Callable[[], Awaitable[None]]


class Answer(dict[str, Any]):
    """What slack_sdk's error carries."""

    def __init__(self, status: int, error: str, **headers: str) -> None:
        super().__init__(error=error)
        self.status_code = status
        self.headers = headers


@asynccontextmanager
async def working(
    draw_behind: Send | None = None, most_cards: int = MOST_CARDS
) -> AsyncIterator[Channel]:
    channel = Channel(
        "C0OPS", draw_behind or nothing_behind, card_seconds=0.0, most_cards=most_cards
    )
    task = asyncio.create_task(channel.work())
    try:
        yield channel
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def nothing_behind() -> None:
    """What the database says where every card is drawn."""


def saying(said: list[str], word: str, *refusals: Exception) -> Send:
    left = list(refusals)

    async def send() -> None:
        if left:
            raise left.pop(0)
        said.append(word)

    return send


def limited(seconds: str) -> SlackApiError:
    return SlackApiError("limited", Answer(429, "ratelimited", **{"Retry-After": seconds}))


async def test_replies_go_out_in_order() -> None:
    said: list[str] = []
    async with working() as channel:
        for number in range(5):
            channel.tell_soon(f"req-{number}", saying(said, str(number)))
        await channel.drained()

    assert said == ["0", "1", "2", "3", "4"]


async def test_what_is_asked_for_often_is_done_once() -> None:
    said: list[str] = []
    async with working() as channel:
        for _ in range(10):
            channel.tell_soon("req-1", saying(said, "reply"))
            channel.draw_soon("req-1", saying(said, "card"))
        await channel.drained()

    assert said == ["reply", "card"]


async def test_what_is_asked_for_while_it_is_done_is_done_again() -> None:
    said: list[str] = []
    async with working() as channel:

        async def send() -> None:
            if not said:
                channel.tell_soon("req-1", saying(said, "second"))
            said.append("first")

        channel.tell_soon("req-1", send)
        await channel.drained()

    assert said == ["first", "second"]


async def test_replies_go_before_cards() -> None:
    said: list[str] = []
    async with working() as channel:
        channel.draw_soon("req-1", saying(said, "card"))
        channel.tell_soon("req-1", saying(said, "reply"))
        await channel.drained()

    assert said == ["reply", "card"]


async def test_a_queue_keeps_no_more_cards_than_it_may() -> None:
    channel = Channel("C0OPS", nothing_behind)
    asked = [weakref.ref(ask_for_a_card(channel, f"req-{number}")) for number in range(1000)]

    assert sum(card() is not None for card in asked) == MOST_CARDS


def ask_for_a_card(channel: Channel, about: str) -> Send:
    async def draw() -> None:
        """Nothing that anybody waits for."""

    channel.draw_soon(about, draw)
    return draw


async def test_cards_that_a_full_queue_leaves_off_are_asked_for_once_it_is_empty() -> None:
    behind = {f"req-{number}" for number in range(7)}

    async def draw_behind() -> None:
        for about in sorted(behind):
            ask(about)

    def ask(about: str) -> None:
        async def draw() -> None:
            behind.remove(about)

        channel.draw_soon(about, draw)

    async with working(draw_behind, most_cards=3) as channel:
        for about in sorted(behind):
            ask(about)
        await channel.drained()

    assert behind == set()


async def test_nothing_is_asked_for_where_every_card_had_its_turn() -> None:
    said: list[str] = []
    async with working(saying(said, "asked"), most_cards=2) as channel:
        for _ in range(3):
            channel.draw_soon("req-1", saying(said, "one"))
            channel.draw_soon("req-2", saying(said, "two"))
        await channel.drained()

    assert said == ["one", "two"]


async def test_nothing_goes_out_before_the_time_that_slack_asked_for() -> None:
    said: list[str] = []
    async with working() as channel:
        channel.tell_soon("req-1", saying(said, "first", limited("0.05")))
        channel.tell_soon("req-2", saying(said, "second"))
        await channel.drained()

    assert said == ["first", "second"]


async def test_what_slack_refuses_is_in_nobodys_way() -> None:
    said: list[str] = []
    refused = SlackApiError("no", Answer(200, "invalid_blocks"))
    async with working() as channel:
        channel.tell_soon("req-1", saying(said, "never", refused))
        channel.tell_soon("req-2", saying(said, "next"))
        await channel.drained()

    assert said == ["next"]


PASSING = [
    SlackApiError("down", Answer(503, "service_unavailable")),
    SlackApiError("down", Answer(200, "internal_error")),
    SlackApiError("no token", Answer(200, "token_revoked")),
    TimeoutError("no answer"),
    Unavailable("The database cannot be reached"),
]


@pytest.mark.parametrize("error", PASSING, ids=str)
async def test_what_passes_is_tried_until_it_has_passed(error: Exception) -> None:
    said: list[str] = []
    async with working() as channel:
        channel.tell_soon("req-1", saying(said, "at last", error))
        await channel.drained()

    assert said == ["at last"]
