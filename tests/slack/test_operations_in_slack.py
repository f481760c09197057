"""Updates, upgrades and the end of a service, from the command to the card."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bot.playground.faults import Fault
from bot.playground.views import View
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
    - {name: size, type: selection, oneof: [small, large], default: small, required: true}
    - {name: disk, type: integer, required: true, max_value: 100}
    - {name: password, type: secret, min_length: 8, required: true}
fulfillment:
  manual: {system: webhook, template: {url: "URL/tickets", body: {summary: x}}}
  automation:
    steps:
      - name: create
        type: HttpPost
        template:
          url: URL/databases
          body: {disk: "{{ disk }}", password: "{{ password }}"}
        outputs: {address: $.address}
  decommission:
    manual: {system: webhook, template: {url: "URL/tickets", body: {summary: x}}}
    automation:
      steps:
        - {name: remove, type: HttpDelete, template: {url: "URL/databases/{{ instance.name }}"}}
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
presentation:
  fields:
    - {name: disk, type: integer, required: true, max_value: 100}
    - {name: password, type: secret, min_length: 8, required: true}
fulfillment:
  manual: {system: webhook, template: {url: "URL/tickets", body: {summary: x}}}
  automation:
    steps:
      - name: grow
        type: HttpPost
        template:
          url: URL/grown
          body: {disk: "{{ disk }}", password: "{{ password }}"}
"""

TUNE = """
kind: UpdateItem
name: tune-database
version: 1.0.0
owner: platform
description: Another profile
targets:
  catalog_items: [{name: database, version_range: ">=1.0.0", optional_parameters: [size]}]
presentation:
  fields:
    - name: profile
      type: selection
      options_from:
        url: "URL/profiles?of={{ instance.name }}&at={{ instance.version }}&size={{ size }}"
        headers: {x-address: "{{ instance.outputs.address }}{{ instance.parameters.password }}"}
fulfillment:
  manual: {system: webhook, template: {url: "URL/tickets", body: {summary: "{{ profile }}"}}}
"""

UPGRADE = """
kind: UpgradeItem
name: database-NEXT
display_name: Database, generation NEXT
version: NEXT.0.0
owner: platform
description: A newer engine
targets:
  catalog_items: [{name: database, version_range: "NOW.x", to_version: NEXT.0.0}]
  downtime_required: true
  destructive: true
  estimated_duration: 10m
  prerequisites: [A backup of today]
  notes: The address stays
presentation: {fields: []}
fulfillment:
  manual: {system: webhook, template: {url: "URL/tickets", body: {summary: x}}}
  automation:
    steps:
      - {name: replace, type: HttpPost, template: {url: URL/replaced, body: {size: "{{ instance.parameters.size }}"}}}
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
  automation: {steps: [{name: create, type: HttpPost, template: {url: URL/shops}}]}
  decommission:
    manual: {system: webhook, template: {url: "URL/tickets", body: {summary: x}}}
    automation:
      steps: [{name: remove, type: HttpDelete, template: {url: URL/shops/1}}]
"""

CREATE = {
    "instance_name": "orders-db",
    "field:disk": "10",
    "field:password": "hunter2-hunter2",
}


@pytest.fixture
async def bot(
    dsn: str,
    git_repository: Callable[..., GitRepository],
    http_server: HttpServer,
    tmp_path: Path,
) -> AsyncIterator[RunningBot]:
    http_server.answer("POST", "/databases", json={"address": "db.internal:5432"})
    for path in ("/grown", "/replaced", "/shops", "/tickets"):
        http_server.answer("POST", path, json={"id": "1"})
    for path in ("/databases/orders-db", "/shops/1"):
        http_server.answer("DELETE", path, json={})
    documents = {
        "database": DATABASE,
        "grow": GROW,
        "tune": TUNE,
        "upgrades/two": UPGRADE.replace("NEXT", "2").replace("NOW", "1"),
        "upgrades/three": UPGRADE.replace("NEXT", "3").replace("NOW", "2"),
        "shop": SHOP,
    }
    repository = git_repository(
        {
            f"catalog/databases/{name}.yaml": text.replace("URL", http_server.url)
            for name, text in documents.items()
        }
    )
    async with running_bot(dsn, repository.url, tmp_path / "data") as bot:
        yield bot


