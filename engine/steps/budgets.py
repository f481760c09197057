"""Calls that an outside server counts together, and until when it wants no more of them.

What one step is told, all steps of the process heed: they wait until then, instead of each asking to
be told the same. A process that starts anew is told again.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Budgets:
    """Which budgets are spent; a budget is named by whoever calls. One for a process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def hold(self, budget: str, seconds: float) -> None:
        """Hold the budget's calls back for so long; a longer hold that stands is not shortened."""
        self._until[budget] = max(self._clock() + seconds, self._until.get(budget, 0.0))

    def held_for(self, budget: str) -> float | None:
        """Return the seconds for which the budget's calls are still held back, None if they are not."""
        left = self._until.get(budget, 0.0) - self._clock()
        if left > 0:
            return left
        self._until.pop(budget, None)
        return None
