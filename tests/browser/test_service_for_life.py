"""A service after its order, in a real browser: a bundle, an upgrade, and the end of a part."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Page, expect

from tests.support.browsing import fill, found, picture, say, send
from tests.support.pao import Demo

pytestmark = [
    pytest.mark.browser,
    pytest.mark.terraform,
    # playwright's driver leaves its pipes to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

INSTANCE = r"si-[a-z0-9]{12}"


async def test_a_bundle_is_ordered_and_its_parts_go_as_far_as_others_allow(
    demo: Demo, page: Page
) -> None:
    await page.goto(demo.url)
    await send(page, "/pao request web-application")
    form = page.get_by_test_id("modal")
    await fill(form, "instance_name", "shop")
    await fill(form, "field:solution_name", "shop")
    await fill(form, "field:cost_center", "CC-1234")
    await next_page(form, 2)
    await fill(form, "component:database:admin_password", "correct horse battery")
    await next_page(form, 3)
    await fill(form, "component:app:image", "registry.example.com/shop:1")
    await next_page(form, 4)
    await expect(form).to_contain_text("Will run: 7 steps")
    await picture(page, "bundle")
    await form.get_by_test_id("modal-submit").click()

    card = page.get_by_test_id("message").filter(has_text="shop").first
    await expect(card).to_contain_text("completed")
    await expect(card).to_contain_text("9 of 9 steps")

    database, app = await instance_of(page, "database"), await instance_of(page, "app")
    await say(page, f"/pao decommission {database}")
    blocked = page.get_by_test_id("ephemeral").last
    await expect(blocked).to_contain_text("cannot be decommissioned")
    await expect(blocked).to_contain_text(app)
    await expect(blocked.get_by_role("button", name="Decommission")).to_have_count(0)

    await expect(await take_down(page, app, "shop-app")).to_contain_text("completed")
    # Terraform destroys what it made; that the cloud forgets the database is a person's work.
    card = await take_down(page, database, "shop-database")
    await card.get_by_test_id("thread-open").click()
    thread = page.get_by_test_id("thread-messages")
    await expect(thread).to_contain_text("0 to add, 0 to change, 1 to destroy")
    ticket = thread.get_by_role("link", name="DESK-").last
    await expect(ticket).to_be_visible()
    await resolve(page, await ticket.get_attribute("href"))
    await expect(card).to_contain_text("completed")
    await say(page, f"/pao service {database}")
    await expect(page.get_by_test_id("ephemeral").last).to_contain_text("is decommissioned")


async def test_an_upgrade_shows_what_it_costs_and_what_was_checked(demo: Demo, page: Page) -> None:
    ordered = demo.pao(
        *("request", "submit", "--item", "postgres-database", "--name", "orders", "--wait"),
        *("--param", "database_name=orders", "--param", "cost_center=CC-1234"),
        *("--param", "engine_version=16", "--param", f"admin_password=@{secret_file(demo)}"),
        *("--as", "U0ALICE000", "--output", "json", *demo.pao.demo_options),
    )
    assert ordered.code == 0, ordered.err
    instance = ordered.json["instance_id"]

    await page.goto(demo.url)
    await send(page, f"/pao upgrade {instance}")
    form = page.get_by_test_id("modal")
    await expect(form).to_contain_text("version 1.2.0 is outside >=2.0.0, <3.0.0")
    await form.get_by_role("button", name="Upgrade").click()
    await expect(form).to_contain_text("1.2.0 → 2.0.0")
    await expect(form).to_contain_text("the service is down meanwhile")
    await fill(form, "confirmation", "another")
    await form.get_by_test_id("modal-submit").click()
    await expect(form.locator("[data-testid='error-confirmation']")).to_be_visible()
    await picture(page, "upgrade")
    await fill(form, "confirmation", "orders")
    await form.get_by_test_id("modal-submit").click()

    card = page.get_by_test_id("message").filter(has_text="generation 2").first
    await expect(card).to_contain_text("completed")
    await card.get_by_test_id("thread-open").click()
    thread = page.get_by_test_id("thread-messages")
    await expect(thread).to_contain_text("Check passed: verify target compatibility")
    await expect(thread).to_contain_text("0 to add, 1 to change, 0 to destroy")
    await say(page, f"/pao service {instance}")
    await expect(page.get_by_test_id("ephemeral").last).to_contain_text("2.0.0")


async def next_page(form: Locator, number: int) -> None:
    await form.get_by_test_id("modal-submit").click()
    await expect(form).to_contain_text(f"Page {number} of 4")


async def instance_of(page: Page, component: str) -> str:
    await say(page, f"/pao services shop-{component}")
    return await found(page.get_by_test_id("ephemeral").last, INSTANCE)


async def take_down(page: Page, instance: str, name: str) -> Locator:
    await say(page, f"/pao decommission {instance}")
    answer = page.get_by_test_id("ephemeral").last
    await expect(answer).to_contain_text("it can be decommissioned")
    await answer.get_by_role("button", name="Decommission").click()
    form = page.get_by_test_id("modal")
    await fill(form, "confirmation", name)
    await form.get_by_test_id("modal-submit").click()
    await expect(form).to_have_count(0)
    return page.get_by_test_id("message").filter(has_text=f"Decommission: {name}").first


async def resolve(page: Page, ticket: str | None) -> None:
    assert ticket is not None
    assert page.context.browser is not None
    desk = await page.context.browser.new_page()
    await desk.goto(ticket)
    await desk.get_by_role("button", name="Resolve").click()
    await desk.close()


def secret_file(demo: Demo) -> str:
    path = demo.pao.data_dir / "password"
    path.write_text("correct horse battery")
    return str(path)
