"""One queue per channel: what Slack takes from us there, when, and what becomes of refusals.

    Slack's answer                     what follows
    ok                                 the next message of the channel
    429 with Retry-After               nothing goes to the channel before it has passed
    5xx, no connection                 the same again, after growing pauses, for as long as it takes
    any other error                    the job's; the next message goes on

Replies go first, in order; cards after them, each at most once a second and always with what is
true then, so that many changes become one edit.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiohttp import ClientError
from slack_sdk.errors import SlackApiError, SlackClientError

CARD_SECONDS: Final = 1.0
"""Shortest time between two edits of cards in one channel."""

HELD_SECONDS: Final = 2.0
"""From this wait on, senders do not wait for the channel any more."""

LONGEST_PAUSE_SECONDS: Final = 30.0
DEFAULT_RETRY_SECONDS: Final = 30.0

Send = Callable[[], Awaitable[None]]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Job:
    """One call to be made; `done` has its end, with the error where Slack refused it."""

    send: Send
    done: "asyncio.Future[None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Channel:
    """The queue of one channel, worked off by one task."""

    def __init__(self, name: str, *, card_seconds: float = CARD_SECONDS) -> None:
        self.name = name
        self._card_seconds = card_seconds
        self._replies: deque[Job] = deque()
        self._cards: dict[str, Job] = {}
        self._work = asyncio.Event()
        self._held = asyncio.Event()
        self._card_due = 0.0
        self._idle = asyncio.Event()
        self._idle.set()

    async def drained(self) -> None:
        """Return when nothing is waiting or under way."""
        await self._idle.wait()

    async def send(self, send: Send) -> None:
        """Send after what came before, and return when it is out, or the channel is held back.

        Raises SlackApiError where Slack refuses it for good.
        """
        job = Job(send)
        self._replies.append(job)
        self._wake()
        held = asyncio.ensure_future(self._held.wait())
        either: set[asyncio.Future[Any]] = {job.done, held}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            held.cancel()
        if job.done.done():
            job.done.result()
        else:
            job.done.add_done_callback(_logged)

    def draw_soon(self, request_id: str, draw: Send) -> None:
        """Draw a request's card once its turn comes; asked for twice, it is drawn once."""
        if request_id not in self._cards:
            job = Job(draw)
            job.done.add_done_callback(_logged)
            self._cards[request_id] = job
        self._wake()

    async def work(self) -> None:
        """Work the queue off; never ends by itself."""
        while True:
            await self._attempt(await self._next())
            if not (self._replies or self._cards):
                self._idle.set()

    def _wake(self) -> None:
        self._idle.clear()
        self._work.set()

    async def _next(self) -> Job:
        while True:
            self._work.clear()
            if self._replies:
                return self._replies.popleft()
            wait = self._card_due - time.monotonic()
            if self._cards and wait <= 0:
                self._card_due = time.monotonic() + self._card_seconds
                return self._cards.pop(next(iter(self._cards)))
            try:
                async with asyncio.timeout(wait if self._cards else None):
                    await self._work.wait()
            except TimeoutError:
                continue

    async def _attempt(self, job: Job) -> None:
        """Make the call until Slack has taken or refused it."""
        pause = 0.5
        while not job.done.done():
            try:
                await job.send()
            except SlackApiError as refusal:
                seconds = retry_after(refusal)
                if seconds is not None:
                    await self._hold(seconds)
                elif refusal.response.status_code >= 500:
                    pause = await self._pause(pause, refusal)
                else:
                    job.done.set_exception(refusal)
            except (SlackClientError, ClientError, OSError, TimeoutError) as broken:
                pause = await self._pause(pause, broken)
            except Exception as error:  # noqa: BLE001 - the edge of the loop: the job's owner has it
                job.done.set_exception(error)
            else:
                job.done.set_result(None)

    async def _hold(self, seconds: float) -> None:
        log.warning("slack_rate_limited", channel=self.name, seconds=seconds)
        if seconds >= HELD_SECONDS:
            self._held.set()
        await asyncio.sleep(seconds)
        self._held.clear()

    async def _pause(self, pause: float, error: Exception) -> float:
        log.warning("slack_away", channel=self.name, error=str(error), retry_in=pause)
        await asyncio.sleep(pause)
        return min(pause * 2, LONGEST_PAUSE_SECONDS)


def retry_after(refusal: SlackApiError) -> float | None:
    """Return the seconds that Slack asks us to wait, None where it is another refusal."""
    response: Any = refusal.response
    if response.status_code != 429 and response.get("error") not in {"ratelimited", "rate_limited"}:
        return None
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, TypeError, ValueError):
        return DEFAULT_RETRY_SECONDS


def _logged(done: "asyncio.Future[None]") -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("slack_refused", error=str(error))
