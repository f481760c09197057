"""A catalog repository made from a folder: how the demo, and anybody's first try, begins."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from engine.errors import ConfigurationError

BRANCH = "main"

COMMIT_SECONDS = 30.0

_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "PAO",
    "GIT_AUTHOR_EMAIL": "pao@localhost",
    "GIT_COMMITTER_NAME": "PAO",
    "GIT_COMMITTER_EMAIL": "pao@localhost",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}


def found_repository(source: Path, target: Path) -> str:
    """Copy the folder `source` to `target` and commit it there; an existing repository is left as it is.

    Returns its address. Blocks for at most `COMMIT_SECONDS` a command. ConfigurationError where git is missing or
    the folder cannot be written. A copy that was interrupted is begun again: `.git` comes last, by a rename.
    """
    if not (target / ".git" / "HEAD").is_file():
        fresh = target.with_name(f".{target.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            shutil.copytree(source, fresh)
            _commit(fresh)
            shutil.rmtree(target, ignore_errors=True)
            fresh.rename(target)
        except OSError as error:
            raise _not_made(target, str(error)) from error
    return target.as_uri()


def replace_in_documents(folder: Path, pattern: re.Pattern[str], text: str) -> None:
    """Put `text` for every match in the repository's YAML files, and commit what changed."""
    changed = []
    for path in sorted(folder.rglob("*.y*ml")):
        before = path.read_text("utf-8")
        after = pattern.sub(text, before)
        if after != before:
            path.write_text(after, "utf-8")
            changed.append(str(path.relative_to(folder)))
    if changed:
        _git(folder, "add", "--", *changed)
        _git(folder, "commit", "--quiet", "--message", f"Use {text}", "--", *changed)


def _commit(folder: Path) -> None:
    _git(folder, "init", "--quiet", "--template=", f"--initial-branch={BRANCH}")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "The catalog as it was delivered")


def _git(folder: Path, *arguments: str) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    result = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=environment | _ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMIT_SECONDS,
        check=False,
    )
    if result.returncode:
        raise _not_made(folder, result.stderr.strip())


def _not_made(folder: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"The catalog repository {folder} cannot be made",
        reason,
        "Install git and check that the folder's parent can be written",
    )
