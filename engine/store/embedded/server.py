"""The server's life: start, share, hold, watch, stop. The story is at the head of the package."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
import structlog

from engine.errors import Unavailable
from engine.store.embedded import binaries as programs
from engine.store.embedded import cluster
from engine.store.embedded.account import Account, launch, server_account
from engine.store.embedded.folders import Folders, locked_alone, own
from engine.store.uninterrupted import uninterrupted

DATABASE = "postgres"

START_SECONDS = 90.0
"""Longest wait for a server to answer: crash recovery replays up to a gigabyte of log."""

STOP_SECONDS = 30.0
"""Longest wait for a fast shutdown before it becomes an immediate one."""

WATCH_SECONDS = 1.0
"""How often a long-running process looks whether the server still lives."""

log = structlog.get_logger(__name__)


class EmbeddedServer:
    """The server on one data directory, shared by every process that names the same."""

    def __init__(
        self, data_dir: Path, *, binaries: Path | None = None, options: Sequence[str] = ()
    ) -> None:
        """`binaries`: a folder with initdb, instead of those found; `options`: `name=value`."""
        self._folders = Folders(data_dir)
        self._binaries = binaries
        self._options = tuple(options)

    @property
    def dsn(self) -> str:
        """A plain libpq URI; Unavailable before the first start."""
        return self.dsn_for(cluster.ROLE, self._folders.password())

    def dsn_for(self, role: str, password: str) -> str:
        """Return the URI by which another role reaches this server."""
        return (
            f"postgresql://{quote(role, '')}:{quote(password, '')}@/{DATABASE}"
            f"?host={quote(str(self._folders.socket_dir))}"
        )

    def start(self) -> str:
        """Make sure that the server answers, and return its DSN; it stays when we end.

        Unavailable, with the reason, when it cannot.
        """
        self._folders.prepare()
        with self._folders.locked():
            return self._started()

    def stop(self) -> bool:
        """Stop the server, whoever uses it; False when it was not running."""
        if not self._folders.root.is_dir():
            return False
        with self._folders.locked():
            return self._stopped()

    @contextmanager
    def held(self) -> Iterator[str]:
        """Keep the server for as long as the block lasts; the last holder to leave stops it."""
        self._folders.prepare()
        with contextlib.ExitStack() as stack:
            with self._folders.locked():
                users = stack.enter_context(self._folders.users())
                dsn = self._started()
            try:
                yield dsn
            finally:
                with self._folders.locked():
                    fcntl.flock(users, fcntl.LOCK_UN)
                    if locked_alone(users):
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

    def is_running(self) -> bool:
        """Say whether a connection works now."""
        return self._connection_error() is None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if cluster.postmaster(self._folders.cluster) is None:
                log.warning("embedded_database_died", data_dir=str(self._folders.root))
                try:
                    await uninterrupted(asyncio.to_thread(self.start))
                except (Unavailable, OSError) as error:
                    log.warning("embedded_database_not_started", error=str(error))

    # What follows runs under the lock.

    def _started(self) -> str:
        if self._connection_error() is not None:
            self._start_anew()
        return self.dsn

    def _start_anew(self) -> None:
        folders = self._folders
        account = server_account(folders.home)
        folders.refuse_unreachable(account)
        own(folders.home, account)
        own(folders.socket_dir, account)
        binaries = programs.usable(self._binaries or programs.find(), folders.home, account)
        cluster.make(folders, binaries, account, self._options)
        cluster.refuse_other_version(folders, binaries)
        deadline = time.monotonic() + START_SECONDS
        while cluster.postmaster(folders.cluster) is not None:
            # Somebody else's, which is still starting up or going down.
            if self._answers(deadline):
                return
        cluster.clear_after_death(folders)
        self._await_answer(self._launch(binaries.folder, account), deadline)

    def _stopped(self) -> bool:
        postmaster = cluster.postmaster(self._folders.cluster)
        if postmaster is None:
            return False
        for how in (signal.SIGINT, signal.SIGQUIT):  # fast, then immediate shutdown
            with contextlib.suppress(psutil.NoSuchProcess):
                postmaster.send_signal(how)
            if cluster.until(lambda: not cluster.is_alive(postmaster), STOP_SECONDS):
                return True
        raise Unavailable(
            "The embedded PostgreSQL does not stop",
            f"process {postmaster.pid} ignores an immediate shutdown",
            f"Look at {self._folders.log}",
        )

    def _launch(self, binaries: Path, account: Account) -> subprocess.Popen[bytes]:
        folders = self._folders
        socket_dir = str(folders.socket_dir).replace('"', '""')
        options = (
            "listen_addresses=",
            f'unix_socket_directories="{socket_dir}"',
            "unix_socket_permissions=0700",
            "log_timezone=UTC",
            *self._options,
        )
        argv = [str(binaries / "postgres"), "-D", str(folders.cluster)]
        argv += [part for option in options for part in ("-c", option)]
        output = folders.open_log()
        try:
            return launch(argv, account, output)
        finally:
            os.close(output)

    def _await_answer(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        """Wait until the server that we started answers."""
        while not self._answers(deadline):
            if process.poll() is not None:
                raise Unavailable(
                    "The embedded PostgreSQL did not start",
                    self._folders.last_words(),
                    f"The whole story is in {self._folders.log}",
                )

    def _answers(self, deadline: float) -> bool:
        """Say whether a connection works, after a moment's wait when it does not."""
        error = self._connection_error()
        if error is None:
            return True
        if time.monotonic() > deadline or "authentication failed" in error:
            raise Unavailable(
                "The embedded PostgreSQL does not answer", error, f"Look at {self._folders.log}"
            )
        time.sleep(0.02)
        return False

    def _connection_error(self) -> str | None:
        """Return why a connection does not work, or None when it does."""
        if not self._folders.socket.exists():
            return "its socket is not there yet"
        try:
            psycopg.connect(self.dsn, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            return str(error).strip()
        return None


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run `work` while the block lasts."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
