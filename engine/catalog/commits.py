"""Reading the commits of a Git repository by its plumbing: trees, differences, contents.

Nothing here writes or reaches the network. The environment of every child is ours: GIT_* of the caller
(which could redirect everything) and our own settings are taken out; system and user configuration,
hooks, prompts and credential helpers are off. Each git runs in a session of its own with a deadline,
after which the whole group is killed. Nothing of a tree is followed: symbolic links and submodules are
seen by their mode.

Everything here blocks, for at most READ_SECONDS a command; coroutines call it by `in_thread`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar
from urllib.parse import urlsplit

from engine.catalog import git_errors, trees
from engine.catalog.addresses import checked_commit, checked_folder
from engine.catalog.git_errors import MirrorBroken
from engine.catalog.objects import READ_SECONDS, Objects
from engine.catalog.trees import Difference, TreeEntry
from engine.errors import NotFound

P = ParamSpec("P")
T = TypeVar("T")


class Commits:
    """The commits of the repository in a folder; `url` and `branch` are what errors name.

    Fit to be handed to another process. Importing this module is cheap, which counts in a process that
    was started to read.
    """

    def __init__(self, folder: Path, url: str, branch: str) -> None:
        """Take the folder that Git calls GIT_DIR."""
        self.folder = folder
        self.url = url
        self.branch = branch
        self._token: str | None = None
        self._running: set[int] = set()

    def has(self, commit: str) -> bool:
        """Whether the commit is in the mirror."""
        name = f"{checked_commit(commit)}^{{commit}}"
        return (self.folder / "HEAD").exists() and self._holds("cat-file", "-e", name)

    def resolve(self, ref: str) -> str:
        """Return the commit that a branch, a tag, a hash or `HEAD~2` names; NotFound for none."""
        name = f"{ref}^{{commit}}"
        if not ref.startswith("-") and ref.isprintable():
            found = self._run(
                ("rev-parse", "--verify", "--quiet", name),
                self.folder,
                None,
                None,
                deadline_in(READ_SECONDS),
            )
            if found[0] == 0:
                return found[1].decode().strip()
        raise NotFound(
            f"There is no commit {ref!r} in {self.folder}",
            do="Check the name; in a shallow clone, fetch the commit first",
        )

    def documents(self, commit: str, roots: Sequence[str] = ()) -> dict[str, TreeEntry]:
        """Return every file of the commit by path; with `roots` those in these folders alone.

        Links and submodules are in it, by their mode; the caller refuses them where they stand.
        """
        folders = [f"{checked_folder(root)}/" for root in roots]
        listing = self._git(*_LS_TREE, checked_commit(commit), "--", *folders)
        return dict(trees.tree_entries(listing))

    def diff(self, old: str, new: str) -> dict[str, Difference]:
        """Return the paths that differ between two commits, with what stood and stands there.

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

    @contextlib.contextmanager
    def objects(self, commit: str) -> Iterator[Objects]:
        """Start a git that is asked for objects of a commit, and end it after the block."""
        name = checked_commit(commit)
        arguments = (f"--git-dir={self.folder}", "cat-file", "--batch")
        with self._started(arguments, subprocess.PIPE, None) as process, process:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
            self._running.add(process.pid)
            try:
                yield Objects(name, process.stdin, process.stdout, lambda: _kill_group(process.pid))
            finally:
                self._running.discard(process.pid)
                _kill_group(process.pid)

    def interrupt(self) -> None:
        """Kill what other threads have running here: their calls raise soon after."""
        for group in tuple(self._running):
            _kill_group(group)

    # Running git.

    def _contents(self, blobs: Sequence[str]) -> dict[str, bytes]:
        output = self._fed("cat-file", "--batch", blobs=blobs)
        return {blob: _present(blob, content) for blob, content in trees.contents(output)}

    def _fed(self, *arguments: str, blobs: Iterable[str]) -> bytes:
        # From a file: by a pipe, the writing of names and the reading of contents block each other.
        with tempfile.TemporaryFile() as names:
            names.write("".join(f"{blob}\n" for blob in dict.fromkeys(blobs)).encode())
            names.seek(0)
            return self._git(*arguments, stdin=names)

    def _holds(self, *arguments: str) -> bool:
        """Whether a git that answers by its exit status says yes."""
        return self._run(arguments, self.folder, None, None, deadline_in(READ_SECONDS))[0] == 0

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
            arguments, folder or self.folder, stdin, lock, deadline or deadline_in(READ_SECONDS)
        )
        if status:
            said = errors.decode("utf-8", "replace")
            secrets = (self._token or "", basic_credentials(self._token))
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
        with self._started((f"--git-dir={folder}", *arguments), stdin, lock) as process:
            output, errors = self._communicate(process, deadline)
        if process.returncode == NO_GIT:
            raise git_errors.no_git()
        return process.returncode, output, errors

    @contextlib.contextmanager
    def _started(
        self, arguments: Sequence[str], stdin: BinaryIO | int | None, lock: int | None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a git, which inherits the file of a lock that is held."""
        try:
            process = subprocess.Popen(
                ["git", *arguments],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_without_foreign(os.environ) | self.environment(),
                start_new_session=True,
                pass_fds=() if lock is None else (lock,),
            )
        except FileNotFoundError as error:
            raise git_errors.no_git() from error
        yield process

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

    def environment(self) -> dict[str, str]:
        """Return what a git of ours finds in its environment beside the caller's."""
        settings = [*_SETTINGS, *_authorization(self.url, self._token)]
        environment = dict(_ENVIRONMENT)
        environment["GIT_CONFIG_COUNT"] = str(len(settings))
        for index, (key, value) in enumerate(settings):
            environment[f"GIT_CONFIG_KEY_{index}"] = key
            environment[f"GIT_CONFIG_VALUE_{index}"] = value
        return environment


async def in_thread(
    commits: Commits, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run a blocking method of `commits`, or what calls some, in a thread; a cancel ends its git."""
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except asyncio.CancelledError:
        commits.interrupt()
        raise


def deadline_in(seconds: float) -> float:
    """Return when, by the monotonic clock, so many seconds are over."""
    return time.monotonic() + seconds


_LS_TREE = ("ls-tree", "-r", "-z", "--long", "--full-tree")

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
    "LC_ALL": "C",
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

NO_GIT = 127
"""How env(1) says that it found no git."""


def foreign_names(environment: Iterable[str]) -> list[str]:
    """Return what no git of ours may find: GIT_* of our caller, and our own settings."""
    ours = ("GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_", *_ENVIRONMENT)
    foreign = ("GIT_", "PAO_", "SLACK_")
    return [name for name in environment if name.startswith(foreign) and not name.startswith(ours)]


def _without_foreign(environment: Mapping[str, str]) -> dict[str, str]:
    foreign = frozenset(foreign_names(environment))
    return {name: value for name, value in environment.items() if name not in foreign}


def _authorization(url: str, token: str | None) -> Iterator[tuple[str, str]]:
    """Yield the setting that sends the token to the repository's host, and to no other."""
    parts = urlsplit(url)
    if token and parts.scheme == "https":
        header = f"Authorization: Basic {basic_credentials(token)}"
        yield f"http.https://{parts.netloc}/.extraHeader", header


def basic_credentials(token: str | None) -> str:
    """Return a token as HTTP's basic authentication sends it."""
    return base64.b64encode(f"x-access-token:{token}".encode()).decode() if token else ""


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _present(blob: str, content: bytes | None) -> bytes:
    if content is None:
        raise MirrorBroken("The catalog's mirror is damaged", f"it lacks the object {blob}")
    return content