async def database(bot: RunningBot) -> str:
    """Order a database as Alice; return its id once it is active."""
    form = await bot.form("alice", "database")
    await bot.twin.submit("alice", form, CREATE)
    assert bot.twin.errors_of(form) == {}
    await bot.card(holding="is completed")
    alice = await bot.services.identity.actor(bot.twin.user("alice"))
    page = await bot.engine.instances(alice, item="database")
    return page.items[0].instance_id


async def ended(bot: RunningBot, instance_id: str) -> None:
    """Wait until a service of Alice's is no more."""
    alice = await bot.services.identity.actor(bot.twin.user("alice"))

    async def is_gone() -> bool:
        view = await bot.engine.instance(alice, instance_id)
        return view.instance_state == "decommissioned"

    await eventually(is_gone)


async def opened(bot: RunningBot, words: str, view: str) -> View:
    await bot.twin.command("alice", "general", f"/pao {words}")
    return await bot.twin.view("alice", view)


async def test_an_update_is_prefilled_and_keeps_the_secret_that_is_left_empty(
    bot: RunningBot, http_server: HttpServer
) -> None:
    instance_id = await database(bot)
    picker = await opened(bot, f"update {instance_id}", "operations")
    assert "*grow-database* 1.0.0" in text_of(picker)
    assert "database-2" not in text_of(picker)
    await bot.twin.click("alice", picker, "Update")
    form = await bot.twin.view("alice", "request_form")

    values = bot.twin.values_of(form)
    assert values["field:disk"]["field"]["value"] == "10"
    assert values["field:password"]["field"]["value"] is None
    assert "Stays as it is" in text_of(form)
    assert "confirmation" not in values
    await bot.twin.submit("alice", form, {"field:disk": "1000"})
    assert set(bot.twin.errors_of(form)) == {"field:disk"}
    await bot.twin.submit("alice", form, {"field:disk": "50"})

    assert bot.twin.views("alice") == []
    await bot.card(holding="Grow a database")
    await bot.twin.until(lambda: len(http_server.requests("POST", "/grown")) == 1)
    [grown] = http_server.requests("POST", "/grown")
    assert grown.json() == {"disk": 50, "password": "hunter2-hunter2"}


async def test_an_upgrade_says_what_it_costs_proposes_a_path_and_wants_the_name(
    bot: RunningBot, http_server: HttpServer
) -> None:
    instance_id = await database(bot)
    picker = await opened(bot, f"upgrade {instance_id}", "operations")
    told = text_of(picker)
    assert "`database-2 2.0.0` → `database-3 3.0.0`" in told
    assert "database-3 3.0.0: " in told
    await bot.twin.click("alice", picker, "Upgrade")
    form = await bot.twin.view("alice", "request_form")

    told = text_of(form)
    for words in ("destroys or replaces", "is down meanwhile", "A backup of today", "stays"):
        assert words in told
    await bot.twin.submit("alice", form, {"confirmation": "another-db"})
    assert set(bot.twin.errors_of(form)) == {"confirmation"}
    assert http_server.requests("POST", "/replaced") == []
    await bot.twin.submit("alice", form, {"confirmation": "orders-db"})

    assert bot.twin.views("alice") == []
    await bot.card(holding="*Database, generation 2")
    await bot.twin.until(lambda: len(http_server.requests("POST", "/replaced")) == 1)
    [replaced] = http_server.requests("POST", "/replaced")
    assert replaced.json() == {"size": "small"}


async def test_an_operation_that_is_not_eligible_is_refused_with_the_reason(
    bot: RunningBot,
) -> None:
    instance_id = await database(bot)

    answer = await bot.say("alice", f"upgrade {instance_id} database-3")

    assert "1.4.0 is outside" in answer


async def test_the_options_of_an_operation_may_depend_on_its_service(
    bot: RunningBot, http_server: HttpServer
) -> None:
    instance_id = await database(bot)
    http_server.answer("GET", "/profiles", json=["fast", "", "safe"])
    form = await opened(bot, f"update {instance_id} tune-database", "request_form")

    found = await bot.twin.suggest("alice", form, "field_options", "", block_id="field:profile")
    await bot.twin.submit("alice", form, {"field:profile": "fast"})

    assert [option["text"]["text"] for option in found] == ["fast", "safe"]
    assert bot.twin.errors_of(form) == {}
    for asked in http_server.requests("GET", "/profiles"):
        assert asked.query == {"of": "orders-db", "at": "1.4.0", "size": "small"}
        assert asked.headers["x-address"] == "db.internal:5432"


