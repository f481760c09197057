"""Forms of several pages, long lists, services to connect to."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.git import GitRepository
from tests.support.http_server import HttpServer
from tests.support.running_bot import RunningBot, running_bot
from tests.support.slack_twin import text_of

FIELDS = "\n".join(f"    - {{name: field_{n}, type: string}}" for n in range(120))
REGIONS = ", ".join(f"region-{n}" for n in range(150))

LONG = f"""
name: data-platform
version: 1.0.0
owner: platform
dependencies:
  - {{catalog_item: plain-cache, version: ">=1.0.0", name: cache, required: true}}
presentation:
  fields:
    - {{name: token, type: secret, required: true}}
    - {{name: region, type: selection, oneof: [{REGIONS}], required: true}}
    - {{name: owner, type: user}}
    - {{name: squad, type: team}}
{FIELDS}
    - {{name: last, type: integer, required: true, max_value: 9}}
fulfillment:
  manual:
    system: webhook
    template: {{url: "URL/tickets", body: {{summary: "x"}}}}
  automation:
    steps:
      - name: create
        type: HttpPost
        template:
          url: URL/platforms
          body: {{token: "{{{{ token }}}}", last: "{{{{ last }}}}", region: "{{{{ region }}}}"}}
"""

CACHE = """
name: plain-cache
version: 1.2.0
owner: platform
presentation: {fields: []}
fulfillment:
  manual: {system: webhook, template: {url: "URL/tickets", body: {summary: x}}}
  automation: {steps: [{name: create, type: HttpPost, template: {url: URL/caches}}]}
"""


@pytest.fixture
async def bot(
    dsn: str,
    git_repository: Callable[..., GitRepository],
    http_server: HttpServer,
    tmp_path: Path,
) -> AsyncIterator[RunningBot]:
    for path in ("/caches", "/platforms", "/tickets"):
        http_server.answer("POST", path, json={"id": "1"})
    repository = git_repository(
        {
            "catalog/data/long.yaml": LONG.replace("URL", http_server.url),
            "catalog/data/cache.yaml": CACHE.replace("URL", http_server.url),
        }
    )
    async with running_bot(dsn, repository.url, tmp_path / "data") as bot:
        yield bot


async def test_pages_keep_every_value_and_lead_to_what_is_wrong(
    bot: RunningBot, http_server: HttpServer
) -> None:
    cache = await bot.form("alice", "plain-cache")
    await bot.twin.submit("alice", cache, {"instance_name": "shared"})
    await bot.card(holding="is completed")

    form = await bot.form("alice", "data-platform")
    assert "Page 1 of 2" in text_of(form)
    services = await bot.twin.suggest("alice", form, "field_options", block_id="dependency:cache")
    assert [option["text"]["text"] for option in services] == ["shared"]
    regions = await bot.twin.suggest(
        "alice", form, "field_options", "region-14", block_id="field:region"
    )
    assert [option["value"] for option in regions] == [
        "region-14",
        *(f"region-14{n}" for n in range(10)),
    ]
    teams = await bot.twin.suggest("alice", form, "field_options", "pla", block_id="field:squad")
    assert [option["value"] for option in teams] == ["platform"]

    first = {
        "dependency:cache": services[0]["value"],
        "field:region": "region-142",
        "field:token": "s3cret-token",
        "field:owner": "U0BOB00000",
        "field:field_0": "first",
    }
    await bot.twin.submit("alice", form, first)
    assert "Page 2 of 2" in text_of(form)

    bot.twin.fill("alice", form, {"field:field_119": "later"})
    await bot.twin.click("alice", form, "form_back")
    await bot.twin.until(lambda: "Page 1 of 2" in text_of(form))
    assert bot.twin.values_of(form)["field:field_0"]["field"]["value"] == "first"
    assert bot.twin.values_of(form)["field:token"]["field"]["value"] is None

    await bot.twin.submit("alice", form)
    assert bot.twin.values_of(form)["field:field_119"]["field"]["value"] == "later"
    await bot.twin.submit("alice", form, {"field:last": "7"})

    assert bot.twin.errors_of(form) == {}
    assert bot.twin.views("alice") == []
    await bot.twin.until(lambda: len(http_server.requests("POST", "/platforms")) == 1)
    assert http_server.requests("POST", "/platforms")[0].json() == {
        "token": "s3cret-token",
        "last": 7,
        "region": "region-142",
    }
