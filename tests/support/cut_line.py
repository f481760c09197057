"""A line to PostgreSQL that can be cut: nothing gets through, and nobody is told.

So a network fails of which one side is unplugged: connections stay open and silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

SOCKET = ".s.PGSQL.5432"


@dataclass
class Line:
    """Where to connect to, and whether anything gets through."""

    dsn: str
    whole: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self) -> None:
        self.whole.clear()

    def mend(self) -> None:
        """Let through what was held back, and all that comes."""
        self.whole.set()


@asynccontextmanager
async def line_to(dsn: str, folder: Path) -> AsyncIterator[Line]:
    """A line to the database of a DSN, whose socket lies in `folder` (its path must be short)."""
    parts = conninfo_to_dict(dsn)
    line = Line(
        f"postgresql://{parts['user']}:{parts['password']}@/{parts['dbname']}?host={folder}"
    )
    line.mend()
    carrying: set[asyncio.Task[None]] = set()

    async def serve(near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        far_in, far_out = await asyncio.open_unix_connection(f"{parts['host']}/{SOCKET}")
        task = asyncio.current_task()
        assert task is not None
        carrying.add(task)
        try:
            await asyncio.gather(
                _carry(near_in, far_out, line.whole), _carry(far_in, near_out, line.whole)
            )
        finally:
            carrying.discard(task)

    server = await asyncio.start_unix_server(serve, str(folder / SOCKET))
    try:
        yield line
    finally:
        server.close()
        for task in list(carrying):
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)


async def _carry(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, whole: asyncio.Event
) -> None:
    try:
        while data := await source.read(65536):
            await whole.wait()
            target.write(data)
            await target.drain()
    except ConnectionError:
        pass
    finally:
        target.close()
