"""What waits for a person: approvals that are due to them, tickets and failures of their requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.requests.views import summary
from engine.results import Actor, RequestSummary
from engine.store import requests
from engine.store.pool import Connection

MOST: Final = 50


async def waiting_for(connection: Connection, actor: Actor) -> Sequence[RequestSummary]:
    """Return the requests that wait for the person, the oldest first, at most `MOST`."""
    if not actor.is_active:
        return []
    found = await requests.waiting_for(connection, actor.user_id, actor.teams, MOST)
    return [summary(row) for row in found]
