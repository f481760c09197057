"""What a try to make a ticket leaves for the next one, kept with the outbox item."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from engine.execution.lease import LeaseLost
from engine.store import outbox
from engine.store.outbox import Item
from engine.store.pool import Pool, transaction


class ItemMemory:
    """An outbox item's memory (engine.memory.Memory). Remembering renews the item's lease."""

    def __init__(self, pool: Pool, item: Item, lease: timedelta) -> None:
        self._pool = pool
        self._item = item
        self._lease = lease
        self.external: Mapping[str, Any] = item.payload.get("external") or {}

    async def remember(self, external: Mapping[str, Any]) -> None:
        """Merge into `external`, if the item is still ours."""
        async with transaction(self._pool) as connection:
            kept = await outbox.remember(connection, self._item, external, self._lease)
        if kept is None:
            raise LeaseLost(
                "The ticket's lease is gone", "another worker has it, or it was given up"
            )
        self.external = kept

    async def check_lease(self) -> None:
        """Raise LeaseLost where the item is not ours: remembering nothing tells."""
        await self.remember({})
