"""Terraform's cache of plug-ins is had by one init at a time, on the whole machine."""

from __future__ import annotations

import asyncio
import fcntl
import sys
from pathlib import Path

from engine.steps.terraform.plugin_cache import plugin_cache
from tests.support.eventually import eventually


async def test_one_at_a_time_has_it(tmp_path: Path) -> None:
    async with plugin_cache(tmp_path / "plugins"):
        others = [asyncio.ensure_future(take(tmp_path)) for _ in range(3)]
        done, _ = await asyncio.wait(others, timeout=0.3)
        assert not done
    await asyncio.gather(*others)


async def test_an_init_that_outlives_its_worker_keeps_it(tmp_path: Path) -> None:
    async with plugin_cache(tmp_path / "plugins") as lock:
        orphan = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE, pass_fds=(lock,)
        )
    assert not is_free(tmp_path)
    waiting = asyncio.ensure_future(take(tmp_path))
    await orphan.communicate(b"\n")
    await waiting


async def test_who_gives_up_waiting_leaves_nothing_locked(tmp_path: Path) -> None:
    async with plugin_cache(tmp_path / "plugins"):
        waiting = asyncio.ensure_future(take(tmp_path))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
    await eventually(lambda: free(tmp_path))


async def take(folder: Path) -> None:
    async with plugin_cache(folder / "plugins"):
        pass


async def free(folder: Path) -> bool:
    return is_free(folder)


def is_free(folder: Path) -> bool:
    with (folder / "plugins.lock").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
