"""Tests of what the database does by itself: functions, triggers, constraints.

Most of them need no commit, so they share one database and each is rolled back; a test that
connects several times takes `committed`, on a database of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from engine.store.pool import Connection, connect
from tests.support.database import fresh_database
from tests.support.founding_rows import Rows


@pytest.fixture(scope="session")
def shared_dsn(server_dsn: str) -> Iterator[str]:
    """A migrated database in which nothing is ever committed."""
    with fresh_database(server_dsn) as address:
        yield address


@pytest.fixture
async def rows(shared_dsn: str) -> AsyncIterator[Rows]:
    """A writer and reader of rows, in a transaction that is rolled back in the end."""
    connection = await connect(shared_dsn, "test")
    async with connection, connection.transaction(force_rollback=True):
        yield Rows(connection)


@pytest.fixture
async def committed(connection: Connection) -> Rows:
    """A writer and reader of rows in the test's own database; each statement is committed."""
    return Rows(connection)
