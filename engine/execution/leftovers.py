"""Leftovers: the folders of attempts whose worker was killed before it could remove them.

A dry run that was killed leaves a folder too; no dry run is as old as those that go.

Only the folder of an attempt that ended a while ago goes: the next attempt of its step may still look
there for what the killed one left running. What no attempt of this database is known by is not ours.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

from engine.store import execution
from engine.store.pool import Pool, transaction

KEPT_FOR: Final = timedelta(hours=1)

log = structlog.get_logger(__name__)


def attempts_folder(data_dir: Path) -> Path:
    """Return where each attempt has a folder of its own, named by its id."""
    return data_dir / "attempts"


def rehearsals_folder(data_dir: Path) -> Path:
    """Return where each look ahead of a dry run has a folder of its own."""
    return data_dir / "rehearsals"


async def sweep(pool: Pool, data_dir: Path) -> int:
    """Remove the folders that killed workers left behind; return how many."""
    await asyncio.to_thread(_remove_old, rehearsals_folder(data_dir))
    parent = attempts_folder(data_dir)
    found = await asyncio.to_thread(_folders, parent)
    if not found:
        return 0
    async with transaction(pool) as connection:
        ended = await execution.ended_attempts(connection, found, KEPT_FOR)
    for attempt_id in ended:
        await asyncio.to_thread(shutil.rmtree, parent / str(attempt_id), ignore_errors=True)
    if ended:
        log.info("leftovers_removed", count=len(ended))
    return len(ended)


def _remove_old(parent: Path) -> None:
    if not parent.is_dir():
        return
    oldest = time.time() - KEPT_FOR.total_seconds()
    for one in parent.iterdir():
        with suppress(FileNotFoundError):  # it was removed by who made it
            if one.stat().st_mtime < oldest:
                shutil.rmtree(one, ignore_errors=True)


def _folders(parent: Path) -> list[UUID]:
    if not parent.is_dir():
        return []
    return [UUID(one.name) for one in parent.iterdir() if _is_id(one.name)]


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
