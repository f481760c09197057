"""The schema: numbered migrations, then the functions, all under one lock.

`sql/migrations/NNNN_name.sql` are applied in the order of their numbers, each in a transaction of
its own together with its row in schema_migrations, so a process that dies leaves a migration
either done and recorded or not begun. A released file is never edited: a changed checksum is an
error. A name may begin with `pre` or `post` (`0007_pre_add_owner.sql`): `post` migrations contract
what old code still needs, and wait until every process runs the new code (`Phase`).

`sql/functions/*.sql` (one function a file, CREATE OR REPLACE) are applied after the migrations
when their checksum changed, in one transaction, and may name each other in any order.

Any number of processes may migrate at once: an advisory lock lets one through, and the others then
find nothing left to do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.resources.abc import Traversable
from typing import Literal

import psycopg
import structlog
from psycopg.rows import class_row

import sql
from engine.errors import PaoError, Unavailable
from engine.store import queries
from engine.store.pool import Connection, connect, driver_errors

Phase = Literal["all", "pre"]
"""`pre`: what must stand before new code starts, so `post` migrations are left pending."""

State = Literal["applied", "pending", "changed", "unknown"]
"""`unknown`: applied here by a newer release, which has a file that this one does not have."""

LOCK_SPACE = 7_265_847
"""The first integer of every advisory lock of PAO; the second names what is locked."""

MIGRATION_LOCK = 1

UNHURRIED = {"statement_timeout": "0", "lock_timeout": "60s"}
"""A long migration is no statement gone wild; a wait for a lock still ends."""

_FILE = re.compile(r"(?P<version>\d{4})_(?P<name>[a-z0-9_]+)\.sql")

log = structlog.get_logger(__name__)


class SchemaChanged(PaoError):
    """The database and this release's files contradict each other."""

    default_code = "schema_changed"
    default_kind = "permanent"


@dataclass(frozen=True, slots=True)
class Script:
    """A file of SQL with the checksum of its text."""

    version: int
    name: str
    text: str
    checksum: str

    @property
    def is_post(self) -> bool:
        """Whether old code would break by it."""
        return self.name.startswith("post_")


@dataclass(frozen=True, slots=True)
class Applied:
    """A row of schema_migrations."""

    version: int
    name: str
    checksum: str
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """One line of `pao db status`."""

    version: int
    name: str
    state: State
    applied_at: datetime | None


async def migrate(dsn: str, phase: Phase = "all", root: Traversable = sql.ROOT) -> list[str]:
    """Apply what is pending and return the names of what was applied, in order.

    `root`: the folder with `migrations` and `functions`.
    Raises SchemaChanged when an applied file was edited or the database is newer than this
    release, Unavailable when the database cannot be reached or stays locked for a minute.
    """
    connection = await connect(dsn, "pao-migrate", UNHURRIED)
    with driver_errors():
        async with connection:
            return await _migrate(connection, phase, root)


async def status(dsn: str, root: Traversable = sql.ROOT) -> list[MigrationStatus]:
    """Return the state of every migration that this release or the database knows."""
    connection = await connect(dsn, "pao-status")
    with driver_errors():
        async with connection:
            applied = await _applied(connection)
    return compare(migrations(root), applied)


async def require_migrated(connection: Connection) -> None:
    """Raise Unavailable, naming `pao db migrate`, when code of this release cannot run yet."""
    applied = await _applied(connection)
    pending = [script.name for script in migrations() if script.version not in applied]
    if any(not name.startswith("post_") for name in pending):
        raise Unavailable(
            "The database's schema is not up to date",
            f"{len(pending)} migrations are pending, the first is {pending[0]}",
            "Run `pao db migrate`",
            code="schema_not_migrated",
        )


def migrations(root: Traversable = sql.ROOT) -> list[Script]:
    """Return the files of `sql/migrations` in order; ValueError for a bad or repeated number."""
    scripts: dict[int, Script] = {}
    for file in _sql_files(root / "migrations"):
        match = _FILE.fullmatch(file.name)
        if match is None:
            raise ValueError(f"sql/migrations/{file.name} is not named NNNN_name.sql")
        script = _script(file, int(match["version"]), match["name"])
        if script.version in scripts:
            raise ValueError(f"sql/migrations has two files numbered {script.version:04}")
        scripts[script.version] = script
    return [scripts[version] for version in sorted(scripts)]


