from __future__ import annotations

import pytest

from engine.store.pool import Connection
from tests.support.founding_rows import Rows


@pytest.fixture
def rows(connection: Connection) -> Rows:
    """A writer and reader of rows in the test's own database."""
    return Rows(connection)
