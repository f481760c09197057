"""The lives of services as threads, cards and `/pao service` tell them: checks, day-2 requests, bundles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.playground.workspace import Message
from engine import RequestView, Submission
from engine.instances.digests import send_digests
from tests.support.eventually import eventually
from tests.support.git import GitRepository
from tests.support.http_server import HttpServer
from tests.support.running_bot import RunningBot, running_bot
from tests.support.slack_twin import text_of

DATABASE = """
name: database
display_name: Database
version: 1.4.0
owner: platform
description: Keeps orders
presentation:
  fields:
    - name: size
      type: selection
      default: s
      oneof: [{value: s, label: Small and cheap}, {value: l, label: Large}]
    - {name: disk, type: integer, default: 10}
fulfillment:
  manual: {system: webhook, template: {url: "URL/tickets", body: {summary: x}}}
  automation:
    steps:
      - name: create
        type: HttpPost
        template: {url: URL/databases, body: {disk: "{{ disk }}", size: "{{ size }}"}}
        outputs: {address: $.address}
  decommission:
    manual: {system: webhook, template: {url: "URL/tickets", body: {summary: x}}}
    automation: {steps: [{name: remove, type: HttpDelete, template: {url: URL/databases/1}}]}
"""
SHOP = """
name: shop
display_name: Shop
version: 1.0.0
owner: platform
description: Sells
dependencies: [{catalog_item: database, version: ">=1.0.0", name: orders, required: true}]
presentation: {fields: []}
fulfillment:
  manual: {system: webhook, template: {url: "URL/tickets", body: {summary: x}}}
  automation: {steps: [{name: open, type: HttpPost, template: {url: URL/shops}}]}
"""
GROW = """
kind: UpdateItem
name: grow-database
display_name: Grow a database
version: 1.0.0
owner: platform
description: More disk, the same address
targets:
  catalog_items: [{name: database, version_range: ">=1.0.0", required_parameters: [disk]}]
presentation: {fields: [{name: disk, type: integer, required: true}]}
fulfillment:
  manual: {system: webhook, template: {url: "URL/tickets", body: {summary: x}}}
  automation:
    pre_execution_checks: [verify_target_compatibility]
    retry_policy: {max_attempts: 1}
    steps: [{name: grow, type: HttpPost, template: {url: URL/grown, body: {disk: "{{ disk }}"}}}]
"""
SAVED = """
kind: UpdateItem
name: repair-database
display_name: Repair a database
version: 1.0.0
owner: platform
description: Only with a backup
targets: {catalog_items: [{name: database, version_range: ">=1.0.0"}]}
presentation: {fields: []}
fulfillment:
  manual: {system: webhook, template: {url: "URL/tickets", body: {summary: x}}}
  automation:
    pre_execution_checks: [check_backup_status]
    steps: [{name: repair, type: HttpPost, template: {url: URL/repaired}}]
"""
SUITE = """
kind: CatalogBundle
name: suite
display_name: Suite
version: 1.0.0
owner: platform
description: Two databases, one after the other
presentation: {bundle_fields: []}
bundle:
  required_items:
    - {name: store, catalog_item: database, version: ">=1.0.0", role: storage}
    - {name: front, catalog_item: database, version: ">=1.0.0", depends_on: [store]}
"""
ALICE = "U0ALICE000"


@pytest.fixture
async def bot(
    dsn: str,
    git_repository: Callable[..., GitRepository],
    http_server: HttpServer,
    tmp_path: Path,
) -> AsyncIterator[RunningBot]:
    http_server.answer("POST", "/databases", json={"address": "db.internal:5432"})
    for path in ("/shops", "/tickets"):
        http_server.answer("POST", path, json={"id": "OPS-1", "status": "open"})
    http_server.answer("DELETE", "/databases/1", json={})
    documents = {"database": DATABASE, "shop": SHOP, "grow": GROW, "saved": SAVED, "suite": SUITE}
    repository = git_repository(
        {
            f"catalog/databases/{name}.yaml": text.replace("URL", http_server.url)
            for name, text in documents.items()
        }
    )
    async with running_bot(dsn, repository.url, tmp_path / "data") as bot:
        yield bot


async def asked(bot: RunningBot, **wanted: Any) -> RequestView:
    """Submit something as Alice, from #general."""
    alice = await bot.services.identity.actor(ALICE)
    wanted.setdefault("parameters", {})
    return await bot.engine.submit(alice, Submission(origin_channel="C0GENERAL0", **wanted))


async def made(bot: RunningBot, name: str, item: str = "database", **wanted: Any) -> str:
    """Order something and wait until it is there; return the instance's id."""
    view = await asked(bot, item=item, instance_name=name, **wanted)
    await bot.card(holding=f"{name}* is completed")
    return view.instance_id or ""


async def is_due(bot: RunningBot) -> None:
    """Wait until the operations of Alice's services were judged."""
    alice = await bot.services.identity.actor(ALICE)

    async def judged() -> bool:
        page = await bot.engine.instances(alice)
        return any(one.operations_due for one in page.items)

    await eventually(judged)


def replies(bot: RunningBot, card: Message) -> list[str]:
    return [text_of(message) for message in bot.twin.thread("general", card.ts)]


