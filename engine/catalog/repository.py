"""The catalog's Git repository: a bare mirror under DATA_DIR that nothing is ever checked out of.

    absent --init--> empty --fetch--> mirror --fetch--> mirror ...
                                        | found broken
                                        v
                          a new one is fetched beside it and swapped in

What this module and the reading below it (`commits`) keep others from doing, since the address and
the branch come from settings and the contents from whoever may push to the repository:

- No user's text is ever an option of git, nor an address that runs a program (`addresses`).
- The token stands in the environment alone, as a header for that one host. No error text, argument
  list, log line or configuration file holds it.
- A hung ssh outlives a killed git, so at a deadline its whole session is killed.

Writers of one mirror (fetch, repair) exclude each other by a lock on a file beside it, which the
children inherit: an orphan of a killed process keeps it until it has ended. So a `*.lock` that git
left behind is stale whenever we hold ours. Readers take no lock: a fetch adds, and never removes.
Unreachable objects are kept, since requests in flight name the commit that they were made from.

Everything here blocks, for at most the named limits; coroutines call it by `in_thread`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import structlog

from engine.catalog import git_errors, trees
from engine.catalog.addresses import checked_branch, checked_folder, checked_url, token_for
from engine.catalog.commits import Commits, deadline_in, foreign_names
from engine.catalog.git_errors import MirrorBroken
from engine.config import EngineConfig
from engine.errors import NotFound, Unreachable

# A missing git is a sentence of ours (`git_errors.no_git`), not an ImportError of GitPython.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from git import Git
from git.exc import GitCommandNotFound

FETCH_SECONDS = 120.0
"""A fetch, the waiting for another process's fetch included."""

GC_SECONDS = 300.0

HEAD = "refs/pao/head"
"""Where the fetched branch stands in the mirror, whatever its name is."""

log = structlog.get_logger(__name__)


