"""A channel's queue: in order, held back when Slack asks for it, cards drawn once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.channels import Channel

Send = Callable[[], Awaitable[None]]


class Answer(dict[str, Any]):
    """What slack_sdk's error carries."""

    def __init__(self, status: int, error: str, **headers: str) -> None:
        super().__init__(error=error)
        self.status_code = status
        self.headers = headers


@asynccontextmanager
async def working(card_seconds: float = 0.0) -> AsyncIterator[Channel]:
    channel = Channel("C0OPS", card_seconds=card_seconds)
    task = asyncio.create_task(channel.work())
    try:
        yield channel
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def saying(said: list[str], word: str, *refusals: SlackApiError) -> Send:
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
        await asyncio.gather(*(channel.send(saying(said, str(n))) for n in range(5)))

    assert said == ["0", "1", "2", "3", "4"]


async def test_a_card_asked_for_often_is_drawn_once() -> None:
    said: list[str] = []
    async with working() as channel:
        for _ in range(10):
            channel.draw_soon("req-1", saying(said, "card"))
        await channel.drained()

    assert said == ["card"]


async def test_replies_go_before_cards() -> None:
    said: list[str] = []
    async with working() as channel:
        channel.draw_soon("req-1", saying(said, "card"))
        await channel.send(saying(said, "reply"))
        await channel.drained()

    assert said == ["reply", "card"]


async def test_nothing_goes_out_before_the_time_that_slack_asked_for() -> None:
    said: list[str] = []
    async with working() as channel:
        first = saying(said, "first", limited("0.05"))
        await asyncio.gather(channel.send(first), channel.send(saying(said, "second")))

    assert said == ["first", "second"]


async def test_a_long_wait_holds_nobody_up_and_loses_nothing() -> None:
    said: list[str] = []
    async with working() as channel:
        await channel.send(saying(said, "later", limited("2.2")))
        assert said == []
        await channel.drained()

    assert said == ["later"]


async def test_what_slack_refuses_is_the_senders() -> None:
    said: list[str] = []
    refused = SlackApiError("no", Answer(200, "invalid_blocks"))
    async with working() as channel:
        with pytest.raises(SlackApiError):
            await channel.send(saying(said, "never", refused))
        await channel.send(saying(said, "next"))

    assert said == ["next"]


async def test_a_slack_that_is_down_is_tried_until_it_is_back() -> None:
    said: list[str] = []
    down = SlackApiError("down", Answer(503, "service_unavailable"))
    async with working() as channel:
        await channel.send(saying(said, "at last", down))

    assert said == ["at last"]
