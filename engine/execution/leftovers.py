"""Leftovers: the folders of attempts whose worker was killed before it could remove them.

Only the folder of an attempt that ended a while ago goes: the next attempt of its step may still look
there for what the killed one left running. What no attempt of this database is known by is not ours.
"""

from __future__ import annotations

import asyncio
import shutil
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


async def sweep(pool: Pool, data_dir: Path) -> int:
    """Remove the folders that killed workers left behind; return how many."""
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


def _folders(parent: Path) -> list[UUID]:
    if not parent.is_dir():
        return []
    return [UUID(one.name) for one in parent.iterdir() if _is_id(one.name)]


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