async def test_a_card_shows_what_the_form_called_the_choice(bot: RunningBot) -> None:
    await made(bot, "orders")

    card = await bot.card(holding="orders")
    assert "Small and cheap" in text_of(card)


async def test_a_service_shows_its_neighbours_its_past_and_what_is_due(bot: RunningBot) -> None:
    database = await made(bot, "orders")
    shop = await made(bot, "web", "shop", dependencies={"orders": database})

    answer = await bot.ask("alice", f"service {database}")
    told = text_of(answer)
    assert "db.internal:5432" in told
    assert "It is used by" in told
    assert f"*web* `{shop}`" in told
    assert "*grow-database* 1.0.0 (update): More disk" in told
    assert "What happened" in told
    assert "it is active" in told
    assert f"*orders* `{database}` as orders" in await bot.say("alice", f"service {shop}")
    await is_due(bot)
    assert "due: grow-database, repair-database" in await bot.say("alice", "services")

    await bot.twin.click("alice", answer, "Update")
    assert "grow-database" in text_of(await bot.twin.view("alice", "operations"))


async def test_the_home_shows_what_is_due_and_what_is_new(bot: RunningBot) -> None:
    await made(bot, "orders")
    await is_due(bot)
    bot.twin.open_home("alice")
    home = await bot.twin.eventually(lambda: bot.twin.home("alice"))

    assert "due: grow-database" in text_of(home)
    assert "New in the catalog" in text_of(home)
    assert "Engine" not in text_of(home)
    bot.twin.open_home("carol")
    admins = await bot.twin.eventually(lambda: bot.twin.home("carol"))
    assert "The last sync was completed" in text_of(admins)


async def test_an_open_home_follows_what_becomes_due(bot: RunningBot) -> None:
    bot.twin.open_home("alice")
    home = await bot.twin.eventually(lambda: bot.twin.home("alice"))
    assert "No services here" in text_of(home)

    await made(bot, "orders")

    await eventually(
        lambda: "due: grow-database" in text_of(bot.twin.home("alice") or home), within=40
    )


async def test_a_digest_tells_the_owner_what_is_due_and_opens_it(bot: RunningBot) -> None:
    await made(bot, "orders")
    await is_due(bot)
    await send_digests(bot.engine._pool)

    digest = await bot.card("@alice", "can be brought up to date")
    assert "grow-database 1.0.0 (update)" in text_of(digest)
    await bot.twin.click("alice", digest, "Choose")
    assert "grow-database" in text_of(await bot.twin.view("alice", "operations"))


async def test_the_check_is_the_first_reply_of_a_decommission(bot: RunningBot) -> None:
    database = await made(bot, "orders")
    await asked(bot, request_type="decommission", instance=database, confirmation="orders")

    card = await bot.card(holding="ecommission")
    await bot.twin.until(lambda: "is completed" in text_of(card))
    await bot.twin.until(lambda: "The service is gone" in bot.thread(card))
    first = replies(bot, card)[0]
    assert "*orders* is free to go" in first
    assert "Accepted as" in first
    assert "Update" not in str((await bot.ask("alice", f"service {database}")).blocks)


async def test_a_failed_update_says_what_can_be_relied_on(
    bot: RunningBot, http_server: HttpServer
) -> None:
    http_server.answer("POST", "/grown", status=400, json={"error": "no room"})
    database = await made(bot, "orders")
    await asked(
        bot,
        request_type="update",
        item="grow-database",
        instance=database,
        parameters={"disk": 50},
    )

    card = await bot.card(holding="has failed")
    await bot.twin.until(lambda: "It has failed" in bot.thread(card))
    thread = replies(bot, card)
    passed = next(at for at, text in enumerate(thread) if "Check passed" in text)
    assert "verify target compatibility" in thread[passed]
    assert passed < next(at for at, text in enumerate(thread) if "grow* has failed" in text)
    told = text_of(card)
    assert "The service can" in told
    assert "Repeating it" in told
    assert "asked: 50\nnow: 10" in told


async def test_a_failed_check_says_why_and_makes_no_ticket(bot: RunningBot) -> None:
    database = await made(bot, "orders")
    await asked(bot, request_type="update", item="repair-database", instance=database)

    card = await bot.card(holding="has failed")
    await bot.twin.until(lambda: "Check failed: check backup status" in bot.thread(card))
    assert "no backup provider" in bot.thread(card)
    assert ":x: check backup status" in text_of(card)
    assert "OPS-1" not in bot.thread(card)


async def test_a_bundle_is_told_by_component(bot: RunningBot) -> None:
    view = await asked(bot, bundle="suite", instance_name="all")
    card = await bot.card(holding="all* is completed")

    told = text_of(card)
    assert "*store* · 1 step ·" in told
    assert "*front* · 1 step ·" in told
    assert "*store.address*" in told
    answer = await bot.say("alice", f"service {view.instance_id}")
    assert "It consists of" in answer
    assert "*store* (storage)" in answer
    alice = await bot.services.identity.actor(ALICE)
    member = (await bot.engine.instance(alice, view.instance_id or "")).members[0]
    assert "It is part of" in await bot.say("alice", f"service {member.instance_id}")
