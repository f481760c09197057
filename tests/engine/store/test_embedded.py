from __future__ import annotations

import asyncio
import multiprocessing
import os
import secrets
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from engine.errors import Unavailable
from engine.store.embedded import THROW_AWAY, EmbeddedServer, binaries
from engine.store.embedded.cluster import is_alive
from tests.support.eventually import eventually

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


@pytest.fixture
def data_dir(run_folder: Path, server_dsn: str) -> Iterator[Path]:
    """A data directory that the server's user can reach, stopped and removed afterwards."""
    folder = run_folder / f"data-{secrets.token_hex(4)}"
    yield folder
    with suppress(Unavailable):
        EmbeddedServer(folder).stop()
    shutil.rmtree(folder, ignore_errors=True)


def server_on(folder: Path, **options: Path) -> EmbeddedServer:
    return EmbeddedServer(folder, options=THROW_AWAY, **options)


def ask(dsn: str, question: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(question.encode()).fetchone()
        return row and row[0]


def tell(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


def postmaster_of(folder: Path) -> psutil.Process:
    pid = (folder / "postgres/data/postmaster.pid").read_text().splitlines()[0]
    return psutil.Process(int(pid))


def test_listens_on_a_private_socket_only(data_dir: Path) -> None:
    dsn = server_on(data_dir).start()
    assert ask(dsn, "SHOW listen_addresses") == ""
    for folder in ("postgres", "postgres/run"):
        assert stat.S_IMODE((data_dir / folder).stat().st_mode) == 0o700
    socket = data_dir / "postgres/run/.s.PGSQL.5432"
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700


def test_nobody_gets_in_without_the_password(data_dir: Path) -> None:
    server = server_on(data_dir)
    server.start()
    assert stat.S_IMODE((data_dir / "postgres.password").stat().st_mode) == 0o600
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.dsn_for("pao", "guess"))


def test_is_durable_unless_it_is_for_tests(data_dir: Path) -> None:
    dsn = EmbeddedServer(data_dir).start()
    for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert ask(dsn, f"SHOW {setting}") == "on"


def test_a_role_with_a_password_of_its_own_connects(data_dir: Path) -> None:
    server = server_on(data_dir)
    tell(server.start(), "CREATE ROLE someone LOGIN PASSWORD 'p/w?'")
    assert ask(server.dsn_for("someone", "p/w?"), "SELECT current_user") == "someone"


def test_a_second_starter_shares_the_server(data_dir: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        dsns = list(threads.map(lambda _: server_on(data_dir).start(), range(4)))
    assert len(set(dsns)) == 1
    pids = {ask(dsns[0], "SELECT pg_postmaster_start_time()") for _ in range(2)}
    assert len(pids) == 1


def test_recovers_every_committed_row_after_kill_9(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    dsn = server.start()
    tell(dsn, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    postmaster_of(data_dir).kill()
    assert ask(server.start(), "SELECT count(*) FROM kept") == 1000


def test_a_zombies_pid_does_not_block_the_start(data_dir: Path) -> None:
    server = server_on(data_dir)
    server.start()
    server.stop()
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    try:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        write_pid_file(data_dir, zombie.pid)
        assert ask(server.start(), "SELECT 1") == 1
    finally:
        zombie.wait()


def test_a_pid_that_another_program_has_now_does_not_block_the_start(data_dir: Path) -> None:
    server = server_on(data_dir)
    server.start()
    server.stop()
    write_pid_file(data_dir, os.getpid())
    assert ask(server.start(), "SELECT 1") == 1


def write_pid_file(data_dir: Path, pid: int) -> None:
    cluster = data_dir / "postgres/data"
    (cluster / "postmaster.pid").write_text(f"{pid}\n{cluster}\n1\n5432\n")


def test_stop_says_whether_it_was_running(data_dir: Path) -> None:
    server = server_on(data_dir)
    assert server.stop() is False
    server.start()
    postmaster = postmaster_of(data_dir)
    assert server.stop() is True
    assert not is_alive(postmaster)
    assert server.stop() is False


def test_the_last_holder_to_leave_stops_it(data_dir: Path) -> None:
    first, second = server_on(data_dir), server_on(data_dir)
    with first.held():
        with second.held():
            pass
        assert first.is_running()
    assert not first.is_running()


def test_a_holder_that_was_killed_holds_nothing_any_more(data_dir: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from engine.store.embedded import *\n"
        "with EmbeddedServer(Path(sys.argv[1])).held():\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    server = server_on(data_dir)
    with server.held():
        holder = subprocess.Popen(
            [sys.executable, "-c", script, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            holder.send_signal(signal.SIGKILL)
        assert server.is_running()
    assert not server.is_running()


def test_short_commands_leave_it_running(data_dir: Path) -> None:
    server_on(data_dir).start()
    assert server_on(data_dir).is_running()


async def test_a_keeper_starts_it_again_when_it_died(data_dir: Path) -> None:
    server = server_on(data_dir)
    async with server.kept() as dsn:
        postmaster_of(data_dir).kill()
        await eventually(lambda: not server.is_running())
        await eventually(server.is_running)
        assert ask(dsn, "SELECT 1") == 1
    assert not server.is_running()


async def test_a_keeper_that_is_cancelled_while_it_starts_leaves_nothing(data_dir: Path) -> None:
    server = server_on(data_dir)

    async def keep() -> None:
        async with server.kept():
            await asyncio.Event().wait()

    keeping = asyncio.create_task(keep())
    await eventually((data_dir / "postgres").exists)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert not server.is_running()
    assert server.stop() is False


def test_a_start_that_was_killed_in_initdb_is_begun_anew(data_dir: Path) -> None:
    server = server_on(data_dir)
    server.start()
    server.stop()
    (data_dir / "postgres/data").rename(data_dir / "postgres/data.new")
    (data_dir / "postgres/data.new/PG_VERSION").unlink()
    assert ask(server.start(), "SELECT 1") == 1
    assert not (data_dir / "postgres/data.new").exists()


def test_another_version_is_refused_with_the_way_out(data_dir: Path) -> None:
    server = server_on(data_dir)
    server.start()
    server.stop()
    (data_dir / "postgres/data/PG_VERSION").write_text("9\n")
    with pytest.raises(Unavailable) as refused:
        server.start()
    assert "made by PostgreSQL 9, and this is PostgreSQL" in str(refused.value)
    assert "pg_dumpall" in str(refused.value)
    assert refused.value.code == "data_dir_version"


def test_a_lost_password_is_told(data_dir: Path) -> None:
    server = server_on(data_dir)
    server.start()
    (data_dir / "postgres.password").unlink()
    with pytest.raises(Unavailable, match="password file"):
        server.start()


def test_a_data_directory_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="out of reach"):
        server_on(tmp_path / "file").start()


@needs_root
def test_root_is_told_which_folder_the_server_cannot_pass(data_dir: Path) -> None:
    closed = data_dir / "closed"
    closed.mkdir(parents=True, mode=0o700)
    data_dir.chmod(0o755)
    with pytest.raises(Unavailable, match=f"may not pass through {closed}"):
        server_on(closed / "pao").start()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@needs_root
def test_root_starts_it_as_somebody_else_from_binaries_out_of_reach(
    data_dir: Path, tmp_path: Path
) -> None:
    folder = copy_of_the_binaries(tmp_path / "closed")
    (tmp_path / "closed").chmod(0o700)
    server = server_on(data_dir, binaries=folder)
    assert ask(server.start(), "SELECT 1") == 1
    assert postmaster_of(data_dir).uids().real != 0
    assert len(list((data_dir / "postgres").glob("server-*"))) == 1


@needs_root
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_an_ordinary_user_starts_it_as_themselves(data_dir: Path) -> None:
    data_dir.mkdir()
    folder = copy_of_the_binaries(data_dir / "installed")
    os.chown(data_dir, NOBODY, NOBODY)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=start_as_nobody, args=(data_dir, folder, theirs))
    child.start()
    try:
        assert ours.poll(60)
        assert ours.recv() == (NOBODY, NOBODY)
    finally:
        child.join()
    assert not server_on(data_dir).is_running()


def copy_of_the_binaries(target: Path) -> Path:
    folder = binaries.find()
    base, trees = binaries.installation(folder)
    for tree in trees:
        shutil.copytree(tree, target / tree.relative_to(base), symlinks=True)
    return target / folder.relative_to(base)


def start_as_nobody(data_dir: Path, folder: Path, answer: object) -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    server = server_on(data_dir, binaries=folder)
    with server.held() as dsn:
        assert ask(dsn, "SELECT 1") == 1
        owner = (data_dir / "postgres.password").stat().st_uid
        answer.send((postmaster_of(data_dir).uids().real, owner))  # type: ignore[attr-defined]


def test_a_long_data_directory_gets_a_short_socket(data_dir: Path) -> None:
    server = server_on(data_dir / ("long" * 30))
    data_dir.mkdir(mode=0o711)
    dsn = server.start()
    try:
        assert ask(dsn, "SELECT 1") == 1
        assert str(server._folders.socket_dir).startswith("/tmp/pao-")
        assert stat.S_IMODE(server._folders.socket_dir.stat().st_mode) == 0o700
    finally:
        server.stop()
        shutil.rmtree(server._folders.socket_dir)
