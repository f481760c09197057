"""Waiting for what will become true, instead of sleeping for what might have."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    probe: Callable[[], T | Awaitable[T]], *, within: float = 20.0, every: float = 0.02
) -> T:
    """Call `probe` until it returns something true and raises no AssertionError; return that.

    After `within` seconds the last AssertionError is raised, or one that shows the last value.
    """
    deadline = time.monotonic() + within
    while True:
        failure: AssertionError | None = None
        value: T | None = None
        try:
            result = probe()
            value = await result if inspect.isawaitable(result) else result
        except AssertionError as error:
            failure = error
        if value:
            return value
        if time.monotonic() > deadline:
            raise failure or AssertionError(f"still {value!r} after {within} seconds")
        await asyncio.sleep(every)
