"""The workbench of tests of what watches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.store.pool import Connection, Pool
from tests.support.workbench import Workbench, workbench


@pytest.fixture
async def bench(
    dsn: str, pool: Pool, connection: Connection, tmp_path: Path
) -> AsyncIterator[Workbench]:
    async with workbench(dsn, pool, connection, tmp_path) as bench:
        yield bench
