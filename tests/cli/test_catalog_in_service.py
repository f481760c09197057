"""`pao catalog`: sync, list, get, render and stats, as a script sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tests.support.git import GitRepository
from tests.support.pao import Pao

NewRepository = Callable[[Mapping[str, str | bytes | None]], GitRepository]

ITEM = """\
name: NAME
version: 1.0.0
owner: dba
description: Keeps data.
tags: [sql]
presentation:
  fields:
    - {name: size, type: selection, oneof: [small, large], default: small}
    - {name: copies, type: integer, conditional: {field: size, value: large}}
fulfillment:
  manual: {system: webhook, template: {url: https://example.com, body: "{{ size }}{{ copies }}"}}
"""
BUNDLE = """\
name: shop
version: 1.0.0
owner: web
description: All of it.
bundle: {required_items: [{catalog_item: database}]}
presentation: {bundle_fields: []}
"""


@pytest.fixture
def repository(git_repository: NewRepository) -> GitRepository:
    return git_repository(
        {
            "catalog/databases/database.yaml": ITEM.replace("NAME", "database"),
            "catalog/shops/shop.yaml": BUNDLE,
        }
    )


@pytest.fixture
def synced(pao: Pao, repository: GitRepository, dsn: str) -> Pao:
    """`pao` on a synced catalog."""
    settings = {"PAO_DATABASE_URL": dsn, "PAO_CATALOG_URL": repository.url}
    pao.environment = {**pao.environment, **settings}
    assert pao("catalog", "sync").code == 0
    return pao


def test_a_sync_tells_counts_and_changes_and_exits_1_for_errors(
    synced: Pao, repository: GitRepository
) -> None:
    commit = repository.commit(
        {
            "catalog/databases/more.yaml": ITEM.replace("NAME", "more"),
            "catalog/databases/bad.yaml": "name: bad\nversion: 1\n",
        }
    )
    answer = synced("catalog", "sync", "--output", "json")
    assert answer.code == 1
    report = answer.json
    assert (report["status"], report["commit"]) == ("completed", commit)
    assert report["counts"]["items"] == {"added": 1, "updated": 0, "removed": 0}
    assert [change["name"] for change in report["changes"]] == ["more"]
    error = report["errors"][0]
    assert error["file"] == "catalog/databases/bad.yaml"
    assert {"line", "column", "path", "message", "code"} <= error.keys()
    again = synced("catalog", "sync", "--output", "json")
    assert (again.code, again.json["status"]) == (1, "unchanged")


def test_a_remote_that_cannot_be_reached_is_exit_3_and_a_missing_branch_exit_1(
    synced: Pao,
) -> None:
    gone = synced("catalog", "sync", "--url", "file:///nowhere/at/all", "--output", "json")
    assert gone.code == 3
    assert gone.json["error"]["code"] == "catalog_unreachable"
    assert "no repository at that address" in gone.err
    branch = synced("catalog", "sync", "--branch", "nowhere")
    assert branch.code == 1
    assert "no branch 'nowhere'" in branch.err
    unsafe = synced("catalog", "sync", "--url", "ext::sh -c id", "--output", "json")
    assert unsafe.code == 1
    assert unsafe.json["error"]["field"] == "CATALOG_URL"
    assert len(synced("catalog", "list", "--output", "json").json["items"]) == 2


def test_without_a_repository_a_sync_says_what_to_set(pao: Pao, dsn: str) -> None:
    answer = pao("catalog", "sync", PAO_DATABASE_URL=dsn)
    assert answer.code == 2
    assert "CATALOG_URL" in answer.err


def test_a_list_is_narrowed_searched_and_paged(synced: Pao) -> None:
    whole = synced("catalog", "list", "--output", "json").json
    assert whole["next_cursor"] is None
    keys = "kind name slug display_name version category owner tags description lifecycle"
    assert set(keys.split()) <= whole["items"][0].keys()
    assert [item["name"] for item in whole["items"]] == ["database", "shop"]
    page = synced("catalog", "list", "--limit", "1", "--output", "json").json
    rest = synced("catalog", "list", "--cursor", page["next_cursor"], "--output", "json").json
    assert page["items"] + rest["items"] == whole["items"]
    for options, found in {
        ("--kind", "CatalogBundle"): ["shop"],
        ("--tag", "sql"): ["database"],
        ("--owner", "web"): ["shop"],
        ("--category", "databases"): ["database"],
        ("--search", "data keep"): ["database"],
        ("--search", "nothing"): [],
    }.items():
        listed = synced("catalog", "list", *options, "--output", "json").json["items"]
        assert [item["name"] for item in listed] == found, options


def test_get_shows_a_document_and_its_bundles(synced: Pao) -> None:
    found = synced("catalog", "get", "database", "--output", "json").json
    assert found["bundles"] == [
        {"name": "shop", "version": "1.0.0", "is_required": True, "version_constraint": None}
    ]
    assert found["presentation"]["fields"][0]["name"] == "size"
    assert "shop (required)" in synced("catalog", "get", "database").out
    unknown = synced("catalog", "get", "databsae", "--output", "json")
    assert unknown.code == 1
    assert unknown.json["error"]["code"] == "not_found"
    assert "Did you mean 'database'?" in unknown.err


def test_get_shows_what_a_bundle_is_made_of(synced: Pao) -> None:
    found = synced("catalog", "get", "shop", "--output", "json").json
    assert found["bundle"]["required_items"][0]["catalog_item"] == "database"
    assert "components database (database, required)" in " ".join(
        synced("catalog", "get", "shop").out.split()
    )


def test_a_name_of_several_kinds_is_exit_2_naming_them(
    synced: Pao, repository: GitRepository
) -> None:
    repository.commit({"catalog/shops/twin.yaml": BUNDLE.replace("shop", "database")})
    assert synced("catalog", "sync").code == 0
    for command in ("get", "render"):
        answer = synced("catalog", command, "database")
        assert answer.code == 2
        assert "CatalogItem" in answer.err
        assert "CatalogBundle" in answer.err
    assert synced("catalog", "get", "database", "--kind", "CatalogBundle").code == 0


def test_render_prints_the_views_with_defaults_and_without_false_conditions(synced: Pao) -> None:
    (view,) = synced("catalog", "render", "database", "--output", "json").json["views"]
    assert view["type"] == "modal"
    asked = [block["block_id"] for block in view["blocks"] if block["type"] == "input"]
    assert "field:size" in asked
    assert "field:copies" not in asked
    (size,) = (block for block in view["blocks"] if block.get("block_id") == "field:size")
    assert size["element"]["initial_option"]["value"] == "small"


def test_render_prints_every_page_of_a_bundle(synced: Pao) -> None:
    own, database, last = synced("catalog", "render", "shop", "--output", "json").json["views"]
    asked = [block["block_id"] for block in database["blocks"] if block["type"] == "input"]
    assert asked == ["component:database:size"]
    assert [view["submit"]["text"] for view in (own, database, last)] == ["Next", "Next", "Submit"]


def test_stats_count(synced: Pao) -> None:
    counts = synced("catalog", "stats", "--output", "json").json
    assert counts["documents"][0] == {"kind": "CatalogBundle", "lifecycle": "active", "count": 1}
    assert counts["syncs"][0]["status"] == "completed"
    assert "CatalogItem" in synced("catalog", "stats").out
