"""`pao catalog diff`: what lies between two commits, as reviewers of a pull request see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from engine.store.pool import Connection
from tests.support.founding_rows import Rows
from tests.support.git import GitRepository
from tests.support.pao import Pao

NewRepository = Callable[[Mapping[str, str | bytes | None]], GitRepository]

ITEM = """\
name: NAME
version: 1.0.0
owner: dba
description: Keeps data.
presentation:
  fields:
    - {name: size, type: selection, oneof: [small, large], default: small}
    - {name: copies, type: integer, default: 1}
fulfillment:
  manual: {system: webhook, template: {url: https://example.com, body: "{{ size }}"}}
"""
UPDATE = """\
name: resize
version: 1.0.0
owner: dba
description: Larger or smaller.
targets: {catalog_items: [{name: database, version_range: "^1.0.0"}]}
presentation: {fields: []}
fulfillment: {manual: {system: webhook, template: {url: https://example.com}}}
"""
BUNDLE = """\
name: shop
version: 1.0.0
owner: web
description: All of it.
bundle: {required_items: [{catalog_item: database}]}
presentation: {bundle_fields: [{name: region, type: string, default: here}]}
"""
UPGRADE = """\
kind: UpgradeItem
name: next
version: 1.0.0
owner: dba
description: To the next version.
targets: {catalog_items: [{name: shop, version_range: "^1.0.0"}]}
presentation: {fields: [{name: copies, type: integer, default: 1}]}
fulfillment: {manual: {system: webhook, template: {url: https://example.com, body: "{{ copies }}"}}}
"""
DATABASE = "catalog/databases/database.yaml"
CACHE = "catalog/databases/cache.yaml"


@pytest.fixture
def repository(git_repository: NewRepository) -> GitRepository:
    return git_repository(
        {
            DATABASE: ITEM.replace("NAME", "database"),
            CACHE: ITEM.replace("NAME", "cache"),
            "catalog/databases/resize.yaml": UPDATE,
        }
    )


def change(repository: GitRepository) -> None:
    """Change the database, drop the cache, add a queue, move nothing else."""
    text = ITEM.replace("NAME", "database").replace("1.0.0", "1.1.0")
    text = text.replace("oneof: [small, large]", "oneof: [small, large, huge]")
    text = text.replace("{name: copies, type: integer, default: 1}", "{name: zone, type: string}")
    queue = ITEM.replace("NAME", "queue")
    repository.commit({DATABASE: text, CACHE: None, "catalog/queues/queue.yaml": queue})


def diff(pao: Pao, repository: GitRepository, *more: str, code: int = 0) -> dict[str, Any]:
    answer = pao(
        *("--output", "json", "catalog", "diff", "HEAD~1", "HEAD"),
        *("--repository", str(repository.path), *more),
    )
    assert answer.code == code, answer.err
    found: dict[str, Any] = answer.json
    return found


def test_it_tells_documents_versions_and_fields(pao: Pao, repository: GitRepository) -> None:
    change(repository)
    found = diff(pao, repository, "--no-instances")
    assert found["to_commit"] == repository.head
    assert found["instances"] is None
    changes = {(one["name"], one["change"]): one for one in found["changes"]}
    assert list(changes) == [("cache", "removed"), ("database", "changed"), ("queue", "added")]
    database = changes["database", "changed"]
    assert (database["from_version"], database["to_version"]) == ("1.0.0", "1.1.0")
    assert database["parts"] == ["presentation"]
    assert database["fields"] == [
        {
            "name": "size",
            "change": "changed",
            "properties": [
                {
                    "name": "oneof",
                    "before": ["small", "large"],
                    "after": ["small", "large", "huge"],
                }
            ],
        },
        {"name": "copies", "change": "removed", "properties": []},
        {"name": "zone", "change": "added", "properties": []},
    ]


async def test_it_names_the_running_instances(
    pao: Pao, repository: GitRepository, dsn: str, connection: Connection
) -> None:
    rows = Rows(connection)
    item = await rows.item("database")
    kept = await rows.instance(item=item, catalog_version="1.0.0")
    old = await rows.instance(item=item, catalog_version="0.9.0")
    await rows.instance("decommissioned", item=item)
    await connection.commit()
    ids = {
        one: await rows.value("SELECT instance_id FROM service_instances WHERE id = %s", one)
        for one in (kept, old)
    }
    change(repository)
    resized = UPDATE.replace("version: 1.0.0", "version: 1.0.1")
    repository.commit({"catalog/databases/resize.yaml": resized})
    pao.environment = {**pao.environment, "PAO_DATABASE_URL": dsn}
    answer = pao(
        *("--output", "json", "catalog", "diff", "HEAD~2", "HEAD"),
        *("--repository", str(repository.path)),
    )
    touched = {one["name"]: one for one in answer.json["instances"]}
    assert touched["database"]["count"] == 2
    assert set(touched["database"]["instance_ids"]) == set(ids.values())
    assert touched["resize"]["instance_ids"] == [ids[kept]]


async def test_bundles_and_operations_are_told_like_items(
    pao: Pao, repository: GitRepository, dsn: str, connection: Connection
) -> None:
    shop, upgrade = "catalog/shops/shop.yaml", "catalog/shops/next.yaml"
    repository.commit({shop: BUNDLE, upgrade: UPGRADE})
    rows = Rows(connection)
    running = await rows.instance(
        catalog_bundle_id=await rows.bundle("shop"), catalog_version="1.0.0"
    )
    named = await rows.value("SELECT instance_id FROM service_instances WHERE id = %s", running)
    await connection.commit()
    pao.environment = {**pao.environment, "PAO_DATABASE_URL": dsn}
    repository.commit(
        {
            shop: BUNDLE.replace("1.0.0", "2.0.0").replace(
                "default: here", "default: there, label: Where"
            ),
            upgrade: UPGRADE.replace("version: 1.0.0", "version: 1.0.1").replace(
                "{name: copies, type: integer, default: 1}", "{name: copies, type: number}"
            ),
        }
    )

    found = diff(pao, repository)

    changes = {one["name"]: one for one in found["changes"]}
    assert {name: (one["kind"], one["to_version"]) for name, one in changes.items()} == {
        "shop": ("CatalogBundle", "2.0.0"),
        "next": ("UpgradeItem", "1.0.1"),
    }
    properties = {
        name: [one["name"] for field in change["fields"] for one in field["properties"]]
        for name, change in changes.items()
    }
    assert properties == {"shop": ["default", "label"], "next": ["type", "default"]}
    assert {one["name"]: one["instance_ids"] for one in found["instances"]} == {
        "shop": [named],
        "next": [named],
    }


def test_without_a_database_it_says_so_and_tells_the_rest(
    pao: Pao, repository: GitRepository
) -> None:
    change(repository)
    pao.environment = {**pao.environment, "PAO_DATABASE_URL": "postgresql://localhost:1/none"}
    answer = pao("catalog", "diff", "HEAD~1", "HEAD", "--repository", str(repository.path))
    assert answer.code == 0
    assert "Which instances this touches is not known" in answer.err
    assert "Changed: CatalogItem database 1.0.0 -> 1.1.0" in answer.out
    assert answer.out.endswith(
        "1 added, 1 changed, 1 removed. Running instances were not looked at.\n"
    )


def test_markdown_cannot_be_steered_by_a_document(pao: Pao, repository: GitRepository) -> None:
    text = ITEM.replace("NAME", "database").replace("default: 1", "default: 1, label: 'a `b` @all'")
    repository.commit({DATABASE: text})
    answer = pao(
        *("catalog", "diff", "HEAD~1", "HEAD", "--no-instances", "--format", "markdown"),
        *("--repository", str(repository.path)),
    )
    assert "- **Changed** `CatalogItem database 1.0.0" in answer.out
    assert "`` field copies: label - -> a `b` @all ``" in answer.out
    assert "`the content changed and the version did not`" in answer.out


def test_a_changed_own_type_changes_the_documents_that_use_it(
    pao: Pao, git_repository: NewRepository
) -> None:
    types = "zone: {base: selection, oneof: [a, b]}\n"
    text = ITEM.replace("NAME", "database").replace("type: integer, default: 1", "type: zone")
    repository = git_repository({"types.yaml": types, DATABASE: text})
    repository.commit({"types.yaml": types.replace("[a, b]", "[a, b, c]")})
    [one] = diff(pao, repository, "--no-instances")["changes"]
    assert one["name"] == "database"
    assert one["version_kept"]
    assert [field["name"] for field in one["fields"]] == ["copies"]


def test_a_file_that_moves_within_its_category_changes_nothing(
    pao: Pao, repository: GitRepository
) -> None:
    repository.git("mv", CACHE, "catalog/databases/store.yaml")
    repository.commit_all()
    assert diff(pao, repository, "--no-instances")["changes"] == []


def test_a_file_that_cannot_be_read_is_named_and_exits_1(
    pao: Pao, repository: GitRepository
) -> None:
    repository.commit({DATABASE: "name: [database\n"})
    found = diff(pao, repository, "--no-instances", code=1)
    [lost] = found["unreadable"]
    assert (lost["file"], lost["commit"]) == (DATABASE, repository.head)


def test_a_reference_that_names_nothing_exits_1(pao: Pao, repository: GitRepository) -> None:
    for ref in ("nowhere", "--help-me", "--output=x"):
        answer = pao(
            *("catalog", "diff", "--no-instances", "--repository", str(repository.path)),
            *("--", ref, "HEAD"),
        )
        assert answer.code == 1
        assert f"There is no commit '{ref}'" in answer.err


def test_outside_a_repository_it_says_what_to_do(pao: Pao) -> None:
    answer = pao("catalog", "diff", "a", "b", "--repository", "/")
    assert answer.code == 2
    assert "is in no Git repository" in answer.err


def test_the_mirror_of_the_settings_can_be_compared(pao: Pao, repository: GitRepository) -> None:
    change(repository)
    pao.environment = {**pao.environment, "PAO_CATALOG_URL": repository.url}
    answer = pao("catalog", "diff", "HEAD~1", "main", "--mirror", "--no-instances")
    assert answer.code == 0, answer.err
    assert "Removed: CatalogItem cache 1.0.0" in answer.out
