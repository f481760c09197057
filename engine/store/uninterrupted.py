"""Work that a cancellation must not cut in two, and cancellations that must not get lost.

`asyncio.wait_for` of Python 3.11, by which the pool waits for a free connection, drops a cancellation
that comes together with the connection; and an error on the way may take its place. A loop would
then go on for ever, while whoever stopped it waits for its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


async def uninterrupted(work: Awaitable[T]) -> T:
    """Await `work` to its end even when the caller is cancelled meanwhile; that comes after it.

    When both happen, the cancellation is raised and the result or error of `work` is dropped.
    """
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()
        raise


@contextmanager
def heeding_cancellation() -> Iterator[Callable[[], None]]:
    """Raise CancelledError at the end of the block where a cancellation came in it and got lost.

    Gives a function that raises it before the end.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()

    def heed() -> None:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError

    try:
        yield heed
    except Exception:
        heed()
        raise
    heed()
