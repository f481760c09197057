"""A switch for bad days: Slack slow, failing, out of reach, or rate-limiting.

The published rates are off until `rate_limits` is set; a test may also say what the next calls of
one method get. Rates: docs.slack.dev/apis/web-api/rate-limits.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.playground.refusals import JsonObject
    from bot.playground.workspace import Clock

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What one call gets in place of its answer: an error word, an HTTP status, or a 429."""

    error: str = "internal_error"
    status: int = 200
    retry_after: int | None = None


RATE_LIMITED = "ratelimited"

_PER_MINUTE: Mapping[str, int] = {
    "chat.update": 50,
    "chat.delete": 50,
    "conversations.": 50,
    "views.": 100,
    "chat.postEphemeral": 100,
    "users.info": 100,
    "users.list": 20,
    "usergroups.": 20,
}


class Faults:
    """Decides, before a method runs, whether the call fares badly."""

    def __init__(self, clock: Clock) -> None:
        self.delay = 0.0
        self.failing = False
        self.offline = False
        self.rate_limits = False
        self._clock = clock
        self._scripted: dict[str, deque[Fault]] = defaultdict(deque)
        self._calls: dict[str, deque[float]] = defaultdict(deque)

    def next_calls(self, method: str, *faults: Fault) -> None:
        """Let the next calls of a method fare as told, one fault each."""
        self._scripted[method].extend(faults)

    def rate_limit_next(self, method: str, retry_after: int = 1) -> None:
        """Let the next call of a method be answered 429 with Retry-After, in seconds."""
        self.next_calls(method, Fault(RATE_LIMITED, 429, retry_after))

    def left(self, method: str) -> int:
        """Return how many calls of a method will still fare as told."""
        return len(self._scripted[method])

    async def strike(self, method: str, arguments: JsonObject) -> Fault | None:
        """Wait as long as Slack is slow, then say what is wrong with this call, if anything."""
        if self.delay:
            await asyncio.sleep(self.delay)
        if self._scripted[method]:
            return self._scripted[method].popleft()
        if self.offline:
            return Fault("service_unavailable", 503)
        if self.failing:
            return Fault("internal_error", 500)
        return self._over_the_rate(method, arguments) if self.rate_limits else None

    def _over_the_rate(self, method: str, arguments: JsonObject) -> Fault | None:
        key, count, window = _rate_of(method, arguments)
        if count == 0:
            return None
        now, calls = self._clock(), self._calls[key]
        while calls and calls[0] <= now - window:
            calls.popleft()
        if len(calls) >= count:
            return Fault(RATE_LIMITED, 429, max(1, math.ceil(calls[0] + window - now)))
        calls.append(now)
        return None


def _rate_of(method: str, arguments: JsonObject) -> tuple[str, int, float]:
    if method == "chat.postMessage":
        return f"{method} {arguments.get('channel')}", 1, 1.0
    for prefix, count in _PER_MINUTE.items():
        if method.startswith(prefix):
            return method, count, MINUTE
    return method, 0, MINUTE
