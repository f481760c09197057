"""Whom the server runs as, and how our children are started: a bare environment, no shell."""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import TypeAlias, TypedDict

from engine.errors import Unavailable

Account: TypeAlias = pwd.struct_passwd | None
"""The user of the server; None when that is us."""

CANDIDATES = ("postgres", "nobody")
"""Whom root makes run the server, the first that exists."""


def server_account(home: Path) -> Account:
    """Return whom the server runs as: for root the owner of `home`, else the first candidate."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(FileNotFoundError, KeyError):
        owner = pwd.getpwuid(home.stat().st_uid)
        if owner.pw_uid != 0:
            return owner
    for name in CANDIDATES:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Unavailable(
        "PostgreSQL does not run as root",
        "and there is no user `postgres` or `nobody` to run it as",
        "Make one of them, or start PAO as an ordinary user",
    )


def may_pass(folder: Path, account: pwd.struct_passwd) -> bool:
    """Say whether `account` may pass through `folder`, by its mode."""
    found = folder.stat()
    if found.st_uid == account.pw_uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.pw_gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def can_run(program: Path, account: Account) -> bool:
    """Say whether `account` can execute `program`, by letting the kernel decide."""
    try:
        return run([str(program), "--version"], account).returncode == 0
    except PermissionError:
        return False


def run(argv: Sequence[str], account: Account) -> subprocess.CompletedProcess[str]:
    """Run a program to its end as `account`, and return how it ended and what it said."""
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        cwd="/",
        check=False,
        **_child(account),
    )


def launch(argv: Sequence[str], account: Account, output: int) -> subprocess.Popen[bytes]:
    """Start a program as `account` that outlives us, with its output to a file descriptor."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        cwd="/",
        **_child(account),
    )
    # A thread that reaps it, so that a server which dies before us never stays a zombie.
    Thread(target=process.wait, name="reap-postgres", daemon=True).start()
    return process


class _Child(TypedDict, total=False):
    """Arguments of subprocess that say who a child is and what it sees."""

    env: dict[str, str]
    user: int
    group: int
    extra_groups: list[int]


def _child(account: Account) -> _Child:
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    if account is None:
        return {"env": environment}
    return {
        "env": environment,
        "user": account.pw_uid,
        "group": account.pw_gid,
        "extra_groups": [],
    }
