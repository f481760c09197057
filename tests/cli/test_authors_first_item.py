"""docs/catalog.md, from an empty folder to the first item in service: typed as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.pao import Pao

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "catalog.md").read_text()
COMMIT = re.compile(r"\b[0-9a-f]{12}\b")


def blocks() -> Iterator[tuple[str, str]]:
    """The blocks of the first section in their order: (file, its text), or ("", a dialogue)."""
    section = GUIDE.partition("## A first item\n")[2].partition("\n### ")[0]
    for match in re.finditer(
        r"^```(?:yaml (\S+)|console)\n(.*?)^```", section, re.DOTALL | re.MULTILINE
    ):
        yield match[1] or "", match[2]


def exchanges(dialogue: str) -> Iterator[tuple[str, str]]:
    """Each command of a dialogue with what it answers."""
    for part in re.split(r"^\$ ", dialogue, flags=re.MULTILINE)[1:]:
        command, _, answer = part.partition("\n")
        yield command, answer.rstrip()


@pytest.fixture
def shell(pao: Pao, dsn: str, tmp_path: Path) -> Mapping[str, str]:
    """The environment of a shell in which `pao` and Git can be called."""
    program = tmp_path / "bin" / "pao"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m bot.cli "$@"\n')
    program.chmod(0o755)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PAO_", "GIT_"))}
    person = {
        f"GIT_{who}_{what}": "ada@example.com"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    settings = {"PAO_DATA_DIR": str(pao.data_dir), "PAO_DATABASE_URL": dsn}
    return {**clean, **person, **settings, "PATH": f"{program.parent}:{os.environ['PATH']}"}


def test_the_first_item_comes_into_service_as_it_is_told(
    shell: Mapping[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "catalog-repository"
    folder.mkdir()
    told = list(blocks())
    assert [bool(path) for path, _ in told].count(True) == 1
    for path, text in told:
        if path:
            (folder / path).write_text(text)
            continue
        for command, answer in exchanges(text):
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=folder,
                env=shell,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, f"{command}: {done.stderr}"
            assert COMMIT.sub("COMMIT", done.stdout.rstrip()) == COMMIT.sub("COMMIT", answer)
