from __future__ import annotations

import secrets
import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from bot.database import Database, kept_key
from bot.settings import load
from engine.errors import Unavailable


@pytest.fixture
def data_dir(run_folder: Path, server_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data directory of the settings, stopped and removed afterwards."""
    folder = run_folder / f"bot-{secrets.token_hex(4)}"
    monkeypatch.setenv("PAO_DATA_DIR", str(folder))
    yield folder
    database = Database(load())
    if database.embedded is not None:
        database.embedded.stop()
    shutil.rmtree(folder, ignore_errors=True)


async def test_the_embedded_database_is_migrated_and_has_a_key(data_dir: Path) -> None:
    url, keys = await Database(load()).ready()
    with psycopg.connect(url) as connection:
        assert connection.execute(b"SELECT count(*) FROM service_requests").fetchone() == (0,)
    assert len(keys) == 1
    assert (await Database(load()).ready())[1] == keys


async def test_the_last_holder_stops_it(data_dir: Path) -> None:
    database = Database(load())
    async with database.held() as (url, _):
        psycopg.connect(url).close()
    assert database.embedded is not None
    assert not database.embedded.is_running()


async def test_given_keys_come_before_a_made_one(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAO_ENCRYPTION_KEYS", "one,two")
    assert (await Database(load()).ready())[1] == ("one", "two")
    assert not (data_dir / "encryption.key").exists()


async def test_ones_own_database_is_not_touched_and_gets_no_key(empty_dsn: str) -> None:
    database = Database(load(database_url=empty_dsn))
    assert await database.ready() == (empty_dsn, ())
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute(b"SELECT to_regclass('schema_migrations')").fetchone() == (None,)


def test_whoever_comes_first_makes_the_key_for_all(tmp_path: Path) -> None:
    path = tmp_path / "encryption.key"
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: kept_key(path), range(8)))
    assert len(keys) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["encryption.key"]


def test_a_key_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        kept_key(tmp_path / "missing" / "encryption.key")
