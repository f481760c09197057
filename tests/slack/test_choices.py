"""What a menu offers: only what one may choose, what a source answers, services that fit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from engine.store.pool import Connection
from tests.support.founding_rows import Rows
from tests.support.git import GitRepository
from tests.support.http_server import HttpServer
from tests.support.running_bot import RunningBot, running_bot
from tests.support.slack_twin import text_of

CLUSTER = """
name: cluster
version: 1.0.0
owner: platform
description: Machines that belong together
access:
  limits:
    - {{teams: [payments], fields: {{size: [small, medium], zone: [a, b]}}, max_active: 1}}
presentation:
  fields:
    - {{name: size, type: selection, oneof: [small, medium, large], default: large}}
    - name: zone
      type: selection
      options_from:
        url: "{url}/zones/{{{{ catalog_item.slug }}}}"
        json_path: $.zones
        headers: {{Authorization: "Bearer {{{{ secrets.zones_token }}}}"}}
        cache: 1h
    - name: colour
      type: selection
      options_from: {{url: "{url}/colours", cache: 0.01s, fallback: [red, green]}}
fulfillment:
  manual:
    system: webhook
    template: {{url: "{url}/tickets", body: {{summary: "{{{{ size }}}} {{{{ zone }}}} {{{{ colour }}}}"}}}}
"""

READER = """
name: reader
version: 1.0.0
owner: platform
description: Reads from a cluster of the first version
dependencies: [{{catalog_item: cluster, version: "<2.0.0", name: base, required: false}}]
presentation:
  fields: [{{name: source, type: instance, catalog_item: cluster, version: "<2.0.0", required: true}}]
fulfillment:
  manual:
    system: webhook
    template: {{url: "{url}/tickets", body: {{summary: "{{{{ source }}}}"}}}}
