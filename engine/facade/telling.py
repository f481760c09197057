"""Events for those who tell of them, and what they keep so that each is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine.dispatch.consumers import Handler, OnLead, consume, public
from engine.facade.core import Core
from engine.results import (
    Event,
)
from engine.store import (
    conversations,
)
from engine.store.conversations import Conversation
from engine.store.pool import (
    transaction,
)


class TellingVerbs(Core):
    """Events for those who tell of them, and what they keep so that each is told."""

    async def consume(
        self,
        name: str,
        handler: Handler,
        stopping: asyncio.Event,
        *,
        on_lead: OnLead | None = None,
    ) -> None:
        """Hand every event to `handler`, at least once and in order, until `stopping` is set.

        One process at a time reads for a consumer; `on_lead` is awaited when it becomes this one.
        """
        await consume(self._pool, self.config, name, handler, stopping, on_lead=on_lead)

    async def conversation(self, request_id: str) -> Conversation | None:
        """Return where a request (full id) is told of."""
        async with transaction(self._pool) as connection:
            return await conversations.find(connection, request_id)

    async def keep_conversation(self, request_id: str, conversation: Conversation) -> None:
        """Remember where a request is told of, and what its card shows."""
        async with transaction(self._pool) as connection:
            await conversations.keep(connection, request_id, conversation)

    async def keep_untold(self, event_id: int) -> None:
        """Remember that an event has still to be told, whatever happens to this process."""
        async with transaction(self._pool) as connection:
            await conversations.keep_untold(connection, event_id)

    async def untold_events(self, request_id: str | None) -> list[Event]:
        """Return what has still to be told of a request (None: of the catalog), in order."""
        async with transaction(self._pool) as connection:
            return [public(row) for row in await conversations.untold(connection, request_id)]

    async def untold_requests(self) -> Sequence[str | None]:
        """Return the requests (None: the catalog) of which something has still to be told."""
        async with transaction(self._pool) as connection:
            return await conversations.untold_requests(connection)

    async def told_event(self, event_id: int) -> None:
        """Remember that an event was told, so that nobody tells it again."""
        async with transaction(self._pool) as connection:
            await conversations.told(connection, event_id)

    async def park_untold(self, consumer: str, event_id: int, error: str) -> None:
        """Put an event aside, visibly, that its consumer cannot tell."""
        async with transaction(self._pool) as connection:
            await conversations.park_untold(connection, consumer, event_id, error)

    async def conversations_behind(self) -> list[str]:
        """Return the requests whose cards may show less than is known."""
        async with transaction(self._pool) as connection:
            return await conversations.behind(connection)