class Mirror(Commits):
    """The mirror of one branch of one repository. Cheap to make; nothing happens before `fetch`."""

    def __init__(self, data_dir: Path, url: str, branch: str, token: str | None = None) -> None:
        """Check the address and the branch; InvalidInput when they are not safe to hand to git."""
        address = checked_url(url)
        name = hashlib.sha256(address.encode()).hexdigest()[:16]
        super().__init__(data_dir / "catalog" / f"{name}.git", address, checked_branch(branch))
        self._token = token

    @classmethod
    def of(cls, config: EngineConfig, url: str, branch: str) -> Mirror:
        """Return the mirror of a repository, with the settings' token where it is for that host."""
        token = token_for(url, config.catalog_url, config.catalog_token)
        return cls(config.data_dir, url, branch, token)

    @classmethod
    def around(cls, path: Path) -> Mirror | None:
        """Return the repository of this machine that a folder is in, for reading only; or None."""
        start = path.resolve()
        for folder in (start, *start.parents):
            if (found := _git_folder(folder)) is not None:
                mirror = cls(found.parent, found.as_uri(), "main")
                mirror.folder = found
                return mirror
        return None

    def fetch(self, limit: float = FETCH_SECONDS) -> str:
        """Fetch the branch and return the commit it is at.

        Raises Unreachable (the remote does not answer, refuses us, or takes longer than `limit`
        seconds), NotFound (no such branch) and ConfigurationError (no git, no room in DATA_DIR).
        """
        deadline = deadline_in(limit)
        with self._locked(deadline) as lock:
            try:
                self._make_ready(self.folder)
                return self._fetch(self.folder, lock, deadline)
            except MirrorBroken as broken:
                log.warning("catalog_mirror_broken", error=str(broken))
                return self._remake(lock, deadline)

    def remake(self, limit: float = FETCH_SECONDS) -> str:
        """Fetch everything anew beside the old mirror, swap the two, and return the commit."""
        deadline = deadline_in(limit)
        with self._locked(deadline) as lock:
            return self._remake(lock, deadline)

    def clean_up(self) -> None:
        """Pack what many small fetches left, when git finds it worth while; never prunes."""
        if not self._is_untidy():
            return
        deadline = deadline_in(GC_SECONDS)
        with self._locked(deadline) as lock:
            self._git(
                *("-c", "gc.auto=5000", "-c", "gc.autoDetach=false"),
                *("gc", "--auto", "--quiet", "--no-prune"),
                lock=lock,
                deadline=deadline,
            )

    def _is_untidy(self) -> bool:
        """Whether `gc --auto` might find something to do; asking git itself costs a process."""
        objects = self.folder / "objects"
        packs = list(objects.glob("pack/*.pack"))
        loose = list(objects.glob("17/*"))  # git judges all by this one too
        return len(packs) > 40 or len(loose) > 10

    def ensure(self, commit: str, limit: float = FETCH_SECONDS) -> None:
        """Fetch the commit unless it is here: another machine's mirror may have it and not ours.

        NotFound when the remote does not give it any more (its history was rewritten).
        """
        if self.has(commit):
            return
        self.fetch(limit)
        if not self.has(commit):
            self._fetch_by_hash(commit, deadline_in(limit))
        if not self.has(commit):
            raise NotFound(
                f"The commit {commit[:12]} is not in the catalog's repository",
                "the history of its branch was rewritten, and the remote does not keep it",
                "Make the request again, from the catalog as it stands now",
            )

    def export_tree(self, commit: str, path: str, target: Path) -> None:
        """Write the folder `path` of the commit into the existing, empty folder `target`.

        `path` counts from the repository's root. Raises InvalidInput for paths that leave the
        repository, for links and submodules inside, for calls of modules beside the folder, and for
        more than a module may hold; NotFound where the commit has no such folder.
        """
        folder = checked_folder(path)
        self.ensure(commit)
        entries = self.documents(commit, [folder])
        if not entries:
            raise NotFound(
                f"The catalog has no folder {folder!r} at the commit {commit[:12]}",
                do="Check module_source: it counts from the repository's root",
            )
        trees.refuse_unsafe(entries)
        for name, content in self.read_blobs(entries):
            trees.refuse_outward(name, content, folder)
            _write(target / PurePosixPath(name).relative_to(folder), content, entries[name].mode)

    def for_reading(self) -> Commits:
        """Return the mirror without its token, fit to be handed to another process."""
        return Commits(self.folder, self.url, self.branch)

    # Called with the mirror's lock held.

    def _make_ready(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_stale_locks(folder)
        except OSError as error:
            raise git_errors.not_writable(str(error)) from error
        if not (folder / "HEAD").is_file():
            self._git("init", "--bare", "--quiet", "--template=", folder=folder)

    def _fetch(self, folder: Path, lock: int, deadline: float) -> str:
        refspec = f"+refs/heads/{self.branch}:{HEAD}"
        self._git(*_FETCH, "--", self.url, refspec, folder=folder, lock=lock, deadline=deadline)
        return self._git("rev-parse", "--verify", HEAD, folder=folder).decode().strip()

    def _remake(self, lock: int, deadline: float) -> str:
        old, fresh = self.folder.with_suffix(".old"), self.folder.with_suffix(".new")
        for leftover in (old, fresh):
            shutil.rmtree(leftover, ignore_errors=True)
        self._make_ready(fresh)
        commit = self._fetch(fresh, lock, deadline)
        if self.folder.exists():
            self.folder.rename(old)
        fresh.rename(self.folder)
        shutil.rmtree(old, ignore_errors=True)
        return commit

    def _fetch_by_hash(self, commit: str, deadline: float) -> None:
        """Ask for a commit that no branch reaches any more; servers may give it or not."""
        with self._locked(deadline) as lock, contextlib.suppress(Unreachable, NotFound):
            self._git(*_FETCH, "--", self.url, commit, lock=lock, deadline=deadline)

    @contextlib.contextmanager
    def _locked(self, deadline: float) -> Iterator[int]:
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise git_errors.not_writable(str(error)) from error
        try:
            _wait_for(lock, deadline, self.url)
            yield lock
        finally:
            os.close(lock)

    @contextlib.contextmanager
    def _started(
        self, arguments: Sequence[str], stdin: BinaryIO | int | None, lock: int | None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start what writes, and reaches the network, by GitPython; it adds to our environment."""
        if lock is None:
            with super()._started(arguments, stdin, lock) as process:
                yield process
            return
        unset = (part for name in foreign_names(os.environ) for part in ("-u", name))
        try:
            started = Git(str(self.folder.parent)).execute(
                ["env", *unset, "git", *arguments],
                istream=stdin,
                as_process=True,
                env=self.environment(),
                start_new_session=True,
                pass_fds=(lock,),
            )
        except GitCommandNotFound as error:
            raise git_errors.no_git() from error
        yield cast("subprocess.Popen[bytes]", started.proc)  # which `started` would end with itself


_FETCH = (
    "fetch",
    "--quiet",
    "--force",
    "--no-tags",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
)


def _wait_for(lock: int, deadline: float, url: str) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise git_errors.unreachable(
                    url, "another process has been fetching it all the time", "Try again"
                ) from None
            time.sleep(0.05)
        else:
            return


def _remove_stale_locks(folder: Path) -> None:
    """Remove what a killed git left behind and a later one would wait for or fail on."""
    for pattern in ("*.lock", "gc.pid", "refs/**/*.lock", "objects/pack/tmp_*"):
        for leftover in folder.glob(pattern):
            leftover.unlink(missing_ok=True)


def _git_folder(folder: Path) -> Path | None:
    """Return where Git keeps the repository whose work tree, or bare repository, a folder is."""
    git = folder / ".git"
    if git.is_file():  # a linked work tree or a submodule
        named = git.read_text("utf-8", "replace").strip().removeprefix("gitdir: ")
        return (folder / named).resolve()
    bare = all((folder / part).exists() for part in ("HEAD", "objects", "refs"))
    return git if git.is_dir() else folder if bare else None


def _write(file: Path, content: bytes, mode: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    file.chmod(0o755 if mode == "100755" else 0o644)