"""

ZONES = {"zones": [{"value": "a", "label": "Zone A"}, {"value": "b"}, {"value": "c"}, 7]}


@pytest.fixture
async def choosing(
    dsn: str,
    git_repository: Callable[..., GitRepository],
    http_server: HttpServer,
    tmp_path: Path,
) -> AsyncIterator[RunningBot]:
    """The bot with one document; Alice is in the team payments."""
    http_server.answer("POST", "/tickets", json={"id": "OPS-1", "status": "open"})
    repository = git_repository(
        {
            "catalog/compute/cluster.yaml": CLUSTER.format(url=http_server.url),
            "catalog/compute/reader.yaml": READER.format(url=http_server.url),
        }
    )
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "zones_token").write_text("s3cr3t-token\n")
    async with running_bot(
        dsn,
        repository.url,
        tmp_path / "data",
        notifying=False,
        secrets_dir=secrets,
    ) as bot:
        yield bot


async def offered(bot: RunningBot, user: str, field: str, typed: str = "") -> list[str]:
    form = bot.twin.views(user)[-1]
    found = await bot.twin.suggest(user, form, "field_options", typed, block_id=f"field:{field}")
    return [option["text"]["text"] for option in found]


async def test_a_form_shows_only_what_the_team_may_choose(
    choosing: RunningBot, http_server: HttpServer
) -> None:
    http_server.answer("GET", "/zones/cluster", json=ZONES)
    hers, his = await choosing.form("alice", "cluster"), await choosing.form("bob", "cluster")

    assert "large" not in text_of(hers)
    assert choosing.twin.values_of(hers)["field:size"]["field"]["selected_option"] is None
    assert "large" in text_of(his)
    assert await offered(choosing, "alice", "zone") == ["Zone A", "b"]
    assert await offered(choosing, "bob", "zone") == ["Zone A", "b", "c", "7"]


async def test_a_source_is_asked_once_with_its_secret(
    choosing: RunningBot, http_server: HttpServer
) -> None:
    http_server.answer("GET", "/zones/cluster", json=ZONES)
    await choosing.form("bob", "cluster")

    assert await offered(choosing, "bob", "zone", "zo") == ["Zone A"]
    assert await offered(choosing, "bob", "zone", "c") == ["c"]
    [asked] = http_server.requests("GET", "/zones/cluster")
    assert asked.headers["authorization"] == "Bearer s3cr3t-token"


async def test_what_was_chosen_of_a_fetched_list_is_stored_as_it_was_fetched(
    choosing: RunningBot, http_server: HttpServer
) -> None:
    http_server.answer("GET", "/zones/cluster", json=ZONES)
    form = await choosing.form("bob", "cluster")
    await offered(choosing, "bob", "zone")
    await choosing.twin.submit("bob", form, {"field:zone": "7"})

    assert choosing.twin.errors_of(form) == {}
    bob = await choosing.services.identity.actor(choosing.twin.user("bob"))
    page = await choosing.engine.requests(bob)
    view = await choosing.engine.request(bob, page.items[0].request_id)
    assert view.parameters["zone"] == 7


async def test_what_the_source_no_longer_lists_is_refused_under_its_field(
    choosing: RunningBot, http_server: HttpServer
) -> None:
    http_server.answer("GET", "/colours", json=["red", "blue"], times=1)
    http_server.answer("GET", "/colours", json=["red"])
    form = await choosing.form("bob", "cluster")
    await offered(choosing, "bob", "colour")
    await choosing.twin.submit("bob", form, {"field:colour": "blue"})

    assert "Allowed: red" in choosing.twin.errors_of(form)["field:colour"]


async def test_a_source_that_is_down_gives_the_fallback_or_says_so(
    choosing: RunningBot, http_server: HttpServer
) -> None:
    http_server.answer("GET", "/zones/cluster", status=503)
    http_server.answer("GET", "/colours", json={"no": "list"})
    form = await choosing.form("bob", "cluster")

    assert await offered(choosing, "bob", "colour") == ["red", "green"]
    [words] = await offered(choosing, "bob", "zone")
    assert "down" in words
    await choosing.twin.submit("bob", form, {"field:zone": words})
    assert choosing.twin.errors_of(form) == {}


@pytest.mark.parametrize("block", ["field:source", "dependency:base"])
async def test_services_of_other_versions_are_neither_offered_nor_taken(
    choosing: RunningBot, connection: Connection, block: str
) -> None:
    rows = Rows(connection)
    cluster = await rows.value("SELECT id FROM catalog_items WHERE slug = 'cluster'")
    for name, version in (("old", "1.4.0"), ("older", "1.0.0"), ("new", "2.0.0")):
        await rows.instance(item=cluster, instance_name=name, catalog_version=version)
    await connection.commit()

    form = await choosing.form("alice", "reader")
    for asked in ("field:source", "dependency:base"):
        offer = await choosing.twin.suggest("alice", form, "field_options", block_id=asked)
        found = {one["text"]["text"]: one["value"] for one in offer}
        assert set(found) == {"old", "older"}

    await connection.execute(
        "UPDATE service_instances SET catalog_version = '2.1.0' WHERE instance_name = 'old'"
    )
    await connection.commit()
    values = {"field:source": found["older"]} | {block: found["old"]}
    await choosing.twin.submit("alice", form, values)
    assert "has version 2.1.0; <2.0.0 is needed" in choosing.twin.errors_of(form)[block]


async def test_more_than_a_team_may_have_is_refused_in_words(choosing: RunningBot) -> None:
    form = await choosing.form("alice", "cluster")
    await choosing.twin.submit("alice", form, {"field:size": "small"})
    assert choosing.twin.views("alice") == []

    form = await choosing.form("alice", "cluster")
    await choosing.twin.submit("alice", form, {"field:size": "small"})
    told = text_of(choosing.twin.views("alice")[-1])
    assert "has 1 of" in told
    assert "may have 1 at a time" in told
    assert "Decommission one" in told
