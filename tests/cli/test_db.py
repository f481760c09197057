from __future__ import annotations

import psycopg
import pytest

from tests.support.pao import Pao


def test_url_starts_a_migrated_database_and_prints_its_address_alone(pao: Pao) -> None:
    answer = pao("db", "url")
    assert (answer.code, answer.out.count("\n")) == (0, 1)
    with psycopg.connect(answer.out.strip()) as connection:
        assert connection.execute(b"SELECT count(*) FROM catalog_items").fetchone() == (0,)


def test_the_server_outlives_short_commands_until_it_is_stopped(pao: Pao) -> None:
    first, second = pao("db", "url"), pao("db", "url")
    assert first.out == second.out
    assert pao("db", "stop", "--output", "json").json == {"stopped": True}
    assert pao("db", "stop", "--output", "json").json == {"stopped": False}
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first.out.strip())


def test_the_embedded_database_is_up_to_date_by_itself(pao: Pao) -> None:
    status = pao("db", "status", "--output", "json")
    assert status.code == 0
    assert {line["state"] for line in status.json} == {"applied"}
    assert pao("db", "migrate").out == "The schema is up to date.\n"


def test_ones_own_database_is_migrated_by_command_only(pao: Pao, empty_dsn: str) -> None:
    own = {"PAO_DATABASE_URL": empty_dsn}
    before = pao("db", "status", **own)
    assert before.code == 3
    assert "pao db migrate" in before.err
    assert "0001_catalog" in pao("db", "migrate", "--output", "json", **own).out
    assert pao("db", "status", **own).code == 0
    assert pao("db", "url", **own).out == f"{empty_dsn}\n"


def test_ones_own_database_is_not_stopped(pao: Pao, dsn: str) -> None:
    answer = pao("db", "stop", "--database-url", dsn)
    assert answer.code == 0
    assert "not the embedded one" in answer.out


def test_a_data_directory_of_another_version_is_told(pao: Pao) -> None:
    pao("db", "url")
    pao("db", "stop")
    (pao.data_dir / "postgres/data/PG_VERSION").write_text("12\n")
    answer = pao("db", "url")
    assert answer.code == 3
    assert "PostgreSQL 12" in answer.err
    assert "Traceback" not in answer.err


def test_doctor_tells_what_is_there(pao: Pao) -> None:
    answer = pao("doctor", "--output", "json")
    found = {line["check"]: line["result"] for line in answer.json}
    assert answer.code == 0
    assert found["database"] == "ok"
    assert (found["slack"], found["encryption"]) == ("warning", "ok")


def test_doctor_warns_where_no_secret_could_be_kept(pao: Pao, dsn: str) -> None:
    answer = pao("doctor", "--output", "json", "--database-url", dsn)
    assert {line["check"]: line["result"] for line in answer.json}["encryption"] == "warning"


def test_doctor_names_a_tool_that_is_missing(pao: Pao) -> None:
    answer = pao("doctor", PAO_TERRAFORM_BIN="/nowhere/terraform")
    assert answer.code == 1
    assert "/nowhere/terraform is not on PATH" in answer.out
