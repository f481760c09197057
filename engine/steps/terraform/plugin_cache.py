"""The cache of provider plug-ins, which Terraform does not keep safe against two inits at once."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

TRY_EVERY = 0.2
"""Seconds between two tries to get the lock."""


@asynccontextmanager
async def plugin_cache(folder: Path) -> AsyncIterator[int]:
    """Have the cache alone, on this machine; gives the lock's descriptor, for init to inherit.

    So an init whose worker died keeps the lock until it ends too.
    """
    descriptor = await asyncio.to_thread(_open, folder)
    try:
        while not _locked(descriptor):  # noqa: ASYNC110 - another process has it, no event can tell
            await asyncio.sleep(TRY_EVERY)
        yield descriptor
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
