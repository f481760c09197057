"""The catalog's Git repository: a bare mirror under DATA_DIR that nothing is ever checked out of.

    absent --init--> empty --fetch--> mirror --fetch--> mirror ...
                                        | found broken
                                        v
                          a new one is fetched beside it and swapped in

What this module keeps others from doing, since the address and the branch come from settings and
the contents from whoever may push to the repository:

- No user's text is ever an option of git, nor an address that runs a program (`addresses`).
- The environment of every child is ours: GIT_* of the caller (which could redirect everything) and
  our own settings are taken out; system and user configuration, hooks, prompts and credential
  helpers are off.
- The token stands in the environment alone, as a header for that one host. No error text, argument
  list, log line or configuration file holds it.
- Each git runs in a session of its own with a deadline, after which the whole group is killed: a
  hung ssh outlives a killed git otherwise.
- Nothing of a tree is followed: symbolic links and submodules are seen by their mode and refused.

Writers of one mirror (fetch, repair) exclude each other by a lock on a file beside it, which the
children inherit: an orphan of a killed process keeps it until it has ended. So a `*.lock` that git
left behind is stale whenever we hold ours. Readers take no lock: a fetch adds, and never removes.
Unreachable objects are kept, since requests in flight name the commit that they were made from.

Everything here blocks, for at most the named limits; coroutines call it by `in_thread`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, ParamSpec, TypeVar, cast
from urllib.parse import urlsplit

import structlog

from engine.catalog import git_errors, trees
from engine.catalog.addresses import (
    checked_branch,
    checked_commit,
    checked_folder,
    checked_url,
    token_for,
)
from engine.catalog.git_errors import MirrorBroken
from engine.catalog.trees import Outline, TreeEntry
from engine.config import EngineConfig
from engine.errors import NotFound, Unreachable

# A missing git is a sentence of ours (`git_errors.no_git`), not an ImportError of GitPython.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from git import Git
from git.exc import GitCommandNotFound

P = ParamSpec("P")
T = TypeVar("T")

FETCH_SECONDS = 120.0
"""A fetch, the waiting for another process's fetch included."""

READ_SECONDS = 60.0
"""Any command that reads the mirror."""

GC_SECONDS = 300.0

HEAD = "refs/pao/head"
"""Where the fetched branch stands in the mirror, whatever its name is."""

log = structlog.get_logger(__name__)


