"""The files that authors copy into their repository: the workflow and the hook."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CI = ROOT / "examples" / "ci"
GOOD = """\
name: item
version: 1.0.0
description: An item.
owner: platform
presentation: {fields: []}
fulfillment:
  manual: {system: email, template: {to: a@example.com, subject: An item}}
"""


def test_the_workflow_runs_the_validator_with_annotations() -> None:
    workflow = yaml.safe_load((CI / "github-actions.yml").read_text())
    steps = workflow["jobs"]["validate"]["steps"]
    assert steps[-1]["run"] == "pao catalog validate --strict --format github ."
    assert workflow["permissions"] == {"contents": "read"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A catalog repository with the hook, and `pao` as this checkout has it."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", tmp_path], check=True, env=environment)
    shutil.copy(CI / "pre-commit", tmp_path / ".git" / "hooks" / "pre-commit")
    pao = tmp_path / ".git" / "pao"
    pao.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m bot.cli "$@"\n')
    pao.chmod(0o755)
    (tmp_path / "catalog" / "any").mkdir(parents=True)
    return tmp_path


def commit(repository: Path, text: str) -> subprocess.CompletedProcess[str]:
    (repository / "catalog" / "any" / "item.yaml").write_text(text)
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "PAO": str(repository / ".git" / "pao"),
    }
    author = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "add", "."], check=True, cwd=repository, env=environment)
    return subprocess.run(
        ["git", *author, "commit", "-q", "-m", "Change"],
        check=False,
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_the_hook_lets_good_documents_pass_and_stops_broken_ones(repository: Path) -> None:
    assert commit(repository, GOOD).returncode == 0
    stopped = commit(repository, GOOD.replace("1.0.0", "one"))
    assert stopped.returncode == 1
    assert "catalog/any/item.yaml:2:10: error[invalid-version]" in stopped.stdout + stopped.stderr
