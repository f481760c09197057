"""One long computation in a process of its own, so that no event loop waits for the interpreter.

A thread is not enough: parsing holds the interpreter's lock in slices, and a bot that answers
within three seconds stutters meanwhile. The child starts afresh (spawn: no locks or connections of
ours are copied into it), ignores Ctrl-C, which the terminal sends to it as well, and is killed when
the caller is cancelled. If the caller's process dies, the child ends when it tries to answer.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar, cast

from engine.errors import PaoError

P = ParamSpec("P")
T = TypeVar("T")

END_SECONDS = 5.0
"""How long a child that has answered may take to go."""


async def in_child(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a module's function, with arguments that can be pickled, in a new process.

    A PaoError that the function raises is raised here; anything else that ends the child without
    an answer is a PaoError with code `child_died`.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(
        target=_answer, args=(there, function, args, kwargs), name=function.__name__, daemon=True
    )
    try:
        await asyncio.to_thread(child.start)
        there.close()
        answer = await asyncio.to_thread(_received, here)
        await asyncio.to_thread(child.join, END_SECONDS)
    finally:
        if child.pid is not None:
            child.kill()
            await asyncio.shield(asyncio.to_thread(child.join))
        here.close()
    if isinstance(answer, PaoError):
        raise answer
    return cast("T", answer)


def _received(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:
        return PaoError(
            "The catalog could not be read",
            "the process that read it ended without an answer",
            "Sync again; if that repeats, look at the memory of the machine",
            code="child_died",
        )


def _answer(connection: Connection, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Millions of objects are made and kept to the end: to look for cycles among them, again and
    # again, takes longer than the work itself.
    gc.disable()
    try:
        answer: Any = function(*args, **kwargs)
    except PaoError as error:
        answer = PaoError(error.what, error.why, error.do, code=error.code)
    connection.send(answer)
