"""dbos's workflows of five no-op steps from a queue, beside which the engine's chains are measured.

    python -m bench.dbos_workflows DATABASE_URL WORKFLOWS

Runs in a process of its own, since dbos keeps one instance, threads and a registry a process. The
workflows are queued before it listens; what counts is the time from the first step to the last
workflow's end, so its start and its polling of an empty queue cost it nothing. Prints steps a second.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from importlib.util import find_spec

STEPS = 5
SLOTS = 50
QUEUE = "bench"
SECONDS = 300.0
"""What all workflows may take at most."""

IS_INSTALLED = find_spec("dbos") is not None
"""bench/requirements.lock brings it; without it the figure is left out by name."""


async def per_second(dsn: str, workflows: int) -> float:
    """Run `workflows` of five steps in a process of its own; return steps a second."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.dbos_workflows",
        dsn,
        str(workflows),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"dbos failed: {err.decode()[-2000:]}")
    return float(out.decode().split()[-1])


def measure(dsn: str, workflows: int) -> float:
    """Queue the workflows, then carry them; return steps a second."""
    from dbos import DBOS, DBOSClient  # noqa: PLC0415 (only in the child, and only where installed)

    begun: list[float] = []
    ended = 0
    lock, all_ended = threading.Lock(), threading.Event()

    @DBOS.step()
    def noop() -> bool:
        if not begun:
            begun.append(time.perf_counter())
        return True

    @DBOS.workflow()
    def chain() -> None:
        nonlocal ended
        for _ in range(STEPS):
            noop()
        with lock:
            ended += 1
            if ended == workflows:
                all_ended.set()

    url = dsn.replace("postgresql://", "postgresql+psycopg://", 1)
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})
    DBOS.launch()
    client = DBOSClient(system_database_url=url, application_name="bench")
    for _ in range(workflows):
        client.enqueue({"queue_name": QUEUE, "workflow_name": chain.__qualname__})
    # Nothing listens to a queue before it is registered: here the carrying begins.
    DBOS.register_queue(QUEUE, worker_concurrency=SLOTS, polling_interval_sec=0.01)
    if not all_ended.wait(SECONDS):
        raise TimeoutError(f"{ended} of {workflows} workflows ended")
    return workflows * STEPS / (time.perf_counter() - begun[0])


if __name__ == "__main__":
    print(measure(sys.argv[1], int(sys.argv[2])))
    sys.stdout.flush()
    os._exit(0)  # its threads would hold the process