def compare(scripts: Sequence[Script], applied: Mapping[int, Applied]) -> list[MigrationStatus]:
    """Hold the files against the rows of schema_migrations."""
    lines = [_status(script, applied.get(script.version)) for script in scripts]
    known = {script.version for script in scripts}
    lines += [
        MigrationStatus(row.version, row.name, "unknown", row.applied_at)
        for row in applied.values()
        if row.version not in known
    ]
    return sorted(lines, key=lambda line: line.version)


def _status(script: Script, row: Applied | None) -> MigrationStatus:
    if row is None:
        return MigrationStatus(script.version, script.name, "pending", None)
    state: State = "applied" if row.checksum == script.checksum else "changed"
    return MigrationStatus(script.version, script.name, state, row.applied_at)


async def _migrate(connection: Connection, phase: Phase, root: Traversable) -> list[str]:
    sql_of = queries.load("migrate")
    await connection.execute(sql_of.lock, {"space": LOCK_SPACE, "key": MIGRATION_LOCK})
    applied = await _applied(connection)
    scripts = migrations(root)
    _refuse_contradictions(compare(scripts, applied))
    done: list[str] = []
    for script in scripts:
        if script.version in applied or (phase == "pre" and script.is_post):
            continue
        await _apply(connection, script)
        done.append(f"{script.version:04}_{script.name}")
    return done + await _replace_functions(connection, _functions(root))


def _refuse_contradictions(lines: Sequence[MigrationStatus]) -> None:
    for line in lines:
        where = f"{line.version:04}_{line.name}"
        if line.state == "changed":
            raise SchemaChanged(
                f"The migration {where} was changed after it was applied",
                "its checksum is not the one in schema_migrations",
                "Restore the file as it was released and put the change into a new migration",
            )
        if line.state == "unknown":
            raise SchemaChanged(
                "The database is newer than this release",
                f"it has the migration {where}",
                "Use that release, or a later one",
            )


async def _apply(connection: Connection, script: Script) -> None:
    async with connection.transaction():
        await _run(connection, script)
        await connection.execute(
            queries.load("migrate").record,
            {"version": script.version, "name": script.name, "checksum": script.checksum},
        )
    log.info("migration_applied", migration=script.name)


async def _replace_functions(connection: Connection, scripts: Sequence[Script]) -> list[str]:
    sql_of = queries.load("migrate")
    rows = await (await connection.execute(sql_of.functions, {})).fetchall()
    applied: dict[str, str] = dict(rows)
    changed = [s for s in scripts if applied.get(s.name) != s.checksum]
    if changed:
        async with connection.transaction():
            await connection.execute(sql_of.trust_function_order, {})
            for script in changed:
                await _run(connection, script)
                await connection.execute(
                    sql_of.record_function, {"name": script.name, "checksum": script.checksum}
                )
    return [f"functions/{script.name}" for script in changed]


async def _run(connection: Connection, script: Script) -> None:
    """Run a file as it is: without parameters, so it may hold many statements and bare `%`."""
    with _named(script):
        await connection.execute(script.text.encode())


@contextmanager
def _named(script: Script) -> Iterator[None]:
    try:
        yield
    except psycopg.DatabaseError as error:
        raise PaoError(
            f"The SQL file {script.name}.sql failed and was rolled back",
            str(error).strip(),
            "Mend what it names, then run `pao db migrate` again",
            code="migration_failed",
        ) from error


async def _applied(connection: Connection) -> dict[int, Applied]:
    sql_of = queries.load("migrate")
    row = await (await connection.execute(sql_of.is_tracked, {})).fetchone()
    if row is None or not row[0]:
        return {}
    async with connection.cursor(row_factory=class_row(Applied)) as cursor:
        await cursor.execute(sql_of.applied, {})
        return {row.version: row for row in await cursor.fetchall()}


def _functions(root: Traversable) -> list[Script]:
    files = _sql_files(root / "functions")
    return [_script(file, 0, file.name.removesuffix(".sql")) for file in files]


def _sql_files(folder: Traversable) -> list[Traversable]:
    if not folder.is_dir():
        return []
    files = (file for file in folder.iterdir() if file.name.endswith(".sql"))
    return sorted(files, key=lambda file: file.name)


def _script(file: Traversable, version: int, name: str) -> Script:
    text = file.read_text("utf-8")
    return Script(version, name, text, hashlib.sha256(text.encode()).hexdigest())
