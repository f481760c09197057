"""What every dispatcher promises, whatever is killed and whenever: one suite over both.

Workers are processes of their own, with short leases.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine import RequestView, Submission
from engine.requests import submit, views
from engine.requests.submit import Intake
from engine.secrets import Cipher
from engine.store.embedded import EmbeddedServer
from engine.store.migrate import migrate
from engine.store.pool import (
    Connection,
    Pool,
    close_pool,
    connect,
    new_pool,
    open_pool,
    transaction,
)
from tests.support.conformance_worker import TRACES
from tests.support.cut_line import line_to
from tests.support.encryption import KEY
from tests.support.engines import ALICE, add_item, automation, config, rows_of
from tests.support.eventually import eventually

ROOT = Path(__file__).parents[2]
LEASE = 3.0
SLOTS = 4

Worker = asyncio.subprocess.Process
Reborn = Callable[[], Awaitable[None]]
Start = Callable[..., Awaitable[Worker]]
"""`dsn`: by which way it reaches the database; `clock`: seconds by which its clock is wrong."""


@dataclass
class Cluster:
    """A database, workers on it, and what they left behind."""

    pool: Pool
    connection: Connection
    data_dir: Path
    dsn: str
    start: Start

    async def request(self, name: str, steps: dict[str, list[str]]) -> RequestView:
        """Request an item whose steps depend on each other like this."""
        written = [
            {"name": step, "type": "Traced", "template": {}, "depends_on": needs}
            for step, needs in steps.items()
        ]
        await add_item(self.connection, name, fulfillment=automation(written))
        intake = Intake(config(self.dsn, self.data_dir), Cipher([KEY]), frozenset({"Traced"}))
        async with transaction(self.pool) as connection:
            wanted = Submission({}, item=name)
            return await views.view(
                connection, await submit.submit(connection, intake, ALICE, wanted)
            )

    async def view(self, request: RequestView) -> RequestView:
        async with transaction(self.pool) as connection:
            row = await views.find(connection, ALICE, request.request_id)
            return await views.view(connection, row.id)

    async def completed(self, *requests: RequestView) -> None:
        for request in requests:
            await eventually(lambda r=request: self._is_completed(r))  # type: ignore[misc]

    async def _is_completed(self, request: RequestView) -> bool:
        view = await self.view(request)
        assert view.status not in {"failed", "aborted", "cancelled"}, view
        return view.status == "completed"

    async def shut(self, *names: str) -> None:
        for name in names:
            await self.connection.execute(b"INSERT INTO gates VALUES (%s)", (name,))

    async def open(self, *names: str) -> None:
        await self.connection.execute(b"DELETE FROM gates WHERE name = ANY (%s)", (list(names),))

    async def traces(self, what: str) -> list[tuple[str, str, int]]:
        """(request, step, worker) of each beginning or end, in order."""
        query = "SELECT request, step, worker FROM traces WHERE what = %s ORDER BY id"
        return [tuple(row) for row in await rows_of(self.connection, query, what)]

    async def begun(self, step: str, times: int = 1) -> int:
        """The worker that began a step last, once it was begun so often."""

        async def look() -> list[int]:
            workers = [worker for _, name, worker in await self.traces("begun") if name == step]
            return workers if len(workers) >= times else []

        return (await eventually(look))[-1]

    async def completions(self) -> Counter[Any]:
        """How often each step was completed, as the events say."""
        return Counter(
            await rows_of(
                self.connection, "SELECT step_id FROM events WHERE kind = 'step.completed'"
            )
        )


@pytest.fixture(params=["apscheduler", "procrastinate"])
async def cluster(
    request: pytest.FixtureRequest,
    dsn: str,
    pool: Pool,
    connection: Connection,
    tmp_path: Path,
) -> AsyncIterator[Cluster]:
    await connection.execute(TRACES.encode())
    async with AsyncExitStack() as stack:
        yield Cluster(
            pool, connection, tmp_path, dsn, _starter(stack, dsn, tmp_path, request.param)
        )


@pytest.fixture(params=["apscheduler", "procrastinate"])
async def mortal_cluster(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Cluster, Reborn]]:
    """A cluster on a server of its own; calling what comes with it kills the server and starts it."""
    folder = Path(tempfile.mkdtemp(prefix="pao-conform-"))
    server = EmbeddedServer(folder)
    dsn = await asyncio.to_thread(server.start)
    await migrate(dsn)
    pool = new_pool(dsn, max_size=4)
    await open_pool(pool)
    connection = await connect(dsn, "test")
    await connection.execute(TRACES.encode())
    try:
        async with AsyncExitStack() as stack:
            start = _starter(stack, dsn, tmp_path, request.param)

            async def reborn() -> None:
                pid = (folder / "postgres/data/postmaster.pid").read_text().splitlines()[0]
                os.kill(int(pid), signal.SIGKILL)
                await asyncio.to_thread(server.start)

            yield Cluster(pool, connection, tmp_path, dsn, start), reborn
    finally:
        await connection.close()
        await close_pool(pool)
        await asyncio.to_thread(server.stop)
        shutil.rmtree(folder)


def _starter(stack: AsyncExitStack, dsn: str, data_dir: Path, dispatcher: str) -> Start:
    async def start(*, dsn: str = dsn, clock: float = 0.0) -> Worker:
        return await stack.enter_async_context(_worker(dsn, data_dir, dispatcher, clock))

    return start


@asynccontextmanager
async def _worker(dsn: str, data_dir: Path, dispatcher: str, clock: float) -> AsyncIterator[Worker]:
    arguments = (dsn, str(data_dir), dispatcher, str(LEASE), str(SLOTS), str(clock))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.conformance_worker",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while b"ready" not in (line := await process.stdout.readline()):
                assert line, "the worker ended before it was ready"
        reading = asyncio.create_task(process.stdout.read())
        yield process
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


async def test_several_workers_complete_each_step_once_in_order(cluster: Cluster) -> None:
    requests = [await cluster.request(f"item-{n}", DIAMOND) for n in range(15)]
    workers = await asyncio.gather(cluster.start(), cluster.start())

    await cluster.completed(*requests)

    begun = await cluster.traces("begun")
    ended = await cluster.traces("ended")
    assert Counter((request, step) for request, step, _ in begun) == Counter(
        (request.request_id, step) for request in requests for step in DIAMOND
    )
    assert len(ended) == len(begun)
    assert set((await cluster.completions()).values()) == {1}
    assert {worker for *_, worker in begun} <= {worker.pid for worker in workers}
    assert await _out_of_order(cluster) == []


async def test_a_killed_workers_steps_are_taken_over_within_two_leases(cluster: Cluster) -> None:
    await cluster.shut("a")
    request = await cluster.request("item", {"a": [], "b": ["a"]})
    first = await cluster.start()
    assert await cluster.begun("a") == first.pid
    second = await cluster.start()
    killed_at = await _now(cluster)
    first.kill()

    assert await cluster.begun("a", times=2) == second.pid
    taken_over_after = await rows_of(
        cluster.connection,
        "SELECT extract(epoch FROM max(at) - %s)::float8 FROM traces WHERE what = 'begun'",
        killed_at,
    )
    await cluster.open("a")
    await cluster.completed(request)

    assert taken_over_after[0] < 2 * LEASE
    assert set((await cluster.completions()).values()) == {1}
    losses = "SELECT error_type FROM step_attempts WHERE status = 'failed'"
    assert await rows_of(cluster.connection, losses) == ["worker_lost"]


async def test_a_frozen_worker_is_fenced_out(cluster: Cluster) -> None:
    await cluster.shut("a", "b")
    request = await cluster.request("item", {"a": [], "b": ["a"]})
    frozen = await cluster.start()
    await cluster.begun("a")
    frozen.send_signal(signal.SIGSTOP)
    second = await cluster.start()
    assert await cluster.begun("a", times=2) == second.pid
    await cluster.open("a")
    assert await cluster.begun("b") == second.pid
    frozen.send_signal(signal.SIGCONT)

    await _is_fenced_out(cluster, frozen, second, request)


async def test_a_worker_that_is_cut_off_is_fenced_out(cluster: Cluster) -> None:
    await cluster.shut("a", "b")
    request = await cluster.request("item", {"a": [], "b": ["a"]})
    with tempfile.TemporaryDirectory(prefix="pao-line-") as folder:
        async with line_to(cluster.dsn, Path(folder)) as line:
            distant = await cluster.start(dsn=line.dsn)
            assert await cluster.begun("a") == distant.pid
            line.cut()
            second = await cluster.start()
            assert await cluster.begun("a", times=2) == second.pid
            await cluster.open("a")
            assert await cluster.begun("b") == second.pid
            line.mend()

            await _is_fenced_out(cluster, distant, second, request)


async def _is_fenced_out(
    cluster: Cluster, late: Worker, second: Worker, request: RequestView
) -> None:
    """What a worker had of step "a" when it comes back counts for nothing; it works on, and ends well."""
    later = [await cluster.request(f"later-{n}", {"x": [], "y": ["x"]}) for n in range(5)]
    await cluster.completed(*later)
    late.send_signal(signal.SIGTERM)
    assert await late.wait() == 0
    assert {step.name: step.status for step in (await cluster.view(request)).steps} == {
        "a": "completed",
        "b": "running",
    }
    await cluster.open("b")
    await cluster.completed(request)

    assert set((await cluster.completions()).values()) == {1}
    outputs = "SELECT outputs->>'worker' FROM request_steps WHERE step_name = 'a'"
    assert await rows_of(cluster.connection, outputs) == [str(second.pid)]
    losses = "SELECT error_type FROM step_attempts WHERE status = 'failed'"
    assert await rows_of(cluster.connection, losses) == ["worker_lost"]


@pytest.mark.parametrize("clock", [-3600.0, 3600.0])
async def test_a_clock_that_is_an_hour_wrong_does_no_harm(cluster: Cluster, clock: float) -> None:
    await cluster.shut("x")
    held = await cluster.request("held", {"x": []})
    wrong = await cluster.start(clock=clock)
    assert await cluster.begun("x") == wrong.pid
    right = await cluster.start()
    requests = [await cluster.request(f"item-{n}", DIAMOND) for n in range(10)]
    await cluster.completed(*requests)
    renewed = "SELECT lease_expires_at > clock_timestamp() FROM request_steps WHERE step_name = 'x'"
    assert await rows_of(cluster.connection, renewed) == [True]
    right.kill()
    wrong.kill()
    third = await cluster.start(clock=clock)

    assert await cluster.begun("x", times=2) == third.pid
    await cluster.open("x")
    await cluster.completed(held)

    assert set((await cluster.completions()).values()) == {1}
    assert await _out_of_order(cluster) == []
    lost = (
        "SELECT DISTINCT s.step_name FROM step_attempts a JOIN request_steps s ON s.id = a.step_id"
    )
    assert set(await rows_of(cluster.connection, lost + " WHERE a.status = 'failed'")) == {"x"}


async def test_a_database_that_is_killed_and_started_again_loses_nothing(
    mortal_cluster: tuple[Cluster, Reborn],
) -> None:
    cluster, reborn = mortal_cluster
    await cluster.shut("c")
    requests = [await cluster.request(f"item-{n}", DIAMOND) for n in range(6)]
    workers = await asyncio.gather(cluster.start(), cluster.start())
    await cluster.begun("c")

    await reborn()
    cluster.connection = await connect(cluster.dsn, "test")

    await cluster.open("c")
    await cluster.completed(*requests)
    assert set((await cluster.completions()).values()) == {1}
    assert await _out_of_order(cluster) == []
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
        assert await worker.wait() == 0
    await cluster.connection.close()


async def test_a_worker_that_is_told_to_end_finishes_what_runs_and_claims_no_more(
    cluster: Cluster,
) -> None:
    await cluster.shut("a")
    request = await cluster.request("item", {"a": [], "b": ["a"]})
    worker = await cluster.start()
    await cluster.begun("a")
    worker.send_signal(signal.SIGTERM)
    await eventually(lambda: cluster.traces("ending"))
    await cluster.open("a")

    assert await worker.wait() == 0
    view = await cluster.view(request)
    assert {step.name: step.status for step in view.steps} == {"a": "completed", "b": "pending"}
    await cluster.start()
    await cluster.completed(request)
    assert set((await cluster.completions()).values()) == {1}


@pytest.mark.parametrize("begun", [1, 9, 25])
async def test_a_worker_that_is_told_to_end_among_claims_finishes_and_jobs_leaves_nothing_behind(
    cluster: Cluster, begun: int
) -> None:
    requests = [await cluster.request(f"item-{n}", DIAMOND) for n in range(10)]
    worker = await cluster.start()

    async def has_begun() -> bool:
        return len(await cluster.traces("begun")) >= begun

    await eventually(has_begun, every=0.001)
    worker.send_signal(signal.SIGTERM)

    assert await worker.wait() == 0
    held = "SELECT count(*) FROM request_steps WHERE lease_owner IS NOT NULL"
    assert await rows_of(cluster.connection, held) == [0]
    assert len(await cluster.traces("ended")) == len(await cluster.traces("begun"))
    await cluster.start()
    await cluster.completed(*requests)
    assert set((await cluster.completions()).values()) == {1}
    # What was claimed in the moment of the signal is given back, at once and uncounted; nothing is lost.
    ends = "SELECT DISTINCT error_type FROM step_attempts WHERE error_type IS NOT NULL"
    assert set(await rows_of(cluster.connection, ends)) <= {"worker_stopped"}


async def test_periodic_jobs_run_once_across_workers(cluster: Cluster) -> None:
    await asyncio.gather(cluster.start(), cluster.start())
    query = "SELECT owner FROM leaders WHERE job = 'form_sessions'"

    owners = await eventually(lambda: rows_of(cluster.connection, query))

    # The job is hourly: whoever comes second finds it led, also after ticks of the other.
    await cluster.completed(await cluster.request("item", {"a": []}))
    assert await rows_of(cluster.connection, query) == owners


async def _out_of_order(cluster: Cluster) -> list[Any]:
    """The steps that began before one that they depend on had ended."""
    return await rows_of(
        cluster.connection,
        "SELECT r.request_id, s.step_name FROM request_steps s"
        " JOIN service_requests r ON r.id = s.request_id"
        " JOIN request_steps before ON before.request_id = s.request_id"
        "   AND before.step_id = ANY (s.depends_on)"
        " WHERE (SELECT min(at) FROM traces t WHERE t.request = r.request_id"
        "        AND t.step = s.step_name AND what = 'begun')"
        "     < (SELECT max(at) FROM traces t WHERE t.request = r.request_id"
        "        AND t.step = before.step_name AND what = 'ended')",
    )


async def _now(cluster: Cluster) -> Any:
    return (await rows_of(cluster.connection, "SELECT clock_timestamp()"))[0]
