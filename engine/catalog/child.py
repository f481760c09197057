"""One long computation in a process of its own, so that no event loop waits for the interpreter.

A thread is not enough: parsing holds the interpreter's lock in slices, and a bot that answers
within three seconds stutters meanwhile. The child is a fresh interpreter: no locks or connections of
ours are copied into it, and it imports what the function needs and nothing else. It has a session of
its own, so that Ctrl-C at the terminal does not reach it and that it ends with all that it started
when the caller is cancelled. If the caller's process dies, the child ends when it tries to answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar, cast

from engine.errors import PaoError

P = ParamSpec("P")
T = TypeVar("T")

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from engine.catalog.child import answer; answer(int(sys.argv[2]), sys.argv[3])"
)


class Child:
    """A process that is asked once."""

    def __init__(self, pipe: Connection, process: subprocess.Popen[bytes]) -> None:
        """Take the process and our end of the pipe to it."""
        self._pipe = pipe
        self._process = process

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a module's function there, with arguments that can be pickled.

        A PaoError that the function raises is raised here; anything else that ends the child without
        an answer is a PaoError with code `child_died`.
        """
        answer = await asyncio.to_thread(_asked, self._pipe, (function, args, kwargs))
        _end(self._process)  # what it holds is not needed any more
        if isinstance(answer, PaoError):
            raise answer
        return cast("T", answer)


@asynccontextmanager
async def child(module: str) -> AsyncIterator[Child]:
    """Start a new process, which imports `module` until it is asked; it ends with the block."""
    here, there = Pipe()
    with here:
        with there:
            process = await asyncio.to_thread(_started, there, module)
        try:
            yield Child(here, process)
        finally:
            _end(process)
            await asyncio.shield(asyncio.to_thread(process.wait))


def answer(descriptor: int, module: str) -> None:
    """Compute what is asked for at the other end of a pipe; the child's whole life."""
    # Millions of objects are made and kept to the end: to look for cycles among them, again and
    # again, takes longer than the work itself.
    gc.disable()
    with Connection(descriptor) as connection:
        import_module(module)
        try:
            function, args, kwargs = connection.recv()
        except EOFError:  # nobody asks any more
            return
        try:
            found: Any = function(*args, **kwargs)
        except PaoError as error:
            found = error
        connection.send(found)


def _started(there: Connection, module: str) -> subprocess.Popen[bytes]:
    # Without -P a folder called `engine` in the working directory would be taken for ours.
    paths = json.dumps(sys.path)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _PROGRAM, paths, str(there.fileno()), module],
        stdin=subprocess.DEVNULL,
        pass_fds=(there.fileno(),),
        start_new_session=True,
    )


def _asked(connection: Connection, question: object) -> Any:
    try:
        connection.send(question)
        return connection.recv()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return PaoError(
            "The catalog could not be read",
            "the process that read it ended without an answer",
            "Sync again; if that repeats, look at the memory of the machine",
            code="child_died",
        )


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill a child that has answered or is not wanted any more, and its own children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
