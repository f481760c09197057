"""A bundle from its form to its members: pages, optional items, a summary, drafts, errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bot.playground.views import View
from tests.support.eventually import eventually
from tests.support.git import GitRepository
from tests.support.http_server import HttpServer
from tests.support.running_bot import RunningBot, running_bot
from tests.support.slack_twin import text_of

MANUAL = """
fulfillment:
  manual: {system: webhook, template: {url: "URL/tickets", body: {summary: x}}}
  automation:
    steps:
"""

DATABASE = f"""
name: database
display_name: Database
version: 1.0.0
owner: platform
description: Keeps orders
presentation:
  fields:
    - {{name: database_name, type: string, required: true}}
    - {{name: size, type: selection, oneof: [small, large], default: small}}
    - {{name: backups, type: integer, default: 7,
       conditional: {{field: database_name, value: prod-db}}}}
    - {{name: disk, type: integer, required: true, max_value: 100,
       conditional: {{field: size, value: large}}}}
    - {{name: password, type: secret, min_length: 8, required: true}}
{MANUAL}
      - name: create
        type: HttpPost
        template:
          url: URL/databases
          body: {{name: "{{{{ database_name }}}}", disk: "{{{{ disk }}}}", password: "{{{{ password }}}}"}}
        outputs: {{address: $.address}}
"""

APP = f"""
name: app
display_name: App
version: 2.0.0
owner: platform
description: Sells
presentation:
  fields:
    - {{name: replicas, type: integer, default: 2, required: true}}
    - {{name: database_address, type: string, required: true}}
{MANUAL}
      - name: deploy
        type: HttpPost
        template:
          url: URL/apps
          body: {{replicas: "{{{{ replicas }}}}", database: "{{{{ database_address }}}}"}}
"""

CACHE = f"""
name: cache
display_name: Cache
version: 1.0.0
owner: platform
description: Remembers
presentation:
  fields:
    - {{name: memory, type: integer, default: 1, required: true, max_value: 8}}
{MANUAL}
      - name: create
        type: HttpPost
        template: {{url: URL/caches, body: {{memory: "{{{{ memory }}}}"}}}}
"""

SHOP = """
name: shop
display_name: Shop
version: 1.0.0
owner: platform
description: An app, its database, and a cache if you like
bundle:
  required_items:
    - name: database
      catalog_item: database
      parameters: {database_name: "{{ solution }}-db"}
    - name: app
      catalog_item: app
      parameters: {database_address: "{{ components['database'].outputs.address }}"}
  optional_items:
    - {name: sessions, catalog_item: cache, default_enabled: false}
    - {name: pages, catalog_item: cache, enabled_when: {field: fast, value: true}}
presentation:
  bundle_fields:
    - {name: solution, type: string, label: Name of the shop, required: true, max_length: 20}
    - {name: fast, type: boolean, default: false}
"""

WORKER = f"""
name: worker
display_name: Worker
version: 1.0.0
owner: platform
description: Works
dependencies: [{{catalog_item: cache, version: ">=1.0.0", name: jobs, required: true}}]
presentation: {{fields: []}}
{MANUAL}
      - name: start
        type: HttpPost
        template: {{url: URL/workers, body: {{queue: "{{{{ dependencies['jobs'].name }}}}"}}}}
"""

FACTORY = """
name: factory
display_name: Factory
version: 1.0.0
owner: platform
description: A worker on a cache that exists, or on one of its own
bundle:
  required_items:
    - {name: worker, catalog_item: worker, dependencies: [{on: own, name: jobs, required: false}]}
  optional_items:
    - {name: own, catalog_item: cache}
