"""When a failed attempt is tried again: policy, kind of the error, waits with full jitter.

The wait before attempt n+1 is drawn evenly from nothing up to what the strategy gives for n, so
that many steps that failed together do not come back together. An outside system's Retry-After is a
lower bound of the wait, up to `max_delay`. The due time itself is the database's.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from engine.catalog.steps import RetryPolicy

MAX_ATTEMPTS: Final = 3
INITIAL_DELAY: Final = 10.0
MAX_DELAY: Final = 300.0
"""Seconds; what holds where neither the step nor the sequence says anything."""

LARGEST_EXPONENT: Final = 60
"""Doublings after which only `max_delay` counts."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy with nothing left open. Seconds."""

    max_attempts: int = MAX_ATTEMPTS
    strategy: Literal["fixed", "linear", "exponential"] = "exponential"
    initial_delay: float = INITIAL_DELAY
    max_delay: float = MAX_DELAY
    max_duration: float | None = None

    def longest_wait(self, attempts: int) -> float:
        """Return the bound of the wait after so many attempts (1 or more)."""
        match self.strategy:
            case "fixed":
                wait = self.initial_delay
            case "linear":
                wait = self.initial_delay * attempts
            case "exponential":
                wait = self.initial_delay * 2 ** min(attempts - 1, LARGEST_EXPONENT)
        return min(wait, self.max_delay)

    def wait(self, attempts: int, retry_after: float | None = None) -> float:
        """Draw the wait after so many attempts."""
        drawn = random.uniform(0, self.longest_wait(attempts))  # noqa: S311
        return max(drawn, min(retry_after or 0.0, self.max_delay))

    def allows(self, attempts: int, seconds: float = 0.0) -> bool:
        """Say whether there may be another attempt after so many, `seconds` after the first began."""
        in_time = self.max_duration is None or seconds < self.max_duration
        return attempts < self.max_attempts and in_time


def merged(sequence: Mapping[str, Any] | None, step: Mapping[str, Any] | None) -> Policy:
    """Return the step's policy over the sequence's over the defaults, field by field."""
    given = RetryPolicy.model_validate({**(sequence or {}), **(step or {})})
    defaults = Policy()
    initial = defaults.initial_delay if given.initial_delay is None else given.initial_delay
    longest = defaults.max_delay if given.max_delay is None else given.max_delay
    return Policy(
        max_attempts=given.max_attempts or defaults.max_attempts,
        strategy=given.backoff_strategy or defaults.strategy,
        initial_delay=initial,
        max_delay=max(longest, initial) if given.max_delay is None else longest,
        max_duration=given.max_duration,
    )
