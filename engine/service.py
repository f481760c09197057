"""The one protocol of everything that runs: dispatcher, notifier, servers, loops.

`start` returns when the thing serves; `stop` when nothing of it is left: no task, no connection.
Stop before start, stop twice and stop in the middle of a start are fine and leave nothing behind;
a second start after a stop works. A start that fails has cleaned up after itself.
"""

from __future__ import annotations

from typing import Protocol


class Service(Protocol):
    """Something that can be started and stopped."""

    async def start(self) -> None:
        """Serve. Raises when it cannot, and leaves nothing running then."""

    async def stop(self) -> None:
        """End, and wait for the end."""
