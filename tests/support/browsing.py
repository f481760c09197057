"""The demo in a real browser: what a test of the playground's page acts with."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Locator, Page, async_playwright, expect

PICTURE = os.environ.get("PICTURE_FOLDER")
"""Where to keep pictures for the documentation (`make picture`); else they are not taken."""

PATIENCE = 60_000
"""Milliseconds: steps run Terraform."""

BROWSER_OPTIONS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@asynccontextmanager
async def patient_page() -> AsyncIterator[Page]:
    """Open a page in headless chromium that waits long enough for Terraform."""
    chromium = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=BROWSER_OPTIONS)
        page = await browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield page
        await browser.close()


async def say(page: Page, text: str) -> None:
    """Send a message as the person acted as, and wait for the one that only they see."""
    before = await page.get_by_test_id("ephemeral").count()
    await send(page, text)
    await expect(page.get_by_test_id("ephemeral")).to_have_count(before + 1)


async def send(page: Page, text: str) -> None:
    """Send a message as the person acted as."""
    box = page.get_by_test_id("message-box")
    await box.fill(text)
    await page.keyboard.press("Escape")
    await box.press("Enter")


async def fill(form: Locator, field: str, text: str) -> None:
    """Type into a text field of a form."""
    await form.locator(f"[data-testid='field-{field}']").get_by_role("textbox").fill(text)


async def found(element: Locator, pattern: str) -> str:
    """Return the first match in what an element says."""
    match = re.search(pattern, await element.inner_text())
    assert match is not None
    return match[0]


async def picture(page: Page, name: str) -> None:
    """Take a picture, when pictures are asked for."""
    if PICTURE:
        await page.mouse.move(0, 0)  # so that nothing shows as pointed at
        await page.screenshot(path=Path(PICTURE) / f"{name}.png")
