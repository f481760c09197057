"""GitHub's limits: read from an answer, raised as an error that only postpones.

"Rate limits for the REST API" of its documentation: the primary limit is told by the headers
`x-ratelimit-remaining` and `-reset` of every answer, a secondary one by Retry-After, or by nothing
but a sentence. Calls that go on while a limit holds may get the caller banned.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from engine.errors import StepFailed
from engine.outbound import Response, retry_after
from engine.steps.budgets import Budgets

SECONDARY_LIMIT: Final = 60.0
"""Seconds to wait where GitHub says that there is a limit and not for how long."""

LONGEST_WAIT: Final = 3600.0
"""Seconds; GitHub's limits are by the hour."""


class RateLimited(StepFailed):
    """GitHub asks to be called later; `wait` is in seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(
            "rate_limited",
            f"GitHub's limit for calls is reached; it may be called again in {wait:.0f} s",
            kind="transient",
            retry_after=wait,
        )
        self.wait = wait


async def heeding(
    budgets: Budgets, budget: str, call: Callable[[], Awaitable[Response]]
) -> Response:
    """Make a call, unless its budget is held back, and hold the budget back where the answer asks it.

    Raises RateLimited, and what the call raises.
    """
    left = budgets.held_for(budget)
    if left is not None:
        raise RateLimited(left)
    response = await call()
    wait = wait_after(response)
    if wait is not None:
        budgets.hold(budget, wait)
        if is_limited(response):
            raise RateLimited(wait)
    return response


def is_limited(response: Response) -> bool:
    """Whether a limit is why the call was refused."""
    if response.status == 403:
        told = retry_after(response) is not None or _is_spent(response)
        return told or "rate limit" in response.text.lower()
    return response.status == 429


def wait_after(response: Response) -> float | None:
    """Return for how long no other call is wanted: after a refusal, and after the last call of an hour.

    Retry-After first, then the reset of the primary limit, else at least a minute.
    """
    wait = _until_reset(response)
    if is_limited(response):
        asked = retry_after(response)
        wait = asked if asked is not None else wait or SECONDARY_LIMIT
    return None if wait is None else min(max(wait, 1.0), LONGEST_WAIT)


def server_time(response: Response) -> datetime:
    """Return the time by the server's clock; ours where it does not tell."""
    try:
        told = parsedate_to_datetime(response.headers.get("date", ""))
    except ValueError:
        return datetime.now(UTC)
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def _is_spent(response: Response) -> bool:
    return response.headers.get("x-ratelimit-remaining") == "0"


def _until_reset(response: Response) -> float | None:
    """Return the seconds until the primary limit begins anew, None where it is not spent."""
    reset = response.headers.get("x-ratelimit-reset", "")
    if not (_is_spent(response) and reset.isascii() and reset.isdigit()):
        return None
    return max(int(reset[:12]) - server_time(response).timestamp(), 1.0)
