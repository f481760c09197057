"""Where a request is told of: the channel, the thread, the card, and what the card shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.store import rows
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


async def told(connection: Connection, request_id: str, event_id: int) -> None:
    """Remember that the thread of a request (external id) was told an event."""
    await rows.run(
        connection, _sql.told_event, {"request_id": request_id, "event_id": event_id}
    )


async def behind(connection: Connection) -> list[str]:
    """Return the external ids of requests whose card may show less than is known."""
    return await rows.values(connection, _sql.conversations_behind, {})
