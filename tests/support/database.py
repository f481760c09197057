"""One PostgreSQL for a test run, and a fresh, migrated database for each test.

The server is the embedded one, without fsync, in a folder that the run's first process makes and
removes. All xdist workers share it; the first to come makes the template database under a lock.
"""

from __future__ import annotations

import asyncio
import fcntl
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from engine.store.embedded import THROW_AWAY, EmbeddedServer
from engine.store.migrate import migrate

TEMPLATE = "pao_template"
OPTIONS = (*THROW_AWAY, "max_connections=300", "shared_buffers=64MB")


def test_server(folder: Path) -> EmbeddedServer:
    """The server of this test run; `folder` is the run's own."""
    return EmbeddedServer(folder, options=OPTIONS)


test_server.__test__ = False  # type: ignore[attr-defined]


def with_template(folder: Path) -> str:
    """Start the run's server, make the migrated template database once, and return the DSN."""
    admin = test_server(folder).start()
    with (folder / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "template.made").exists():
            _execute(admin, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
            asyncio.run(migrate(for_database(admin, TEMPLATE)))
            (folder / "template.made").touch()
    return admin


@contextmanager
def fresh_database(admin: str, *, template: str = TEMPLATE) -> Iterator[str]:
    """Make a database from the template for the block's time, and give its DSN.

    Copying files is six times faster here than writing them to the log.
    """
    name = f"test_{secrets.token_hex(6)}"
    _execute(
        admin,
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
            sql.Identifier(name), sql.Identifier(template)
        ),
    )
    try:
        yield for_database(admin, name)
    finally:
        _execute(admin, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def for_database(dsn: str, name: str) -> str:
    """Return the URI `dsn` with another database in it."""
    parts = conninfo_to_dict(dsn)
    return f"postgresql://{parts['user']}:{parts['password']}@/{name}?host={parts['host']}"


def _execute(dsn: str, statement: sql.Composed) -> None:
    with psycopg.connect(make_conninfo(dsn), autocommit=True) as connection:
        connection.execute(statement)
