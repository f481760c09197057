"""Webhook deliveries that were taken, so that one that comes again does nothing."""

from __future__ import annotations

from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import value

_sql = queries.load("webhooks")


async def remember(connection: Connection, source: str, delivery: str) -> bool:
    """Remember a delivery; False where it was there already."""
    parameters = {"id": f"{source}:{delivery}", "source": source}
    return bool(await value(connection, _sql.remember_delivery, parameters))
