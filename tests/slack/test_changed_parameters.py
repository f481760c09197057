"""A failed request goes on with other values: the form of its own document, secrets kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.git import GitRepository
from tests.support.http_server import HttpServer
from tests.support.running_bot import RunningBot, running_bot
from tests.support.slack_twin import text_of

BUCKET = """
name: bucket
display_name: Bucket
version: 1.0.0
owner: platform
description: Holds files
presentation:
  fields:
    - {name: size, type: integer, required: true, max_value: 100}
    - {name: note, type: string, default: none}
    - {name: token, type: secret, min_length: 8, required: true}
fulfillment:
  manual: {system: webhook, template: {url: "URL/tickets", body: {summary: x}}}
  automation:
    retry_policy: {max_attempts: 1}
    steps:
      - name: create
        type: HttpPost
        template:
          url: URL/buckets
          body: {size: "{{ size }}", note: "{{ note }}", token: "{{ token }}"}
"""

SITE = """
name: site
display_name: Site
version: 1.0.0
owner: platform
description: A bucket with a name
bundle:
  required_items:
    - {name: files, catalog_item: bucket, parameters: {note: "{{ title }}"}}
presentation:
  bundle_fields:
    - {name: title, type: string, required: true}
"""


@pytest.fixture
async def bot(
    dsn: str,
    git_repository: Callable[..., GitRepository],
    http_server: HttpServer,
    tmp_path: Path,
) -> AsyncIterator[RunningBot]:
    http_server.answer("POST", "/tickets", json={"id": "OPS-1", "status": "open"})
    http_server.answer("POST", "/buckets", status=400, json={"error": "too large"}, times=1)
    http_server.answer("POST", "/buckets", json={})
    text = BUCKET.replace("URL", http_server.url)
    repository = git_repository(
        {"catalog/storage/bucket.yaml": text, "catalog/storage/site.yaml": SITE}
    )
    async with running_bot(dsn, repository.url, tmp_path / "data") as bot:
        yield bot


async def failed(bot: RunningBot) -> str:
    """Order a bucket of which the step fails; return the request's id."""
    form = await bot.form("alice", "bucket")
    values = {"field:size": "90", "field:note": "", "field:token": "hunter2-hunter2"}
    await bot.twin.submit("alice", form, values)
    return text_of(await bot.card(holding="has failed")).split("`")[1]


@pytest.mark.parametrize("step", [None, "create"])
async def test_it_goes_on_with_what_was_changed_and_keeps_the_rest(
    bot: RunningBot, http_server: HttpServer, step: str | None
) -> None:
    request_id = await failed(bot)
    card = await bot.card(holding="has failed")
    value = f"{request_id} {step}" if step else request_id
    await bot.twin.click("alice", card, "request_change", value)
    form = await bot.twin.view("alice", "request_form")

    values = bot.twin.values_of(form)
    assert values["field:size"]["field"]["value"] == "90"
    assert values["field:note"]["field"]["value"] is None
    assert values["field:token"]["field"]["value"] is None
    await bot.twin.submit("alice", form, {"field:size": "900"})
    assert set(bot.twin.errors_of(form)) == {"field:size"}
    await bot.twin.submit("alice", form, {"field:size": "9"})

    assert bot.twin.views("alice") == []
    await bot.card(holding="is completed")
    first, second = http_server.requests("POST", "/buckets")
    assert first.json()["size"] == 90
    assert second.json() == {"size": 9, "note": None, "token": "hunter2-hunter2"}


async def test_nobody_else_is_shown_what_was_asked_for(bot: RunningBot) -> None:
    await failed(bot)
    card = await bot.card(holding="has failed")
    before = len(bot.twin.ephemerals("bob"))

    await bot.twin.click("bob", card, "request_change")

    answers = await bot.twin.eventually(lambda: bot.twin.ephemerals("bob")[before:])
    assert "You may not do this" in text_of(answers[-1])
    assert bot.twin.views("bob") == []


async def test_a_bundle_goes_on_with_what_was_changed_of_a_component(
    bot: RunningBot, http_server: HttpServer
) -> None:
    form = await bot.form("alice", "site")
    await bot.twin.submit("alice", form, {"field:title": "docs"})
    page = {"component:files:size": "90", "component:files:token": "hunter2-hunter2"}
    await bot.twin.submit("alice", form, page)
    await bot.twin.submit("alice", form)
    card = await bot.card(holding="has failed")

    await bot.twin.click("alice", card, "request_change", text_of(card).split("`")[1])
    form = await bot.twin.view("alice", "request_form")
    assert bot.twin.values_of(form)["field:title"]["field"]["value"] == "docs"
    await bot.twin.submit("alice", form)
    values = bot.twin.values_of(form)
    assert values["component:files:size"]["field"]["value"] == "90"
    assert values["component:files:token"]["field"]["value"] is None
    await bot.twin.submit("alice", form, {"component:files:size": "9"})

    assert bot.twin.views("alice") == []
    await bot.card(holding="is completed")
    _, second = http_server.requests("POST", "/buckets")
    assert second.json() == {"size": 9, "note": "docs", "token": "hunter2-hunter2"}
