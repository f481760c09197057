"""Work that goes on after Slack was answered: every task kept, logged and awaited.

asyncio holds tasks weakly; what nobody keeps may vanish in the middle. `stop` lets what runs end
within a grace, then cancels it, and waits for the end of that too.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from engine import PaoError

GRACE_SECONDS: Final = 10.0
"""How long answers under way may take after a stop was asked for."""

log = structlog.get_logger(__name__)


class Background:
    """Owns the tasks of the Slack side. Safe to use before start and after stop."""

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self._grace = grace
        self._tasks: set[asyncio.Task[Any]] = set()

    def run(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start `work` as a task of ours, with the log context of the caller."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def drained(self) -> None:
        """Return when no work is under way, that which work itself started included."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def start(self) -> None:
        """Nothing to do: work comes by `run`."""

    async def stop(self) -> None:
        """Let what runs end within the grace, cancel the rest, and wait for it."""
        if not self._tasks:
            return
        try:
            await asyncio.wait_for(self.drained(), self._grace)
        except TimeoutError:
            left = list(self._tasks)
            log.warning("background_cancelled", tasks=[task.get_name() for task in left])
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, PaoError):  # told to the person by whoever waits for the task
            log.info("background_refused", task=task.get_name(), error=str(error))
        else:
            log.error("background_failed", task=task.get_name(), exc_info=error)
