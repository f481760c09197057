"""The files and folders under DATA_DIR: made closed to all others, locked, refused when unsafe."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import Unavailable
from engine.store.embedded.account import Account, may_pass

SOCKET_PATH_LIMIT = 103
"""Bytes of sockaddr_un on macOS, less the terminator; Linux allows four more."""

LOG_LIMIT = 10 << 20
"""Bytes of postgres.log after which a start begins a new one."""


class Folders:
    """Where everything of one embedded server is; the names stand at the head of the package."""

    def __init__(self, data_dir: Path) -> None:
        self.root = Path(os.path.realpath(data_dir))
        self.home = self.root / "postgres"
        self.cluster = self.home / "data"
        self.socket_dir = _socket_dir(self.home)
        self.log = self.root / "postgres.log"

    @property
    def socket(self) -> Path:
        """The socket; a file of the same name and `.lock` stands beside it."""
        return self.socket_dir / ".s.PGSQL.5432"

    def prepare(self) -> None:
        """Make DATA_DIR, and let the server's user pass through it (never through its parents)."""
        with reached(self.root):
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = self.root.stat()
            if os.geteuid() == found.st_uid == 0:
                self.root.chmod(stat.S_IMODE(found.st_mode) | 0o011)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only process that starts or stops the server, for the block's time."""
        with self._open("postgres.lock") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def users(self) -> Iterator[int]:
        """Be one of those who need the server, for the block's time; under the lock."""
        with self._open("postgres.users") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield file

    def password(self) -> str:
        """Return the password of our role; Unavailable when there is none yet or any more."""
        path = self.root / "postgres.password"
        with reached(path):
            try:
                return path.read_text("ascii").strip()
            except FileNotFoundError as error:
                raise Unavailable(
                    "The embedded PostgreSQL cannot be reached",
                    f"its password file {path} is missing",
                    "Restore it from a backup, or start it first with `pao db url`",
                ) from error

    def new_password(self) -> str:
        """Return the password, made if there is none; written before any cluster has it."""
        path = self.root / "postgres.password"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(24), None)
        return self.password()

    def refuse_unreachable(self, account: Account) -> None:
        """Name the first folder on the way to DATA_DIR that the server's user cannot pass."""
        if account is None:
            return
        for folder in reversed([self.root, *self.root.parents]):
            if not may_pass(folder, account):
                raise Unavailable(
                    f"The data directory {self.root} is out of reach for PostgreSQL",
                    f"it runs as the user {account.pw_name}, who may not pass through {folder}",
                    f"Allow it (chmod o+x {folder}), or set PAO_DATA_DIR to another folder",
                    code="data_dir_unreachable",
                )

    def open_log(self) -> int:
        """Return a descriptor to append to the log; a long log is put aside first."""
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.old"))
        return _private(str(self.log), os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def last_words(self) -> str:
        """Return why the server ended, as its log says."""
        with self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().decode(errors="replace").splitlines()
        fatal = [line for line in lines if "FATAL" in line]
        return (fatal or lines or ["it said nothing"])[-1]

    @contextmanager
    def _open(self, name: str) -> Iterator[int]:
        path = self.root / name
        with reached(path):
            descriptor = _private(str(path), os.O_RDWR | os.O_CREAT)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def own(folder: Path, account: Account) -> None:
    """Make `folder` 0700 and the server's; refuse one that somebody else made."""
    owner = account.pw_uid if account else os.geteuid()
    with reached(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.lstat().st_uid == os.geteuid() != owner:
            os.chown(folder, owner, account.pw_gid if account else -1, follow_symlinks=False)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise Unavailable(
            f"The folder {folder} cannot be used",
            "it is not a folder of the database's user that is closed to all others",
            "Remove it if it is not needed, or set PAO_DATA_DIR to another folder",
            code="data_dir_unreachable",
        )


def write_private(path: Path, text: str, account: Account) -> None:
    """Write a new file that only `account` can read."""
    path.unlink(missing_ok=True)
    with open(path, "x", encoding="ascii", opener=_private) as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
        if account is not None:
            os.fchown(file.fileno(), account.pw_uid, account.pw_gid)


def locked_alone(descriptor: int) -> bool:
    """Turn a shared lock into an exclusive one, if nobody else holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def reached(path: Path) -> Iterator[None]:
    """Turn what the file system refuses inside into a sentence about `path`."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"The data directory is out of reach at {path}",
            error.strerror or str(error),
            "Set PAO_DATA_DIR to a folder that you may write to",
            code="data_dir_unreachable",
        ) from error


def _socket_dir(home: Path) -> Path:
    """Beside the cluster, or in a short folder named by a hash where the path would be too long."""
    beside = home / "run"
    if len(os.fsencode(beside / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_LIMIT:
        return beside
    return Path("/tmp") / f"pao-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"  # noqa: S108


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
