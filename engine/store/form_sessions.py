"""Forms under way: what Slack's private_metadata cannot hold, kept for a day.

A row belongs to one person and is about one subject (`CatalogItem:postgres-database`). `state` is
what was entered, without secrets; these stand in `ciphertext`, sealed by the caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.store import rows
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
    kept = {"user_id": user_id, "subject": subject, "state": rows.jsonb(state)}
    session_id = await rows.value(
        connection, _sql.insert_form_session, {**kept, "ciphertext": ciphertext}
    )
    return str(session_id)


async def update(
    connection: Connection,
    session_id: str,
    user_id: str,
    state: Mapping[str, Any],
    ciphertext: str | None = None,
) -> bool:
    """Keep what was entered since; False where the form expired or is somebody else's."""
    kept = {"id": session_id, "user_id": user_id, "state": rows.jsonb(state)}
    found = await rows.value(
        connection, _sql.update_form_session, {**kept, "ciphertext": ciphertext}
    )
    return found is not None


async def find(connection: Connection, session_id: str, user_id: str) -> FormSession | None:
    """Return a person's form by its id."""
    return await rows.row_or_none(
        connection,
        _sql.find_form_session,
        {"id": session_id, "user_id": user_id},
        FormSession,
    )


async def latest(connection: Connection, user_id: str, subject: str) -> FormSession | None:
    """Return the form about `subject` that the person touched last."""
    return await rows.row_or_none(
        connection,
        _sql.latest_form_session,
        {"user_id": user_id, "subject": subject},
        FormSession,
    )


async def delete(connection: Connection, user_id: str, subject: str) -> None:
    """Forget every form of the person about `subject`."""
    await rows.run(connection, _sql.delete_form_sessions, {"user_id": user_id, "subject": subject})


async def expire(connection: Connection) -> int:
    """Remove the forms that nobody came back to; returns how many."""
    return int(await rows.value(connection, _sql.expire_form_sessions, {}))
