"""Real Git repositories for tests, made with the git on PATH."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


@dataclass(frozen=True, slots=True)
class GitRepository:
    """A repository with a work tree; every change is a commit on `branch`."""

    path: Path
    branch: str = "main"

    @property
    def url(self) -> str:
        return self.path.as_uri()

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "Change") -> str:
        """Write (or, for None, remove) files, commit, and return the commit's hash."""
        for name, content in files.items():
            target = self.path / name
            if content is None:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.commit_all(message)

    def commit_all(self, message: str = "Change") -> str:
        """Commit the work tree as it is (for links and other things that are not plain files)."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        """Run git here and return what it printed; CalledProcessError when it fails."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        result = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=clean | IDENTITY,
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        return result.stdout.strip()


def new_repository(
    path: Path, files: Mapping[str, str | bytes | None] | None = None
) -> GitRepository:
    """Make a repository at `path` with a first commit of `files`."""
    path.mkdir(parents=True)
    repository = GitRepository(path)
    repository.git("init", "--quiet", f"--initial-branch={repository.branch}")
    repository.commit(files or {}, "Begin")
    return repository