class Mirror:
    """The mirror of one branch of one repository. Cheap to make; nothing happens before `fetch`."""

    def __init__(self, data_dir: Path, url: str, branch: str, token: str | None = None) -> None:
        """Check the address and the branch; InvalidInput when they are not safe to hand to git."""
        self.url = checked_url(url)
        self.branch = checked_branch(branch)
        name = hashlib.sha256(self.url.encode()).hexdigest()[:16]
        self.folder = data_dir / "catalog" / f"{name}.git"
        self._data_dir = data_dir
        self._token = token
        self._running: set[int] = set()

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
        deadline = _deadline(limit)
        with self._locked(deadline) as lock:
            try:
                self._make_ready(self.folder)
                return self._fetch(self.folder, lock, deadline)
            except MirrorBroken as broken:
                log.warning("catalog_mirror_broken", error=str(broken))
                return self._remake(lock, deadline)

    def remake(self, limit: float = FETCH_SECONDS) -> str:
        """Fetch everything anew beside the old mirror, swap the two, and return the commit."""
        deadline = _deadline(limit)
        with self._locked(deadline) as lock:
            return self._remake(lock, deadline)

    def clean_up(self) -> None:
        """Pack what many small fetches left, when git finds it worth while; never prunes."""
        if not self._is_untidy():
            return
        deadline = _deadline(GC_SECONDS)
        with self._locked(deadline) as lock:
            self._git(
                *("-c", "gc.auto=5000", "-c", "gc.autoDetach=false"),
                *("gc", "--auto", "--quiet", "--no-prune"),
                lock=lock,
                deadline=deadline,
            )

    def resolve(self, ref: str) -> str:
        """Return the commit that a branch, a tag, a hash or `HEAD~2` names; NotFound for none."""
        name = f"{ref}^{{commit}}"
        if not ref.startswith("-") and ref.isprintable():
            found = self._run(
                ("rev-parse", "--verify", "--quiet", name),
                self.folder,
                None,
                None,
                _deadline(READ_SECONDS),
            )
            if found[0] == 0:
                return found[1].decode().strip()
        raise NotFound(
            f"There is no commit {ref!r} in {self.folder}",
            do="Check the name; in a shallow clone, fetch the commit first",
        )

    def _is_untidy(self) -> bool:
        """Whether `gc --auto` might find something to do; asking git itself costs a process."""
        objects = self.folder / "objects"
        packs = list(objects.glob("pack/*.pack"))
        loose = list(objects.glob("17/*"))  # git judges all by this one too
        return len(packs) > 40 or len(loose) > 10

    def has(self, commit: str) -> bool:
        """Whether the commit is in the mirror."""
        name = f"{checked_commit(commit)}^{{commit}}"
        return (self.folder / "HEAD").exists() and self._holds("cat-file", "-e", name)

    def ensure(self, commit: str, limit: float = FETCH_SECONDS) -> None:
        """Fetch the commit unless it is here: another machine's mirror may have it and not ours.

        NotFound when the remote does not give it any more (its history was rewritten).
        """
        if self.has(commit):
            return
        self.fetch(limit)
        if not self.has(commit):
            self._fetch_by_hash(commit, _deadline(limit))
        if not self.has(commit):
            raise NotFound(
                f"The commit {commit[:12]} is not in the catalog's repository",
                "the history of its branch was rewritten, and the remote does not keep it",
                "Make the request again, from the catalog as it stands now",
            )

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` has `old` in its history; False after the history was rewritten."""
        return self.has(old) and self._holds("merge-base", "--is-ancestor", old, new)

    def documents(self, commit: str, roots: Sequence[str] = ()) -> dict[str, TreeEntry]:
        """Return every file of the commit by path; with `roots` those in these folders alone.

        Links and submodules are in it, by their mode; the caller refuses them where they stand.
        """
        folders = [f"{checked_folder(root)}/" for root in roots]
        listing = self._git(*_LS_TREE, checked_commit(commit), "--", *folders)
        return dict(trees.tree_entries(listing))

    def entries(self, commit: str, paths: Sequence[str]) -> dict[str, TreeEntry]:
        """Return those of the paths that the commit has."""
        listing = self._git(*_LS_TREE, checked_commit(commit), "--", *paths)
        return {path: entry for path, entry in trees.tree_entries(listing) if path in paths}

    def outline(self, commit: str) -> Outline:
        """Return the folders of a commit, and whether it has links."""
        listing = self._git("ls-tree", "-r", "-t", "-z", "--full-tree", checked_commit(commit))
        return trees.outline(listing)

    def diff(self, old: str, new: str) -> dict[str, TreeEntry | None]:
        """Return the paths that differ between two commits: the new entry, or None where removed.

        Sizes are not known.
        """
        commits = (checked_commit(old), checked_commit(new))
        return dict(trees.changes(self._git("diff-tree", "-r", "-z", "--no-renames", *commits)))

    def read_blobs(self, entries: Mapping[str, TreeEntry]) -> Iterator[tuple[str, bytes]]:
        """Yield (path, content) for each entry, by as few processes as memory allows.

        The caller has looked at the sizes. Raises MirrorBroken when an object is missing.
        """
        for batch in trees.batches(entries):
            contents = self._contents([entry.blob for entry in batch.values()])
            yield from ((path, contents[entry.blob]) for path, entry in batch.items())

    def export_tree(self, commit: str, path: str, target: Path) -> None:
        """Write the folder `path` of the commit into the existing, empty folder `target`.

        `path` counts from the repository's root. Raises InvalidInput for paths that leave the
        repository, for links and submodules inside, and for more than a module may hold; NotFound
        where the commit has no such folder.
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
            _write(target / PurePosixPath(name).relative_to(folder), content, entries[name].mode)

    def without_token(self) -> Mirror:
        """Return the mirror for reading only, fit to be handed to another process."""
        return Mirror(self._data_dir, self.url, self.branch)

    def interrupt(self) -> None:
        """Kill what other threads have running here: their calls raise soon after."""
        for group in tuple(self._running):
            _kill_group(group)

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

    # Running git.

    def _contents(self, blobs: Sequence[str]) -> dict[str, bytes]:
        # From a file: by a pipe, the writing of names and the reading of contents block each other.
        with tempfile.TemporaryFile() as names:
            names.write("".join(f"{blob}\n" for blob in dict.fromkeys(blobs)).encode())
            names.seek(0)
            output = self._git("cat-file", "--batch", stdin=names)
        return {blob: _present(blob, content) for blob, content in trees.contents(output)}

    def _holds(self, *arguments: str) -> bool:
        """Whether a git that answers by its exit status says yes."""
        return self._run(arguments, self.folder, None, None, _deadline(READ_SECONDS))[0] == 0

    def _git(
        self,
        *arguments: str,
        folder: Path | None = None,
        stdin: BinaryIO | None = None,
        lock: int | None = None,
        deadline: float | None = None,
    ) -> bytes:
        """Run git on the mirror and return its output; raises the error that its stderr means."""
        status, output, errors = self._run(
            arguments, folder or self.folder, stdin, lock, deadline or _deadline(READ_SECONDS)
        )
        if status:
            said = errors.decode("utf-8", "replace")
            secrets = (self._token or "", _basic(self._token))
            raise git_errors.failure(said, self.url, self.branch, secrets)
        return output

    def _run(
        self,
        arguments: Sequence[str],
        folder: Path,
        stdin: BinaryIO | None,
        lock: int | None,
        deadline: float,
    ) -> tuple[int, bytes, bytes]:
        git = Git(str(self.folder.parent))
        try:
            started = git.execute(
                ["env", *_unset(), "git", f"--git-dir={folder}", *arguments],
                istream=stdin,
                as_process=True,
                env=self._environment(),
                start_new_session=True,
                pass_fds=() if lock is None else (lock,),
            )
        except GitCommandNotFound as error:
            raise git_errors.no_git() from error
        process = cast("subprocess.Popen[bytes]", started.proc)
        output, errors = self._communicate(process, deadline)
        if process.returncode == _NOT_FOUND:
            raise git_errors.no_git()
        return process.returncode, output, errors

    def _communicate(
        self, process: subprocess.Popen[bytes], deadline: float
    ) -> tuple[bytes, bytes]:
        self._running.add(process.pid)
        try:
            return process.communicate(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _kill_group(process.pid)
            process.wait()
            raise git_errors.unreachable(
                self.url, "it did not answer in time", "Check CATALOG_URL and the network"
            ) from None
        finally:
            self._running.discard(process.pid)

    def _environment(self) -> dict[str, str]:
        settings = [*_SETTINGS, *_authorization(self.url, self._token)]
        environment = dict(_ENVIRONMENT)
        environment["GIT_CONFIG_COUNT"] = str(len(settings))
        for index, (key, value) in enumerate(settings):
            environment[f"GIT_CONFIG_KEY_{index}"] = key
            environment[f"GIT_CONFIG_VALUE_{index}"] = value
        return environment


async def in_thread(
    mirror: Mirror, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run a blocking method of `mirror`, or what calls some, in a thread; a cancel ends its git."""
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except asyncio.CancelledError:
        mirror.interrupt()
        raise


_LS_TREE = ("ls-tree", "-r", "-z", "--long", "--full-tree")

_FETCH = (
    "fetch",
    "--quiet",
    "--force",
    "--no-tags",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
)

_ENVIRONMENT: Mapping[str, str] = {
    "GIT_ALLOW_PROTOCOL": "https:ssh:file",
    "GIT_ASKPASS": "false",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_SSH_COMMAND": (
        "ssh -oBatchMode=yes -oConnectTimeout=10 -oStrictHostKeyChecking=yes"
        " -oServerAliveInterval=15 -oServerAliveCountMax=2"
    ),
    "GIT_SSH_VARIANT": "ssh",
    "GIT_TERMINAL_PROMPT": "0",
    "SSH_ASKPASS_REQUIRE": "never",
}

_SETTINGS: Sequence[tuple[str, str]] = (
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("credential.helper", ""),
    ("gc.auto", "0"),
    ("http.followRedirects", "initial"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "30"),
    ("protocol.ext.allow", "never"),
)

_NOT_FOUND = 127
"""How env(1) says that it found no git."""


def _unset() -> list[str]:
    """Return the options of env(1) that take away GIT_* of our caller, and our own settings."""
    foreign = (name for name in os.environ if name.startswith(("GIT_", "PAO_", "SLACK_")))
    ours = ("GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_", *_ENVIRONMENT)
    return [part for name in foreign if not name.startswith(ours) for part in ("-u", name)]


def _authorization(url: str, token: str | None) -> Iterator[tuple[str, str]]:
    """Yield the setting that sends the token to the repository's host, and to no other."""
    parts = urlsplit(url)
    if token and parts.scheme == "https":
        header = f"Authorization: Basic {_basic(token)}"
        yield f"http.https://{parts.netloc}/.extraHeader", header


def _basic(token: str | None) -> str:
    return base64.b64encode(f"x-access-token:{token}".encode()).decode() if token else ""


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


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _git_folder(folder: Path) -> Path | None:
    """Return where Git keeps the repository whose work tree, or bare repository, a folder is."""
    git = folder / ".git"
    if git.is_file():  # a linked work tree or a submodule
        named = git.read_text("utf-8", "replace").strip().removeprefix("gitdir: ")
        return (folder / named).resolve()
    bare = all((folder / part).exists() for part in ("HEAD", "objects", "refs"))
    return git if git.is_dir() else folder if bare else None


def _deadline(seconds: float) -> float:
    return time.monotonic() + seconds


def _present(blob: str, content: bytes | None) -> bytes:
    if content is None:
        raise MirrorBroken("The catalog's mirror is damaged", f"it lacks the object {blob}")
    return content


def _write(file: Path, content: bytes, mode: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    file.chmod(0o755 if mode == "100755" else 0o644)
