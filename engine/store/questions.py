"""Messages that ask for an approval, so that their buttons can be taken away once it is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.foreign_json import clean_text
from engine.store import rows
from engine.store.pool import Connection
from engine.store.queries import load

_sql = load("questions")


@dataclass(frozen=True, slots=True)
class Question:
    """A message with Approve and Reject: of the approval of `step`, or (None) of the request's own.

    `markup` is what it says; `is_direct` tells a letter to one person from a reply in the thread.
    """

    channel: str
    ts: str
    step: str | None
    markup: str
    is_direct: bool


async def keep(connection: Connection, request_id: str, question: Question) -> None:
    """Remember a message that asks; `request_id` is the external id, of an unknown one nothing is kept."""
    await rows.run(
        connection,
        _sql.keep_question,
        {
            "request_id": request_id,
            "channel": question.channel,
            "ts": question.ts,
            "step": question.step,
            "markup": clean_text(question.markup),
            "is_direct": question.is_direct,
        },
    )


async def of_request(connection: Connection, request_id: str) -> Sequence[Question]:
    """Return the messages that ask for approvals of a request (external id) and have buttons still."""
    return await rows.rows(connection, _sql.questions_of, {"request_id": request_id}, Question)


async def forget(connection: Connection, question: Question) -> None:
    """The message's buttons are gone, or the message is."""
    gone = {"channel": question.channel, "ts": question.ts}
    await rows.run(connection, _sql.forget_question, gone)
