"""A computation in a process of its own: its answer, its errors, its end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import psutil
import pytest

from engine.catalog.child import child
from engine.errors import PaoError
from tests.support.eventually import eventually

P = ParamSpec("P")
T = TypeVar("T")


async def in_child(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    async with child(function.__module__) as one:
        return await one.call(function, *args, **kwargs)


async def test_it_runs_elsewhere_and_answers() -> None:
    assert await in_child(os.getpid) != os.getpid()
    assert await in_child(sorted, [3, 1, 2], reverse=True) == [3, 2, 1]


async def test_an_error_of_ours_is_raised_here() -> None:
    with pytest.raises(PaoError, match="broken") as caught:
        await in_child(raise_, "broken", "because", code="some_code")
    assert (caught.value.why, caught.value.code) == ("because", "some_code")


async def test_a_child_that_dies_is_an_error() -> None:
    with pytest.raises(PaoError, match="without an answer") as caught:
        await in_child(os._exit, 7)
    assert caught.value.code == "child_died"


async def test_a_cancelled_call_leaves_no_process(tmp_path: Path) -> None:
    call = asyncio.ensure_future(in_child(tell_and_sleep, tmp_path / "pid"))
    await eventually((tmp_path / "pid").exists)
    pid = (tmp_path / "pid").read_text()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not psutil.pid_exists(int(pid))


async def test_a_child_does_not_hear_ctrl_c() -> None:
    # A terminal sends it to the processes of its foreground group.
    assert await in_child(os.getpgrp) != os.getpgrp()


async def test_the_event_loop_goes_on_meanwhile(tmp_path: Path) -> None:
    call = asyncio.ensure_future(in_child(wait_for_file, tmp_path / "go"))
    await asyncio.to_thread((tmp_path / "go").touch)
    assert await call == "seen"


def raise_(what: str, why: str, code: str) -> None:
    raise PaoError(what, why, code=code)


def tell_and_sleep(file: Path) -> None:
    file.with_suffix(".new").write_text(str(os.getpid()))
    file.with_suffix(".new").rename(file)
    time.sleep(600)


def wait_for_file(file: Path) -> str:
    while not file.exists():
        time.sleep(0.01)
    return "seen"


async def test_a_child_that_nobody_asks_ends_with_its_block() -> None:
    async with child("json") as one:
        pid = one._process.pid
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)
