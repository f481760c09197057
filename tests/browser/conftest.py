"""A demo of the test's own, and a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.support.browsing import patient_page
from tests.support.pao import Demo, new_pao


@pytest.fixture
def demo(run_folder: Path, tmp_path: Path) -> Iterator[Demo]:
    with new_pao(run_folder, tmp_path.name).demo() as running:
        yield running


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with patient_page() as opened:
        yield opened
