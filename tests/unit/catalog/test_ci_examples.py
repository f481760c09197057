"""The files that authors copy into their repository: the workflow and the hook."""

from __future__ import annotations

import os
import re
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


def run(line: str, repository: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of an example as its runner does: in the repository, with `pao` on PATH."""
    path = f"{repository / '.git'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-c", line],
        check=False,
        cwd=repository,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
    )


def test_the_workflow_annotates_the_files_and_sums_up_the_changes(
    repository: Path, tmp_path: Path
) -> None:
    workflow = yaml.safe_load((CI / "github-actions.yml").read_text())
    *_, validate, diff = [step.get("run") for step in workflow["jobs"]["validate"]["steps"]]
    assert commit(repository, GOOD).returncode == 0
    assert commit(repository, GOOD.replace("1.0.0", "1.1.0")).returncode == 0
    assert run(validate, repository).returncode == 0
    summary = tmp_path / "summary.md"
    told = run(diff, repository, GITHUB_STEP_SUMMARY=str(summary))
    assert told.returncode == 0, told.stderr
    assert "**Changed** `CatalogItem item 1.0.0 -> 1.1.0" in summary.read_text()
    (repository / "catalog" / "any" / "item.yaml").write_text(GOOD.replace("1.0.0", "one"))
    stopped = run(validate, repository)
    assert stopped.returncode == 1
    assert "::error file=catalog/any/item.yaml,line=2" in stopped.stdout


def test_the_workflow_may_only_read() -> None:
    workflow = yaml.safe_load((CI / "github-actions.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}


def test_the_hook_of_pre_commit_runs_the_validator(repository: Path) -> None:
    config = yaml.safe_load((CI / "pre-commit-config.yaml").read_text())
    [hook] = config["repos"][0]["hooks"]
    assert re.match(hook["files"], "catalog/any/item.yaml")
    (repository / "catalog" / "any" / "item.yaml").write_text(GOOD)
    assert run(hook["entry"], repository).returncode == 0
    (repository / "catalog" / "any" / "item.yaml").write_text(GOOD.replace("1.0.0", "one"))
    assert run(hook["entry"], repository).returncode == 1
