"""Where a request is told of (channel, thread, card, what the card shows), and what is still untold."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.foreign_json import clean_text
from engine.store import rows
from engine.store.events import EventRow
from engine.store.pool import Connection
from engine.store.queries import load

_sql = load("conversations")


@dataclass(frozen=True, slots=True)
class Conversation:
    """The place of one request in Slack.

    `card_hash` is the hash of what the card shows; `told_events` are the ids of the events that the
    thread was told last.
    """

    channel: str
    thread_ts: str
    card_ts: str
    card_hash: str | None = None
    told_events: Sequence[int] = ()


async def find(connection: Connection, request_id: str) -> Conversation | None:
    """Return the place of a request (external id), or None where it has none yet."""
    return await rows.row_or_none(
        connection, _sql.find_conversation, {"request_id": request_id}, Conversation
    )


async def keep(connection: Connection, request_id: str, conversation: Conversation) -> None:
    """Remember the place of a request (external id); of an unknown one nothing is kept."""
    await rows.run(
        connection,
        _sql.keep_conversation,
        {
            "request_id": request_id,
            "channel": conversation.channel,
            "thread_ts": conversation.thread_ts,
            "card_ts": conversation.card_ts,
            "card_hash": conversation.card_hash,
        },
    )


async def keep_untold(connection: Connection, event_id: int) -> None:
    """Remember that an event has still to be told; of one that was told nothing is kept."""
    await rows.run(connection, _sql.keep_untold, {"event_id": event_id})


async def untold(connection: Connection, request_id: str | None) -> Sequence[EventRow]:
    """Return what has still to be told of a request (external id; None: of the catalog), in order."""
    return await rows.rows(connection, _sql.untold_events, {"request_id": request_id}, EventRow)


async def untold_requests(connection: Connection) -> Sequence[str | None]:
    """Return the external ids of the requests of which something has still to be told.

    None stands for the catalog; who waits longest comes first.
    """
    return await rows.values(connection, _sql.untold_requests, {})


async def told(connection: Connection, event_id: int) -> None:
    """Remember that an event was told."""
    await rows.run(connection, _sql.told_event, {"event_id": event_id})


async def reached(connection: Connection, event_id: int) -> list[str]:
    """Return who was written to about an event that has still to be told to others."""
    return await rows.values(connection, _sql.reached, {"event_id": event_id})


async def note_reached(connection: Connection, event_id: int, user_id: str) -> None:
    """Remember that somebody was written to about an event."""
    await rows.run(connection, _sql.note_reached, {"event_id": event_id, "user_id": user_id})


async def park_untold(connection: Connection, consumer: str, event_id: int, error: str) -> None:
    """Put an event aside that cannot be told."""
    kept = {"consumer": consumer, "event_id": event_id, "error": clean_text(error)}
    await rows.run(connection, _sql.park_untold, kept)


async def behind(connection: Connection, channel: str | None, limit: int) -> list[str]:
    """Return the external ids of requests whose card, in any or one channel, may be behind."""
    return await rows.values(
        connection, _sql.conversations_behind, {"channel": channel, "limit": limit}
    )
