from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.cli import pao


@pytest.fixture
def env(run_folder: Path, server_dsn: str) -> Iterator[dict[str, str]]:
    """Settings with a data directory of the test's own."""
    folder = run_folder / f"cli-{secrets.token_hex(4)}"
    settings = {"PAO_DATA_DIR": str(folder)}
    yield settings
    pao("db", "stop", env=settings)
    shutil.rmtree(folder, ignore_errors=True)


def test_url_starts_a_migrated_database_and_prints_its_address_alone(env: dict[str, str]) -> None:
    answer = pao("db", "url", env=env)
    assert (answer.code, answer.out.count("\n")) == (0, 1)
    with psycopg.connect(answer.out.strip()) as connection:
        assert connection.execute(b"SELECT count(*) FROM catalog_items").fetchone() == (0,)


def test_the_server_outlives_short_commands_until_it_is_stopped(env: dict[str, str]) -> None:
    first, second = pao("db", "url", env=env), pao("db", "url", env=env)
    assert first.out == second.out
    assert pao("db", "stop", "--output", "json", env=env).json == {"stopped": True}
    assert pao("db", "stop", "--output", "json", env=env).json == {"stopped": False}
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first.out.strip())


def test_the_embedded_database_is_up_to_date_by_itself(env: dict[str, str]) -> None:
    status = pao("db", "status", "--output", "json", env=env)
    assert status.code == 0
    assert {line["state"] for line in status.json} == {"applied"}
    assert pao("db", "migrate", env=env).out == "The schema is up to date.\n"


def test_ones_own_database_is_migrated_by_command_only(empty_dsn: str) -> None:
    env = {"PAO_DATABASE_URL": empty_dsn}
    before = pao("db", "status", env=env)
    assert before.code == 3
    assert "pao db migrate" in before.err
    assert "0001_catalog" in pao("db", "migrate", "--output", "json", env=env).out
    assert pao("db", "status", env=env).code == 0
    assert pao("db", "url", env=env).out == f"{empty_dsn}\n"


def test_ones_own_database_is_not_stopped(dsn: str) -> None:
    answer = pao("db", "stop", "--database-url", dsn)
    assert answer.code == 0
    assert "not the embedded one" in answer.out


def test_a_data_directory_of_another_version_is_told(env: dict[str, str]) -> None:
    pao("db", "url", env=env)
    pao("db", "stop", env=env)
    (Path(env["PAO_DATA_DIR"]) / "postgres/data/PG_VERSION").write_text("12\n")
    answer = pao("db", "url", env=env)
    assert answer.code == 3
    assert "PostgreSQL 12" in answer.err
    assert "Traceback" not in answer.err


def test_doctor_tells_what_is_there(env: dict[str, str]) -> None:
    answer = pao("doctor", "--output", "json", env=env)
    found = {line["check"]: line["result"] for line in answer.json}
    assert answer.code == 0
    assert found["database"] == "ok"
    assert found["slack"] == "warning"


def test_doctor_names_a_tool_that_is_missing(env: dict[str, str]) -> None:
    answer = pao("doctor", env={**env, "PAO_TERRAFORM_BIN": "/nowhere/terraform"})
    assert answer.code == 1
    assert "/nowhere/terraform is not on PATH" in answer.out
