"""Forms under way: what Slack's private_metadata cannot hold, kept for a day.

A row belongs to one person and is about one subject (`CatalogItem:postgres-database`). `state` is
what was entered, without secrets; these stand in `ciphertext`, sealed by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from engine.store.pool import Connection
from engine.store.queries import load

_sql = load("form_sessions")


@dataclass(frozen=True, slots=True)
class FormSession:
    """One form under way."""

    id: str
    user_id: str
    subject: str
    state: Mapping[str, Any]
    ciphertext: str | None
    updated_at: datetime


async def insert(
    connection: Connection,
    user_id: str,
    subject: str,
    state: Mapping[str, Any],
    ciphertext: str | None = None,
) -> str:
    """Keep a new form; returns its id."""
    cursor = await connection.execute(
        _sql.insert_form_session,
        {
            "user_id": user_id,
            "subject": subject,
            "state": Jsonb(state),
            "ciphertext": ciphertext,
        },
    )
    (session_id,) = await cursor.fetchone() or ("",)
    return str(session_id)


async def update(
    connection: Connection,
    session_id: str,
    user_id: str,
    state: Mapping[str, Any],
    ciphertext: str | None = None,
) -> bool:
    """Keep what was entered since; False where the form expired or is somebody else's."""
    cursor = await connection.execute(
        _sql.update_form_session,
        {"id": session_id, "user_id": user_id, "state": Jsonb(state), "ciphertext": ciphertext},
    )
    return await cursor.fetchone() is not None


async def find(connection: Connection, session_id: str, user_id: str) -> FormSession | None:
    """Return a person's form by its id."""
    return await _one(
        connection, _sql.find_form_session, {"id": session_id, "user_id": user_id}
    )


async def latest(connection: Connection, user_id: str, subject: str) -> FormSession | None:
    """Return the form about `subject` that the person touched last."""
    return await _one(
        connection, _sql.latest_form_session, {"user_id": user_id, "subject": subject}
    )


async def delete(connection: Connection, user_id: str, subject: str) -> None:
    """Forget every form of the person about `subject`."""
    await connection.execute(
        _sql.delete_form_sessions, {"user_id": user_id, "subject": subject}
    )


async def expire(connection: Connection) -> int:
    """Remove the forms that nobody came back to; returns how many."""
    cursor = await connection.execute(_sql.expire_form_sessions, {})
    (count,) = await cursor.fetchone() or (0,)
    return int(count)


async def _one(
    connection: Connection, query: str, values: Mapping[str, Any]
) -> FormSession | None:
    async with connection.cursor(row_factory=class_row(FormSession)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchone()
