"""Events for those who tell of them, and what they keep so that each is told."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

from engine.dispatch.consumers import Handler, OnLead, consume, public
from engine.errors import NotFound
from engine.facade.core import Core, named, require
from engine.people.permissions import Action
from engine.results import Actor, Event, ParkedEvent
from engine.store import audit, conversations, events, questions
from engine.store.conversations import Conversation
from engine.store.pool import Connection, transaction
from engine.store.questions import Question

MOST_PARKED: Final = 1000
"""Parked events that are listed at most."""


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

    async def reached(self, event_id: int) -> Collection[str]:
        """Return who was written to about an event that has still to be told to others."""
        async with transaction(self._pool) as connection:
            return await conversations.reached(connection, event_id)

    async def note_reached(self, event_id: int, user_id: str) -> None:
        """Remember that somebody was written to about an event, so that nobody does so again."""
        async with transaction(self._pool) as connection:
            await conversations.note_reached(connection, event_id, user_id)

    async def park_untold(self, consumer: str, event_id: int, error: str) -> None:
        """Put an event aside, visibly, that its consumer cannot tell."""
        async with transaction(self._pool) as connection:
            await conversations.park_untold(connection, consumer, event_id, error)

    async def keep_question(self, request_id: str, question: Question) -> None:
        """Remember a message that asks for an approval of a request (full id)."""
        async with transaction(self._pool) as connection:
            await questions.keep(connection, request_id, question)

    async def questions(self, request_id: str) -> Sequence[Question]:
        """Return the messages that ask for approvals of a request (full id) and have buttons still."""
        async with transaction(self._pool) as connection:
            return await questions.of_request(connection, request_id)

    async def forget_question(self, question: Question) -> None:
        """The message's buttons are gone, or the message is."""
        async with transaction(self._pool) as connection:
            await questions.forget(connection, question)

    async def conversations_behind(
        self, channel: str | None = None, limit: int = 1000
    ) -> list[str]:
        """Return the requests whose cards (in one channel) may show less than is known."""
        async with transaction(self._pool) as connection:
            return await conversations.behind(connection, channel, limit)

    async def parked_events(self, actor: Actor, limit: int = 100) -> Sequence[ParkedEvent]:
        """Return what could not be told, the oldest first."""

        async def read(connection: Connection) -> Sequence[ParkedEvent]:
            require(actor, Action.PARKED_EVENTS)
            return await events.parked(connection, min(max(limit, 1), MOST_PARKED))

        return await self._transact(read, actor)

    async def retry_parked_events(
        self, actor: Actor, ids: Collection[int] | None = None
    ) -> Sequence[int]:
        """Have events (None: all) told once more by whoever tells them now; return which.

        Raises NotFound where one of them is not put aside; then none is told again.
        """

        async def retry(connection: Connection) -> Sequence[int]:
            require(actor, Action.PARKED_EVENTS)
            found = _all_of(ids, await events.retry_parked(connection, ids))
            await _audited(connection, actor, {"retried": list(found)})
            return found

        return await self._transact(retry, actor)

    async def discard_parked_events(
        self, actor: Actor, ids: Collection[int] | None = None
    ) -> Sequence[int]:
        """Give up telling events (None: all); return which. Raises as `retry_parked_events`."""

        async def discard(connection: Connection) -> Sequence[int]:
            require(actor, Action.PARKED_EVENTS)
            found = _all_of(ids, await events.discard_parked(connection, ids))
            await _audited(connection, actor, {"discarded": list(found)})
            return found

        return await self._transact(discard, actor)


def _all_of(wanted: Collection[int] | None, found: Sequence[int]) -> Sequence[int]:
    missing = sorted(set(wanted or ()) - set(found))
    if missing:
        named_ids = ", ".join(map(str, missing))
        raise NotFound(
            f"These events are not put aside: {named_ids}",
            do="`pao events parked` lists those that are",
        )
    return found


async def _audited(connection: Connection, actor: Actor, after: object) -> None:
    await audit.write(connection, named(actor), Action.PARKED_EVENTS.value, after=after)
