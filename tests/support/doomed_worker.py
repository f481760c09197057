"""A worker process that kills itself with -9 at one point of a step's life, the first time it comes there.

    python -m tests.support.doomed_worker DSN DATA_DIR URL POINT

The step type `Doomed` makes something at URL (by its idempotency key), waits for it, and verifies it.
POINT is where the process dies; `never` lives. A file in DATA_DIR says that the death was died.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from engine.dispatch.base import Carrier
from engine.execution import finish as finish_module
from engine.execution.reaper import reap
from engine.execution.run import Surroundings
from engine.outbound import Outbound
from engine.secrets import Cipher, SecretFiles
from engine.steps.base import Completed, StepContext, Waiting
from engine.steps.extension import Registry
from engine.store import execution
from engine.store.pool import close_pool, new_pool, open_pool
from engine.verifications.base import Verdict
from tests.support.engines import config
from tests.support.workbench import Anything, ScriptedTickets

LEASE = timedelta(seconds=1)
POINTS = (
    "start before the effect",
    "start after the effect",
    "poll",
    "verify",
    "before the finish is written",
    "after the finish is written",
)


class Doom:
    """Kills this process at a point, once over all processes of the test."""

    def __init__(self, point: str, data_dir: Path) -> None:
        self._point = point
        self._died = data_dir / "died"

    def at(self, point: str) -> None:
        if point == self._point and not self._died.exists():
            self._died.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Doomed:
    """Makes something outside, once by its key; waits for it."""

    name: ClassVar[str] = "Doomed"
    template_model: ClassVar[type[BaseModel]] = Anything
    verifications: ClassVar[frozenset[str]] = frozenset({"doomed"})
    outputs: ClassVar[frozenset[str] | None] = None

    def __init__(self, url: str, outbound: Outbound, doom: Doom) -> None:
        self._url = url
        self._outbound = outbound
        self._doom = doom

    async def start(self, context: StepContext) -> Waiting:
        self._doom.at("start before the effect")
        await context.check_lease()
        key = context.idempotency_key
        await self._outbound.request(
            "POST", f"{self._url}/things", headers={"idempotency-key": key}
        )
        self._doom.at("start after the effect")
        return Waiting(0.05, {"key": key}, job_id=key)

    async def poll(self, context: StepContext) -> Completed:
        self._doom.at("poll")
        return Completed({"made": context.external["key"]})

    async def cancel(self, context: StepContext) -> None:
        return


class DoomedVerification:
    """Says yes, if it lives to say so."""

    name: ClassVar[str] = "doomed"
    model: ClassVar[type[BaseModel]] = Anything

    def __init__(self, doom: Doom) -> None:
        self._doom = doom

    async def check(self, *_: object) -> Verdict:
        self._doom.at("verify")
        return Verdict(True, "yes", "yes")


async def main(dsn: str, data_dir: Path, url: str, point: str) -> None:
    doom = Doom(point, data_dir)
    settings = config(dsn, data_dir, lease=LEASE)
    outbound = Outbound(settings.outbound_allow)
    pool = new_pool(dsn)
    await open_pool(pool)
    _doom_the_finish(doom)
    around = Surroundings(
        pool=pool,
        steps=Registry("step type", {"Doomed": Doomed(url, outbound, doom)}),
        verifications=Registry("verification", {"doomed": DoomedVerification(doom)}),
        cipher=Cipher(settings.encryption_keys),
        secret_files=SecretFiles(None),
        data_dir=data_dir,
    )
    systems: Any = Registry("ticket system", {"webhook": ScriptedTickets()})
    carrier = Carrier(around, systems, settings)
    await carrier.start()
    print("ready", flush=True)  # noqa: T201
    try:
        while True:
            await reap(pool, LEASE)
            await asyncio.sleep(0.2)
    finally:
        await carrier.stop()
        await outbound.stop()
        await close_pool(pool)


def _doom_the_finish(doom: Doom) -> None:
    """Die right before or right after the transaction of a completed step."""
    write = finish_module.write_finishes

    async def doomed(pool: Any, finishes: list[execution.Finish]) -> list[execution.Finished]:
        is_end = any(one.outcome == "completed" for one in finishes)
        if is_end:
            doom.at("before the finish is written")
        done = await write(pool, finishes)
        if is_end:
            doom.at("after the finish is written")
        return done

    finish_module.write_finishes = doomed  # type: ignore[assignment]


if __name__ == "__main__":
    dsn_, data_dir_, url_, point_ = sys.argv[1:]
    asyncio.run(main(dsn_, Path(data_dir_), url_, point_))