async def test_an_expired_trigger_leaves_a_button_to_the_same_form(bot: RunningBot) -> None:
    instance_id = await database(bot)
    for words, view in (
        (f"update {instance_id}", "operations"),
        (f"update {instance_id} grow-database", "request_form"),
    ):
        bot.twin.faults.next_calls("views.open", Fault("expired_trigger_id"))
        answer = await bot.ask("alice", words)
        await bot.twin.click("alice", answer, "Open form")
        opened_later = await bot.twin.view("alice", view)
        assert "orders-db" in text_of(opened_later)
        await bot.twin.close("alice", opened_later)


async def test_a_service_that_others_need_stays_until_they_let_go(
    bot: RunningBot, http_server: HttpServer
) -> None:
    instance_id = await database(bot)
    form = await bot.form("alice", "shop")
    [needed] = await bot.twin.suggest("alice", form, "field_options", block_id="dependency:orders")
    await bot.twin.submit(
        "alice", form, {"instance_name": "web", "dependency:orders": needed["value"]}
    )
    await bot.card(holding="*Shop: web* is completed")

    answer = await bot.say("alice", f"decommission {instance_id}")
    assert "cannot be decommissioned" in answer
    assert "*web*" in answer
    assert "<@U0ALICE000>" in answer

    alice = await bot.services.identity.actor(bot.twin.user("alice"))
    shop = (await bot.engine.instances(alice, item="shop")).items[0].instance_id
    for service, name in ((shop, "web"), (instance_id, "orders-db")):
        free = await bot.ask("alice", f"decommission {service}")
        assert "can be decommissioned" in text_of(free)
        await bot.twin.click("alice", free, "Decommission")
        confirmation = await bot.twin.view("alice", "decommission_form")
        assert "cannot be undone" in text_of(confirmation)
        await bot.twin.submit("alice", confirmation, {"confirmation": "wrong"})
        assert set(bot.twin.errors_of(confirmation)) == {"confirmation"}
        await bot.twin.submit("alice", confirmation, {"confirmation": name})
        assert bot.twin.views("alice") == []
        await ended(bot, service)
    assert len(http_server.requests("DELETE", "/databases/orders-db")) == 1


async def test_a_service_of_somebody_else_is_neither_shown_nor_ended(bot: RunningBot) -> None:
    instance_id = await database(bot)

    for words in ("update", "upgrade", "decommission"):
        assert "not found, or not yours" in await bot.say("bob", f"{words} {instance_id}")


async def test_a_closed_operation_form_is_a_draft_of_that_service_alone(bot: RunningBot) -> None:
    instance_id = await database(bot)
    form = await opened(bot, f"update {instance_id} grow-database", "request_form")
    bot.twin.fill("alice", form, {"field:disk": "77"})
    await bot.twin.close("alice", form)
    alice = await bot.services.identity.actor(bot.twin.user("alice"))
    subject = f"UpdateItem:grow-database:update:{instance_id}"
    await eventually(lambda: bot.engine.form_draft(alice, subject))

    again = await opened(bot, f"update {instance_id} grow-database", "request_form")

    assert "You have a draft" in text_of(again)
    assert bot.twin.values_of(again)["field:disk"]["field"]["value"] == "77"


async def test_a_clone_asks_the_same_again_without_secrets(bot: RunningBot) -> None:
    await database(bot)
    alice = await bot.services.identity.actor(bot.twin.user("alice"))
    made = (await bot.engine.requests(alice)).items[0].request_id

    form = await opened(bot, f"clone {made}", "request_form")

    values = bot.twin.values_of(form)
    assert f"Filled from `{made}`" in text_of(form)
    assert values["field:disk"]["field"]["value"] == "10"
    assert values["field:password"]["field"]["value"] is None
    await bot.twin.submit("alice", form, {"field:password": "hunter3-hunter3"})
    assert bot.twin.views("alice") == []
