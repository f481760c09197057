"""The first minutes of a new user, in a real browser: browse, order, correct, follow, look back."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.support.browsing import PATIENCE, fill, found, picture, say
from tests.support.pao import Demo

pytestmark = [
    pytest.mark.browser,
    pytest.mark.terraform,
    # playwright's driver leaves its pipes to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


async def test_from_a_command_to_a_running_service(demo: Demo, page: Page) -> None:
    await page.goto(demo.url)
    await say(page, "/pao catalog bucket")
    catalog = page.get_by_test_id("ephemeral").last
    await expect(catalog).to_contain_text("Object storage bucket")
    await catalog.get_by_role("button", name="Request").click()

    form = page.get_by_test_id("modal")
    await expect(form.get_by_test_id("modal-title")).to_have_text("Object storage bucket")
    await fill(form, "instance_name", "exports")
    await fill(form, "field:bucket_name", "NOT ALLOWED")
    await form.get_by_text("Internal", exact=True).click()
    await form.get_by_test_id("modal-submit").click()
    error = form.locator("[data-testid='error-field:bucket_name']")
    await expect(error).to_be_visible()
    await picture(page, "errors")

    await fill(form, "field:bucket_name", "orders-exports")
    await form.get_by_test_id("modal-submit").click()
    await expect(form).to_have_count(0)

    card = page.get_by_test_id("message").filter(has_text="exports").first
    await expect(card).to_contain_text("completed", timeout=PATIENCE)
    await card.get_by_test_id("thread-open").click()
    thread = page.get_by_test_id("thread-messages")
    await expect(thread).to_contain_text("bucket", timeout=PATIENCE)
    await expect(thread).to_contain_text("region")
    await picture(page, "playground")

    request_id = await found(card, r"req-\d{8}-[a-z0-9]{8}")
    await say(page, f"/pao status {request_id}")
    await expect(page.get_by_test_id("ephemeral").last).to_contain_text("completed")
    await say(page, "/pao requests")
    await expect(page.get_by_test_id("ephemeral").last).to_contain_text(request_id)
    await say(page, "/pao services")
    services = page.get_by_test_id("ephemeral").last
    await expect(services).to_contain_text("exports")
    await say(page, f"/pao service {await found(services, r'si-[a-z0-9]{12}')}")
    await expect(page.get_by_test_id("ephemeral").last).to_contain_text("active")


async def test_what_cannot_be_understood_is_answered_in_words(demo: Demo, page: Page) -> None:
    await page.goto(demo.url)
    await say(page, "/pao catlog")
    await expect(page.get_by_test_id("ephemeral").last).to_contain_text("catalog")
    await say(page, "/pao request " + "🎉" * 3_000)
    await expect(page.get_by_test_id("ephemeral").last).to_contain_text("no document")
    await say(page, "/pao status req-20200101-aaaaaaaa")
    await expect(page.get_by_test_id("ephemeral").last).to_contain_text("not found, or not yours")
