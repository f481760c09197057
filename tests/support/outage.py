"""A database that is away for a while."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg.conninfo import conninfo_to_dict

from engine.store.pool import connect


@asynccontextmanager
async def database_away(server_dsn: str, dsn: str) -> AsyncIterator[None]:
    """Let nobody into the database, and throw out who is in it, for the block's time."""
    name = conninfo_to_dict(dsn)["dbname"]
    admin = await connect(server_dsn, "test")
    await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
    )
    try:
        yield
    finally:
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
        await admin.close()
