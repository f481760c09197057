from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import PaoError, Unavailable
from engine.store import migrate
from engine.store.migrate import SchemaChanged
from engine.store.pool import connect

Files = Callable[..., Path]
FIRST = Path(migrate.sql.__file__).parent / "migrations" / "0000_migrations.sql"


@pytest.fixture
def sql_root(tmp_path: Path) -> Files:
    """A factory: files by their path under a folder that stands for `sql/`."""

    def write(**files: str) -> Path:
        migrations, functions = tmp_path / "migrations", tmp_path / "functions"
        migrations.mkdir(exist_ok=True)
        functions.mkdir(exist_ok=True)
        (migrations / FIRST.name).write_text(FIRST.read_text())
        for name, text in files.items():
            folder = migrations if name.startswith("m") else functions
            (folder / f"{name[1:]}.sql").write_text(text)
        return tmp_path

    return write


async def scalar(dsn: str, question: str) -> object:
    async with await connect(dsn) as connection:
        row = await (await connection.execute(question.encode())).fetchone()
        return row and row[0]


async def states(dsn: str, root: Path) -> dict[int, str]:
    return {line.version: line.state for line in await migrate.status(dsn, root)}


async def test_the_released_schema_applies_and_is_then_up_to_date(empty_dsn: str) -> None:
    assert {line.state for line in await migrate.status(empty_dsn)} == {"pending"}
    assert await migrate.migrate(empty_dsn)
    assert {line.state for line in await migrate.status(empty_dsn)} == {"applied"}
    assert await migrate.migrate(empty_dsn) == []


async def test_applies_what_is_new_in_order(empty_dsn: str, sql_root: Files) -> None:
    root = sql_root(m0001_one="CREATE TABLE a (n int)")
    assert await migrate.migrate(empty_dsn, root=root) == ["0000_migrations", "0001_one"]
    root = sql_root(m0002_two="ALTER TABLE a ADD m int", m0003_three="ALTER TABLE a DROP m")
    assert await migrate.migrate(empty_dsn, root=root) == ["0002_two", "0003_three"]


async def test_an_edited_migration_is_an_error(empty_dsn: str, sql_root: Files) -> None:
    root = sql_root(m0001_one="CREATE TABLE a (n int)")
    await migrate.migrate(empty_dsn, root=root)
    sql_root(m0001_one="CREATE TABLE a (n bigint)", m0002_two="CREATE TABLE b (n int)")
    with pytest.raises(SchemaChanged, match="0001_one was changed after it was applied"):
        await migrate.migrate(empty_dsn, root=root)
    assert await states(empty_dsn, root) == {0: "applied", 1: "changed", 2: "pending"}


async def test_an_older_release_does_not_touch_a_newer_database(
    empty_dsn: str, sql_root: Files
) -> None:
    root = sql_root(m0001_one="CREATE TABLE a (n int)")
    await migrate.migrate(empty_dsn, root=root)
    (root / "migrations/0001_one.sql").unlink()
    with pytest.raises(SchemaChanged, match="newer than this release"):
        await migrate.migrate(empty_dsn, root=root)
    assert await states(empty_dsn, root) == {0: "applied", 1: "unknown"}


async def test_a_migration_that_fails_leaves_nothing_and_is_named(
    empty_dsn: str, sql_root: Files
) -> None:
    root = sql_root(m0001_good="CREATE TABLE a (n int)", m0002_bad="CREATE TABLE b (); SELECT 1/0")
    with pytest.raises(PaoError, match=r"bad\.sql failed and was rolled back: division by zero"):
        await migrate.migrate(empty_dsn, root=root)
    assert await states(empty_dsn, root) == {0: "applied", 1: "applied", 2: "pending"}
    assert await scalar(empty_dsn, "SELECT to_regclass('b')") is None


async def test_migrators_at_the_same_time_apply_each_file_once(
    empty_dsn: str, sql_root: Files
) -> None:
    root = sql_root(m0001_one="CREATE TABLE a (n int)", fdouble=DOUBLE)
    done = await asyncio.gather(*(migrate.migrate(empty_dsn, root=root) for _ in range(4)))
    assert sorted(done, key=len) == [
        [],
        [],
        [],
        ["0000_migrations", "0001_one", "functions/double"],
    ]


DOUBLE = "CREATE OR REPLACE FUNCTION double(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2'"


async def test_a_function_is_replaced_when_its_file_changes(
    empty_dsn: str, sql_root: Files
) -> None:
    root = sql_root(fdouble=DOUBLE.replace("* 2", "* 3"))
    await migrate.migrate(empty_dsn, root=root)
    sql_root(fdouble=DOUBLE)
    assert await migrate.migrate(empty_dsn, root=root) == ["functions/double"]
    assert await scalar(empty_dsn, "SELECT double(21)") == 42
    assert await migrate.migrate(empty_dsn, root=root) == []


async def test_functions_may_name_each_other_in_any_order(empty_dsn: str, sql_root: Files) -> None:
    early = "CREATE OR REPLACE FUNCTION early() RETURNS int LANGUAGE sql AS 'SELECT late()'"
    late = "CREATE OR REPLACE FUNCTION late() RETURNS int LANGUAGE sql AS 'SELECT 7'"
    await migrate.migrate(empty_dsn, root=sql_root(fa_early=early, fb_late=late))
    assert await scalar(empty_dsn, "SELECT early()") == 7


async def test_the_phase_pre_leaves_out_what_old_code_would_not_survive(
    empty_dsn: str, sql_root: Files
) -> None:
    root = sql_root(m0001_pre_add="CREATE TABLE a (n int)", m0002_post_drop="DROP TABLE a")
    assert "0002_post_drop" not in await migrate.migrate(empty_dsn, "pre", root)
    assert await migrate.migrate(empty_dsn, "all", root) == ["0002_post_drop"]


@pytest.mark.parametrize("name", ["m1_short", "m0001-dash", "mABCD_letters"])
def test_a_file_that_is_not_numbered_is_refused(name: str, sql_root: Files) -> None:
    with pytest.raises(ValueError, match="NNNN_name"):
        migrate.migrations(sql_root(**{name: ""}))


def test_two_files_of_one_number_are_refused(sql_root: Files) -> None:
    with pytest.raises(ValueError, match="two files numbered 0001"):
        migrate.migrations(sql_root(m0001_one="", m0001_two=""))


async def test_code_refuses_a_database_that_was_never_migrated(empty_dsn: str) -> None:
    async with await connect(empty_dsn) as connection:
        with pytest.raises(Unavailable, match="Run `pao db migrate`"):
            await migrate.require_migrated(connection)


async def test_code_takes_a_migrated_database(dsn: str) -> None:
    async with await connect(dsn) as connection:
        assert await migrate.require_migrated(connection) is None
