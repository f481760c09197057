"""A real headless chromium, and a page whose errors fail the test."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Page, async_playwright, expect

PROGRAMS = ("chromium", "chromium-headless-shell")
PATIENCE_MS = 20_000


@asynccontextmanager
async def new_page(width: int = 1280, height: int = 800) -> AsyncIterator[Page]:
    """Open a page; what the browser's console calls an error is raised when the block ends."""
    program = next(found for name in PROGRAMS if (found := shutil.which(name)))
    errors: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = await browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        try:
            yield page
        finally:
            await browser.close()
    assert errors == [], errors
