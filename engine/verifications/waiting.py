"""Verifications that wait: when to look again, and when the time for it is over."""

from __future__ import annotations

from typing import Final

from engine.steps.base import Json, StepContext
from engine.verifications.base import Verdict

FIRST_INTERVAL: Final = 5.0
LONGEST_INTERVAL: Final = 300.0
"""Seconds between two looks, growing by half."""

WAITED: Final = "waited"
"""Key of `external`: by verification, how often was looked and the seconds waited so far."""


async def not_yet(
    context: StepContext,
    name: str,
    *,
    limit: float | None,
    expected: Json,
    actual: Json,
    reason: str,
) -> Verdict:
    """Return "look again", or that the time is over: `limit` in seconds, None: the step's own.

    Time is counted by the waits themselves: no clock is trusted, and a pause costs nothing.
    """
    kept = dict(context.external.get(WAITED) or {})
    looks, waited = kept.get(name) or (0, 0.0)
    if limit is not None and waited >= limit:
        return Verdict(False, expected, actual, f"{reason} within {limit:g} s")
    delay = min(LONGEST_INTERVAL, FIRST_INTERVAL * 1.5 ** min(int(looks), 20))
    if limit is not None:
        delay = max(1.0, min(delay, limit - waited))
    kept[name] = [int(looks) + 1, float(waited) + delay]
    await context.remember({WAITED: kept})
    return Verdict(False, expected, actual, reason, again_in=delay)
