"""Processes of a step whose worker died: found by the mark in their environment, and ended.

Only on this machine and of this user; on another machine Terraform's lock keeps them apart.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from engine.steps.terraform.environment import MARK
from engine.steps.terraform.process import INTERRUPT_GRACE, INTERRUPTED


async def end_orphans(mark: str) -> int:
    """End every process with the mark; return how many there were. May take INTERRUPT_GRACE."""
    return await asyncio.to_thread(_end, mark)


def _end(mark: str) -> int:
    orphans = _find(mark)
    for process in orphans:
        _interrupt(process)
    _, alive = psutil.wait_procs(orphans, timeout=INTERRUPT_GRACE if orphans else 0)
    for process in [*alive, *_find(mark)]:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
    return len(orphans)


def _find(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _interrupt(process: psutil.Process) -> None:
    """Interrupt terraform itself, once in its life; it tells its plug-ins, and saves its state."""
    with suppress(psutil.Error, OSError):
        if os.getpgid(process.pid) != process.pid:
            return
        told = Path(process.cwd()) / INTERRUPTED
        if not told.exists():
            told.touch()
            process.send_signal(signal.SIGINT)
