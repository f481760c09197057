"""One queue per channel: what Slack takes from us there, when, and what becomes of refusals.

    what happens                       what follows
    ok                                 the next job of the channel
    429 with Retry-After               nothing goes to the channel before it has passed
    5xx, no connection, a token that   the same job again, after growing pauses, for as long as
    is refused, the database away      it takes
    any other error                    is logged; the next job goes on

A job is about one request and does what is due for it by then, so one that is asked for twice runs
once. Replies go first, in the order in which they were asked for; cards after them, each at most
once a second, so that many changes become one edit. A queue holds nothing that the database does
not know: a death loses none of it.

More may happen in a channel than one edit a second can show. So a queue holds a bounded number of
cards and leaves off what goes beyond; once it has drawn those it asks for what has fallen behind.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiohttp import ClientError
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.app import REFUSED_TOKEN
from bot.slack_metrics import RATE_LIMITS
from engine import Unavailable

CARD_SECONDS: Final = 1.0
"""Shortest time between two edits of cards in one channel."""

MOST_CARDS: Final = 200
"""Cards that wait in one queue: those of some three minutes, in a tenth of a megabyte."""

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
DEFAULT_RETRY_SECONDS: Final = 30.0

Send = Callable[[], Awaitable[None]]

log = structlog.get_logger(__name__)


class Channel:
    """The queue of one channel, worked off by one task.

    `draw_behind` asks for the cards of this channel that the database knows to be behind.
    """

    def __init__(
        self,
        name: str,
        draw_behind: Send,
        *,
        card_seconds: float = CARD_SECONDS,
        most_cards: int = MOST_CARDS,
    ) -> None:
        self.name = name
        self._draw_behind = draw_behind
        self._card_seconds = card_seconds
        self._most_cards = most_cards
        self._replies: dict[str, Send] = {}
        self._cards: dict[str, Send] = {}
        self._left_off = False
        self._work = asyncio.Event()
        self._card_due = 0.0
        self._idle = asyncio.Event()
        self._idle.set()

    async def drained(self) -> None:
        """Return when nothing is waiting or under way."""
        await self._idle.wait()

    def tell_soon(self, about: str, tell: Send) -> None:
        """Tell what there is to tell about something, after what was asked for before."""
        self._replies.setdefault(about, tell)
        self._wake()

    def draw_soon(self, about: str, draw: Send) -> None:
        """Draw a request's card once its turn comes."""
        if about in self._cards or len(self._cards) < self._most_cards:
            self._cards.setdefault(about, draw)
        else:
            self._left_off = True
        self._wake()

    async def work(self) -> None:
        """Work the queue off; never ends by itself."""
        while True:
            await self._attempt(await self._next())
            if not (self._replies or self._cards or self._left_off):
                self._idle.set()

    def _wake(self) -> None:
        self._idle.clear()
        self._work.set()

    async def _next(self) -> Send:
        while True:
            self._work.clear()
            if self._replies:
                return self._replies.pop(next(iter(self._replies)))
            if self._left_off and not self._cards:
                self._left_off = False
                return self._draw_behind
            wait = self._card_due - time.monotonic()
            if self._cards and wait <= 0:
                self._card_due = time.monotonic() + self._card_seconds
                return self._cards.pop(next(iter(self._cards)))
            try:
                async with asyncio.timeout(wait if self._cards else None):
                    await self._work.wait()
            except TimeoutError:
                continue

    async def _attempt(self, send: Send) -> None:
        """Do a job until it is done, or will never be."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                await send()
            except Exception as error:  # the edge of the loop: nobody above could go on
                if not passes(error):
                    log.exception("slack_job_failed", channel=self.name)
                    break
                seconds = retry_after(error)
                if seconds is not None:
                    RATE_LIMITS.inc()
                log.warning("slack_waits", channel=self.name, error=str(error), seconds=seconds)
                await asyncio.sleep(pause if seconds is None else seconds)
                if seconds is None:
                    pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            else:
                break


def passes(error: Exception) -> bool:
    """Say whether the same call may do better later."""
    if not isinstance(error, SlackApiError):
        return isinstance(
            error, SlackClientError | ClientError | OSError | TimeoutError | Unavailable
        )
    word = error.response.get("error")
    return (
        retry_after(error) is not None
        or error.response.status_code >= 500
        or word in REFUSED_TOKEN | _OUTAGES
    )


_OUTAGES: Final = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
"""Slack's words for being out of order, which come with the status 200 too."""


def retry_after(error: Exception) -> float | None:
    """Return the seconds that Slack asks us to wait, None where it is another error."""
    if not isinstance(error, SlackApiError):
        return None
    response: Any = error.response
    if response.status_code != 429 and response.get("error") not in {"ratelimited", "rate_limited"}:
        return None
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, TypeError, ValueError):
        return DEFAULT_RETRY_SECONDS
