"""The file that an unforeseen error leaves behind: for its finder alone, and without our secrets."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from bot.cli.errors import run

SECRET = "xoxb-a-secret-bot-token"


@click.command()
@click.option("--database-url")
@click.option("--config")
def crash(database_url: str | None, config: str | None) -> None:
    raise RuntimeError(f"{SECRET} and hunter2hunter2")


def left_behind(said: str) -> Path:
    found = re.search(r"\S+/pao-error-\S+\.txt", said)
    assert found
    return Path(found[0])


@pytest.fixture(autouse=True)
def _files_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("PAO_SLACK_BOT_TOKEN", SECRET)
    monkeypatch.setenv("PAO_DATA_DIR", str(tmp_path))


def test_it_holds_no_secret_of_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://pao:hunter2hunter2@localhost/pao"
    assert run(crash, ["--database-url", url]) == 1
    file = left_behind(capsys.readouterr().err)
    text = file.read_text()
    assert "RuntimeError" in text
    assert SECRET not in text
    assert "hunter2hunter2" not in text
    assert file.stat().st_mode & 0o077 == 0


def test_without_settings_it_holds_no_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken = tmp_path / "pao.yaml"
    broken.write_text("[")
    assert run(crash, [f"--config={broken}"]) == 1
    assert SECRET not in left_behind(capsys.readouterr().err).read_text()
