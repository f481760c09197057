"""The installed `pao` as a person starts it: in a process of its own, on a data directory of its own."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

START_SECONDS = 60.0
COMMAND_SECONDS = 120.0
READY = re.compile(r"The playground is ready: (\S+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(slots=True)
class Pao:
    """`pao` with its own DATA_DIR; `environment` is added to every call."""

    data_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Answer:
        """Run a command to its end."""
        done = subprocess.run(
            command(*arguments),
            env=self._environment(environment),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(
        self,
        *arguments: str,
        program: Sequence[str] | None = None,
        stderr: int = subprocess.STDOUT,
        **environment: str,
    ) -> subprocess.Popen[str]:
        """Start a command in a session of its own and leave it running; `program`: another than `pao`."""
        return subprocess.Popen(
            command(*arguments) if program is None else [*program, *arguments],
            env=self._environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )

    @contextmanager
    def running(self, *arguments: str, **started: Any) -> Iterator[subprocess.Popen[str]]:
        """Start a command, as `start` does, for as long as the block lasts."""
        process = self.start(*arguments, **started)
        try:
            yield process
        finally:
            end_group(process)

    @contextmanager
    def demo(self, *arguments: str) -> Iterator[Demo]:
        """Run `pao demo` for as long as the block lasts; it must end by SIGTERM, with exit code 0."""
        process = self.start("demo", "--port", "0", "--no-browser", *arguments)
        try:
            yield Demo(process, wait_for(process, READY)[1], self)
            assert stop(process) == 0
        finally:
            end_group(process)

    @property
    def demo_options(self) -> Sequence[str]:
        """The options by which a command works beside the demo."""
        return ("--config", str(self.data_dir / "demo" / "pao.yml"))

    def processes(self) -> list[psutil.Process]:
        """Every living process that has our data directory in its command line."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            line = " ".join(process.info["cmdline"] or [])
            alive = process.info["status"] != psutil.STATUS_ZOMBIE
            if alive and str(self.data_dir) in line and process.pid != os.getpid():
                found.append(process)
        return found

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PAO_", "SLACK_", "PG"))}
        return clean | {"PAO_DATA_DIR": str(self.data_dir)} | dict(self.environment) | dict(more)


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo and its address, token included."""

    process: subprocess.Popen[str]
    url: str
    pao: Pao


def new_pao(run_folder: Path, name: str) -> Pao:
    """Return a `pao` with a new data directory that the database's user can reach."""
    run_folder.chmod(0o711)
    data_dir = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=run_folder))
    data_dir.chmod(0o755)
    return Pao(data_dir)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bot.cli", *arguments]


def wait_for(process: subprocess.Popen[str], pattern: re.Pattern[str]) -> re.Match[str]:
    """Return the first line of the output that matches; what came instead is the failure's text."""
    lines: queue.Queue[str | None] = queue.Queue()
    assert process.stdout is not None
    threading.Thread(target=_feed, args=(process.stdout, lines), daemon=True).start()
    seen: list[str] = []
    while True:
        try:
            line = lines.get(timeout=START_SECONDS)
        except queue.Empty:
            raise AssertionError(
                f"nothing matched in {START_SECONDS} s:\n{''.join(seen)}"
            ) from None
        if line is None:
            raise AssertionError(f"ended with {process.wait()}:\n{''.join(seen)}")
        seen.append(line)
        if match := pattern.search(line):
            return match


def stop(process: subprocess.Popen[str]) -> int:
    """Ask a process to end as a supervisor does, and return its exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=START_SECONDS)


def end_group(process: subprocess.Popen[str]) -> None:
    """Leave nothing of a process and its children, however the test went."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _feed(stream: Any, lines: queue.Queue[str | None]) -> None:
    try:
        for line in stream:
            lines.put(line)
    except ValueError:
        pass  # closed by the test's end
    lines.put(None)