presentation: {bundle_fields: []}
"""

DATABASE_PAGE = {
    "component:database:size": "small",
    "component:database:password": "hunter2-hunter2",
}


@pytest.fixture
def repository(
    git_repository: Callable[..., GitRepository], http_server: HttpServer
) -> GitRepository:
    http_server.answer("POST", "/databases", json={"address": "db.internal:5432"})
    for path in ("/apps", "/caches", "/workers", "/tickets"):
        http_server.answer("POST", path, json={"id": "1"})
    documents = {
        "database": DATABASE,
        "app": APP,
        "cache": CACHE,
        "shop": SHOP,
        "worker": WORKER,
        "factory": FACTORY,
    }
    return git_repository(
        {
            f"catalog/solutions/{name}.yaml": text.replace("URL", http_server.url)
            for name, text in documents.items()
        }
    )


@pytest.fixture
async def bot(dsn: str, repository: GitRepository, tmp_path: Path) -> AsyncIterator[RunningBot]:
    async with running_bot(dsn, repository.url, tmp_path / "data") as bot:
        yield bot


async def next_page(bot: RunningBot, form: View, **values: object) -> str:
    """Fill in, press the button, and return what the form says then."""
    await bot.twin.submit("alice", form, values)
    return text_of(form)


async def test_from_the_form_to_the_members(bot: RunningBot, http_server: HttpServer) -> None:
    form = await bot.form("alice", "shop")
    assert "It consists of *Database*, *App*" in text_of(form)
    assert "Your answers decide about *Cache*" in text_of(form)
    assert "Page 1 of 4" in text_of(form)

    told = await next_page(bot, form, **{"field:solution": "orders", "instance_name": "the shop"})
    assert "Page 2 of 4" in told
    assert "Given by the bundle: Database name: `orders-db`" in told
    told = await next_page(bot, form, **DATABASE_PAGE)
    assert "Page 3 of 4" in told
    assert "Database address: `from database, once it is there`" in told
    told = await next_page(bot, form, **{"component:app:replicas": "3"})

    assert "Page 4 of 4" in told
    assert "Will run: 2 steps" in told
    assert "`database/create`" in told
    assert "`app/deploy`" in told
    assert "Replicas: `3`" in told
    assert "hunter2" not in told
    assert http_server.requests("POST", "/databases") == []

    await bot.twin.submit("alice", form)
    assert bot.twin.views("alice") == []
    await bot.card(holding="is completed")
    [database] = http_server.requests("POST", "/databases")
    assert database.json() == {"name": "orders-db", "disk": None, "password": "hunter2-hunter2"}
    [app] = http_server.requests("POST", "/apps")
    assert app.json() == {"replicas": 3, "database": "db.internal:5432"}


async def test_an_optional_item_and_an_answer_bring_pages_of_their_own(
    bot: RunningBot, http_server: HttpServer
) -> None:
    form = await bot.form("alice", "shop")
    bot.twin.fill("alice", form, {"field:solution": "orders"})
    await bot.twin.click("alice", form, "field", ["sessions"], block_id="components")
    await bot.twin.until(lambda: "Page 1 of 5" in text_of(form))
    assert bot.twin.values_of(form)["field:solution"]["field"]["value"] == "orders"

    await next_page(bot, form, **{"field:fast": ["true"]})
    await next_page(bot, form, **DATABASE_PAGE)
    await next_page(bot, form)
    assert "Page 4 of 6" in text_of(form)
    await next_page(bot, form, **{"component:sessions:memory": "2"})
    told = await next_page(bot, form, **{"component:pages:memory": "4"})
    assert "Will run: 4 steps" in told

    await bot.twin.submit("alice", form)
    await bot.card(holding="is completed")
    asked = [one.json()["memory"] for one in http_server.requests("POST", "/caches")]
    assert sorted(asked) == [2, 4]


async def test_what_the_bundle_makes_of_its_answers_decides_what_a_component_asks(
    bot: RunningBot,
) -> None:
    form = await bot.form("alice", "shop")
    await next_page(bot, form, **{"field:solution": "dev"})
    assert "component:database:backups" not in bot.twin.values_of(form)
    await bot.twin.click("alice", form, "form_back")
    await bot.twin.until(lambda: "Page 1 of 4" in text_of(form))

    await next_page(bot, form, **{"field:solution": "prod"})

    assert bot.twin.values_of(form)["component:database:backups"]["field"]["value"] == "7"
    await next_page(bot, form, **DATABASE_PAGE)
    assert "Backups: `7`" in await next_page(bot, form)


async def test_back_and_next_keep_every_value_and_what_is_left_empty_is_said_in_place(
    bot: RunningBot,
) -> None:
    form = await bot.form("alice", "shop")
    await next_page(bot, form, **{"field:solution": "orders"})
    await next_page(bot, form, **DATABASE_PAGE | {"component:database:size": "large"})
    assert "Because of your answers a little more is asked" in text_of(form)
    await next_page(bot, form, **{"component:database:disk": "1000"})
    assert set(bot.twin.errors_of(form)) == {"component:database:disk"}
    await next_page(bot, form, **{"component:database:disk": "50"})
    assert "Page 3 of 4" in text_of(form)

    for page in ("Page 2 of 4", "Page 1 of 4"):
        await bot.twin.click("alice", form, "form_back")
        await bot.twin.until(lambda page=page: page in text_of(form))
    assert bot.twin.values_of(form)["field:solution"]["field"]["value"] == "orders"
    await next_page(bot, form)
    values = bot.twin.values_of(form)
    assert values["component:database:disk"]["field"]["value"] == "50"
    assert values["component:database:password"]["field"]["value"] is None
    told = await next_page(bot, form)
    assert "Page 3 of 4" in told
    assert "Disk: `50`" in await next_page(bot, form)


async def test_a_closed_bundle_form_is_a_draft_of_all_its_pages_without_secrets(
    bot: RunningBot,
) -> None:
    form = await bot.form("alice", "shop")
    await next_page(bot, form, **{"field:solution": "orders"})
    bot.twin.fill("alice", form, {"component:database:password": "hunter2-hunter2"})
    await next_page(bot, form, **DATABASE_PAGE)
    bot.twin.fill("alice", form, {"component:app:replicas": "7"})
    await bot.twin.close("alice", form)
    alice = await bot.services.identity.actor(bot.twin.user("alice"))

    async def kept_without_secrets() -> bool:
        draft = await bot.engine.form_draft(alice, "CatalogBundle:shop")
        return draft is not None and "hunter2" not in str(draft) and "'7'" in str(draft)

    await eventually(kept_without_secrets)

    again = await bot.form("alice", "shop")
    assert "You have a draft" in text_of(again)
    await next_page(bot, again)
    await next_page(bot, again, **{"component:database:password": "hunter3-hunter3"})
    replicas = bot.twin.values_of(again)["component:app:replicas"]["field"]["value"]
    assert replicas == "7"


async def test_a_component_connects_to_a_service_that_exists_unless_the_bundle_has_its_own(
    bot: RunningBot, http_server: HttpServer
) -> None:
    cache = await bot.form("alice", "cache")
    await bot.twin.submit("alice", cache, {"instance_name": "shared"})
    await bot.card(holding="*Cache: shared* is completed")

    form = await bot.form("alice", "factory")
    await next_page(bot, form)
    assert "Connect to: jobs" in text_of(form)
    block = "dependency-of:worker:jobs"
    [service] = await bot.twin.suggest("alice", form, "field_options", "sha", block_id=block)
    assert service["text"]["text"] == "shared"
    told = await next_page(bot, form, **{block: service["value"]})
    assert "Will run: 1 step" in told
    await bot.twin.submit("alice", form)
    await bot.twin.until(lambda: len(http_server.requests("POST", "/workers")) == 1)
    assert http_server.requests("POST", "/workers")[0].json() == {"queue": "shared"}

    form = await bot.form("alice", "factory")
    await next_page(bot, form, components=["own"])
    assert "Connect to: jobs" not in text_of(form)
    assert "Will run: 2 steps" in await next_page(bot, form)


async def test_a_form_that_was_open_for_too_long_begins_again(bot: RunningBot) -> None:
    form = await bot.form("alice", "shop")
    await next_page(bot, form, **{"field:solution": "orders"})
    alice = await bot.services.identity.actor(bot.twin.user("alice"))
    await bot.engine.forget_forms(alice, "CatalogBundle:shop")

    told = await next_page(bot, form, **DATABASE_PAGE)
    assert "This form was open for too long" in told
    assert "Page 1 of 4" in told

    assert "Page 2 of 4" in await next_page(bot, form, **{"field:solution": "orders"})


async def test_a_bundle_whose_component_was_removed_is_refused_with_the_reason(
    bot: RunningBot, repository: GitRepository, http_server: HttpServer
) -> None:
    form = await bot.form("alice", "shop")
    await next_page(bot, form, **{"field:solution": "orders"})
    await next_page(bot, form, **DATABASE_PAGE)
    await next_page(bot, form)
    assert "Will run" in text_of(form)
    repository.commit({"catalog/solutions/database.yaml": None})
    await bot.engine.sync_catalog(None, trigger="interval")

    await bot.twin.submit("alice", form)

    told = text_of(bot.twin.views("alice")[-1])
    assert "component database is not available" in told
    assert "was removed from the catalog" in told
    assert http_server.requests("POST", "/databases") == []


async def test_a_clone_of_a_bundle_takes_its_choices_and_values_over(bot: RunningBot) -> None:
    form = await bot.form("alice", "shop")
    choice = {"field:solution": "orders", "components": ["sessions"]}
    await next_page(bot, form, **choice)
    await next_page(bot, form, **DATABASE_PAGE)
    await next_page(bot, form, **{"component:app:replicas": "5"})
    await next_page(bot, form, **{"component:sessions:memory": "3"})
    await bot.twin.submit("alice", form)
    request_id = text_of(await bot.card(holding="Shop")).split("`")[1]

    await bot.twin.command("alice", "general", f"/pao clone {request_id}")
    form = await bot.twin.view("alice", "request_form")

    values = bot.twin.values_of(form)
    assert values["field:solution"]["field"]["value"] == "orders"
    chosen = values["components"]["field"]["selected_options"]
    assert [one["value"] for one in chosen] == ["sessions"]
    await next_page(bot, form)
    await next_page(bot, form, **{"component:database:password": "hunter3-hunter3"})
    values = bot.twin.values_of(form)
    assert values["component:app:replicas"]["field"]["value"] == "5"
    await next_page(bot, form)
    assert bot.twin.values_of(form)["component:sessions:memory"]["field"]["value"] == "3"


async def test_details_tell_what_a_bundle_holds_and_which_bundles_an_item_is_in(
    bot: RunningBot,
) -> None:
    await bot.twin.click("alice", await bot.ask("alice", "catalog shop"), "Details")
    shop = text_of(await bot.twin.view("alice", "details"))
    assert "It is made of" in shop
    for line in (
        "• `database`",
        "• `sessions` (`cache`, optional)",
        "• `pages` (`cache`, optional)",
    ):
        assert line in shop

    await bot.twin.click("bob", await bot.ask("bob", "catalog keeps orders"), "Details")
    assert "It is part of*\n`shop`" in text_of(await bot.twin.view("bob", "details"))
