"""The cluster: made whole or not at all, and cleared of what a dead server left in it."""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from engine.errors import Unavailable
from engine.store.embedded.account import Account, run
from engine.store.embedded.binaries import Binaries
from engine.store.embedded.folders import Folders, reached, write_private

ROLE = "pao"

ORPHAN_SECONDS = 10.0
"""Longest wait for backends of a dead postmaster before they are told to quit."""

THROW_AWAY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""For test suites only: a crash of the machine loses the cluster."""


def make(folders: Folders, binaries: Binaries, account: Account, options: Sequence[str]) -> None:
    """Run initdb beside the cluster's place and move the result there."""
    if folders.cluster.is_dir():
        return
    new = folders.home / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    password = folders.home / "password.new"
    write_private(password, folders.new_password(), account)
    arguments = [
        f"--pgdata={new}",
        f"--username={ROLE}",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        *_locale(binaries.major),
        "--data-checksums",
        "--no-instructions",
        *(["--no-sync"] if set(THROW_AWAY) <= set(options) else []),
    ]
    try:
        result = run([str(binaries.folder / "initdb"), *arguments], account)
    finally:
        password.unlink()
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip().splitlines()
        raise Unavailable(
            "The embedded PostgreSQL could not be set up",
            said[-1] if said else "initdb said nothing",
            f"Check the space and the rights of {folders.root}",
        )
    new.rename(folders.cluster)


def refuse_other_version(folders: Folders, binaries: Binaries) -> None:
    """Raise Unavailable, with the way out, when another major version made the cluster."""
    with reached(folders.cluster):
        made_by = (folders.cluster / "PG_VERSION").read_text().strip()
    if made_by != str(binaries.major):
        raise Unavailable(
            f"The data directory {folders.root} belongs to another version of PostgreSQL",
            f"it was made by PostgreSQL {made_by}, and this is PostgreSQL {binaries.major}",
            f"Start it with the binaries of {made_by} (PAO_POSTGRES_BIN), dump it with "
            "`pg_dumpall`, then restore the dump into a new PAO_DATA_DIR with `psql`",
            code="data_dir_version",
        )


def postmaster(cluster: Path) -> psutil.Process | None:
    """Return the process that postmaster.pid names, if it lives and serves this cluster."""
    try:
        pid = int((cluster / "postmaster.pid").read_text().splitlines()[0])
        process = psutil.Process(pid)
        return process if is_alive(process) and process.cwd() == str(cluster) else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def clear_after_death(folders: Folders) -> None:
    """Remove what a dead postmaster left, once nothing of it touches the cluster any more."""
    pid_file = folders.cluster / "postmaster.pid"
    if not pid_file.exists():
        return
    if not until(lambda: not _backends(folders.cluster), ORPHAN_SECONDS):
        _end_backends(folders.cluster)
    pid_file.unlink(missing_ok=True)
    folders.socket.with_name(f"{folders.socket.name}.lock").unlink(missing_ok=True)
    folders.socket.unlink(missing_ok=True)


def is_alive(process: psutil.Process) -> bool:
    """Say whether a process runs; a zombie does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until `condition` holds; False when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _end_backends(cluster: Path) -> None:
    for backend in _backends(cluster):
        with contextlib.suppress(psutil.NoSuchProcess):
            backend.send_signal(signal.SIGQUIT)
    if not until(lambda: not _backends(cluster), ORPHAN_SECONDS):
        pids = ", ".join(str(backend.pid) for backend in _backends(cluster))
        raise Unavailable(
            "The embedded PostgreSQL cannot start again",
            f"processes of the server that died still use its data: {pids}",
            "End them, then try again",
        )


def _backends(cluster: Path) -> list[psutil.Process]:
    """Return all living processes that work in the cluster's folder."""
    return [
        process
        for process in psutil.process_iter(["cwd"])
        if process.info["cwd"] == str(cluster) and is_alive(process)
    ]


def _locale(major: int) -> list[str]:
    """The same order and the same letters on every machine: code points, Unicode's cases."""
    if major >= 17:
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--locale=C.UTF-8"]
