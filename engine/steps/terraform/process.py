"""One terraform process at a time: started, followed, interrupted, and never left behind.

Its output goes to files, not to pipes: a pipe would kill an orphan that writes to it, hold us for
as long as a grandchild keeps it open, and end at a line that is too long.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import StepFailed
from engine.steps.terraform.log import LogReader, Problem, plain_problems

INTERRUPT_GRACE = 20.0
"""Seconds that an interrupted terraform has to save its state before it is killed."""

FOLLOW_EVERY = 0.25
"""Seconds between two looks at a running process's output."""

CHUNK = 1 << 20
"""Bytes that are read at once of the output."""

INTERRUPTED = ".interrupted"
"""File in a process's folder: it was interrupted already; a second time would make it drop its
state."""

Log = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that ended: its exit code (negative: the signal that killed it) and what it said."""

    exit_code: int
    problems: Sequence[Problem] = ()
    output: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Program:
    """terraform in one folder with one environment."""

    binary: str
    folder: Path
    environment: Mapping[str, str]
    log: Log
    grace: float = INTERRUPT_GRACE

    async def run(self, *arguments: str, pass_fds: Sequence[int] = ()) -> Finished:
        """Run a command, its output going to the log; cancelled, it is ended first."""
        reader = LogReader()
        target = self.folder / "command.log"
        async with self._process(arguments, target, target, pass_fds) as process:
            await self._follow(process, target, reader)
        return Finished(process.returncode or 0, reader.problems)

    async def read(self, *arguments: str, largest: int) -> Finished:
        """Run a command that prints data, which may be secret and is not logged."""
        target, errors = self.folder / "command.out", self.folder / "command.err"
        async with self._process(arguments, target, errors) as process:
            await process.wait()
        said = await asyncio.to_thread(_head, target, largest)
        if not process.returncode:
            return Finished(0, output=said)
        text = (await asyncio.to_thread(_head, errors, CHUNK)).decode("utf-8", "replace")
        await self._say(text)
        return Finished(process.returncode, plain_problems(text), said)

    @asynccontextmanager
    async def _process(
        self, arguments: Sequence[str], out: Path, err: Path, pass_fds: Sequence[int] = ()
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Give a process that does not outlive the block, whatever ends it, nor does its group."""
        starting = asyncio.ensure_future(self._start(arguments, out, err, pass_fds))
        try:
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            await _end(await starting, self.folder, self.grace)
            raise
        try:
            yield process
        except BaseException:
            await _end(process, self.folder, self.grace)
            raise
        finally:
            _kill_group(process.pid)

    async def _start(
        self, arguments: Sequence[str], out: Path, err: Path, pass_fds: Sequence[int]
    ) -> asyncio.subprocess.Process:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        files = [os.open(path, flags, 0o600) for path in dict.fromkeys((out, err))]
        try:
            return await asyncio.create_subprocess_exec(
                self.binary,
                *arguments,
                cwd=self.folder,
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=files[0],
                stderr=files[-1],
                start_new_session=True,
                pass_fds=pass_fds,
            )
        except OSError as error:
            raise StepFailed(
                "terraform_missing",
                f"{self.binary} cannot be started: {error.strerror}",
                kind="permanent",
                do="Name another program in PAO_TERRAFORM_BIN; `pao doctor` shows what is found",
            ) from error
        finally:
            for file in files:
                os.close(file)

    async def _follow(
        self, process: asyncio.subprocess.Process, target: Path, reader: LogReader
    ) -> None:
        """Log what the process writes until it has ended."""
        ended = asyncio.ensure_future(process.wait())
        at = 0
        try:
            while True:
                done, _ = await asyncio.wait([ended], timeout=FOLLOW_EVERY)
                while data := await asyncio.to_thread(_piece, target, at):
                    at += len(data)
                    await self._say(reader.feed(data))
                if done:
                    break
        finally:
            ended.cancel()
        await self._say(reader.end())

    async def _say(self, text: str) -> None:
        if text:
            await self.log(text)


async def _end(process: asyncio.subprocess.Process, folder: Path, grace: float) -> None:
    """Interrupt once and wait; whoever cancels a second time does not want to wait."""
    if process.returncode is not None:
        return
    (folder / INTERRUPTED).touch()
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(grace):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        _kill_group(process.pid)


def _kill_group(pid: int) -> None:
    """End what the process left behind: provisioners and plug-ins live on in its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _piece(file: Path, at: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(at)
        return opened.read(CHUNK)


def _head(file: Path, size: int) -> bytes:
    with file.open("rb") as opened:
        return opened.read(size)
