"""Browsing, searching and opening the catalog, on real PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from engine.catalog.search import Wanted, details, entries
from engine.errors import InvalidInput, NotFound
from engine.people.permissions import Denied
from engine.results import Actor
from engine.store import queries
from engine.store.pool import Connection

ADA = Actor("U1", "Ada", teams=("payments",))
ADMIN = Actor("U2", "Root", is_admin=True)

DATABASES = [
    "database",
    "postgres-database",
    "web-shop",
    "redis-cache",
    "add-replica",
    "old-database",
]

TABLES = {
    "CatalogItem": ("catalog_items", {"presentation": {}, "fulfillment": {}}),
    "CatalogBundle": ("catalog_bundles", {"presentation": {}, "bundle_definition": {}}),
    "UpdateItem": ("update_items", {"presentation": {}, "fulfillment": {}, "targets": {}}),
    "UpgradeItem": ("upgrade_items", {"presentation": {}, "fulfillment": {}, "targets": {}}),
}


async def add(connection: Connection, name: str, kind: str = "CatalogItem", **facts: Any) -> None:
    table, sections = TABLES[kind]
    row: Mapping[str, Any] = {"name": name, "version": "1.0.0", "owner": "owners"}
    row |= sections | facts
    columns = ", ".join(row)
    places = ", ".join(f"%({column})s" for column in row)
    values = {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()}
    await connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", values)  # type: ignore[arg-type]


async def names(connection: Connection, actor: Actor = ADA, **wanted: Any) -> list[str]:
    page = await entries(connection, actor, Wanted(**wanted))
    return [entry.name for entry in page.items]


@pytest.fixture
async def catalog(connection: Connection) -> Connection:
    await add(
        connection,
        "postgres-database",
        display_name="PostgreSQL database",
        description="A managed database with backups.",
        tags=["sql", "database"],
        category="databases",
        owner="data",
    )
    await add(
        connection, "redis-cache", description="In memory, beside a database.", category="databases"
    )
    await add(connection, "database", tags=["generic"], category="other")
    await add(connection, "web-shop", "CatalogBundle", description="App and database.")
    await add(connection, "add-replica", "UpdateItem", description="For postgres-database.")
    await add(connection, "old-database", lifecycle="deprecated", replaced_by="database")
    await add(connection, "ancient-database", lifecycle="retired")
    await add(connection, "removed-database", is_active=False)
    return connection


async def test_a_list_has_what_is_in_service_by_name(catalog: Connection) -> None:
    assert await names(catalog) == [
        "add-replica",
        "database",
        "old-database",
        "postgres-database",
        "redis-cache",
        "web-shop",
    ]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"kind": "CatalogBundle"}, ["web-shop"]),
        ({"category": "databases"}, ["postgres-database", "redis-cache"]),
        ({"tag": "sql"}, ["postgres-database"]),
        ({"owner": "data"}, ["postgres-database"]),
        ({"owner": "data", "tag": "generic"}, []),
        ({"requestable": True, "category": "other"}, ["database"]),
        ({"requestable": True, "text": "old"}, []),
        ({"text": "  "}, ["add-replica", "database", "old-database"]),
    ],
)
async def test_a_list_is_narrowed(
    catalog: Connection, wanted: dict[str, Any], found: list[str]
) -> None:
    assert (await names(catalog, **wanted))[: len(found) or 1] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # The name that is meant, then names that begin so, then names, tags and descriptions.
        ("database", DATABASES),
        ("postg", ["postgres-database", "add-replica"]),
        ("post data", ["postgres-database", "add-replica"]),
        ("PostgreSQL", ["postgres-database"]),
        ("backups", ["postgres-database"]),
        ("sql", ["postgres-database"]),
        ("postgres-database", ["postgres-database", "add-replica"]),
        ("Postgres Database!", ["postgres-database", "add-replica"]),
        ("nothing like it", []),
        ("'); DROP TABLE catalog_items; --", []),
        ("& | ! ( :*", []),
        ("😀", []),
    ],
)
async def test_a_search_gives_the_best_hit_first(
    catalog: Connection, text: str, found: list[str]
) -> None:
    hits = await names(catalog, text=text)
    assert hits[:1] == found[:1]
    assert sorted(hits) == sorted(found)


async def test_a_search_can_be_narrowed_too(catalog: Connection) -> None:
    assert await names(catalog, text="database", category="databases") == [
        "postgres-database",
        "redis-cache",
    ]


@pytest.mark.parametrize("text", [None, "thing"])
async def test_pages_join_without_gap_or_repeat(connection: Connection, text: str | None) -> None:
    for number in range(7):
        await add(connection, f"thing-{number}", tags=["thing"] * (number % 3))
        await add(connection, f"thing-{number}", "UpdateItem")
    seen: list[tuple[str, str]] = []
    cursor: str | None = None
    while True:
        page = await entries(connection, ADA, Wanted(text=text), limit=3, cursor=cursor)
        seen += [(entry.name, entry.kind) for entry in page.items]
        assert len(page.items) <= 3
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 14
    if text is None:
        assert seen == sorted(seen)


@pytest.mark.parametrize("cursor", ["x", "!!!", "WzFd", "eyJhIjoxfQ==", "é"])
async def test_a_cursor_that_no_page_gave_is_refused(connection: Connection, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor cannot be read"):
        await entries(connection, ADA, Wanted(), cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 501])
async def test_a_page_has_a_sensible_size(connection: Connection, limit: int) -> None:
    with pytest.raises(InvalidInput, match="1 to 500 entries"):
        await entries(connection, ADA, Wanted(), limit=limit)


@pytest.mark.parametrize(
    ("access", "sees"),
    [
        (None, True),
        ({}, True),
        ({"limits": [{"teams": ["payments"], "max_active": 1}]}, True),
        ({"teams": ["payments"]}, True),
        ({"usergroups": ["@payments"]}, True),
        ({"usergroups": ["payments"], "teams": ["others"]}, True),
        ({"teams": ["others"]}, False),
        ({"teams": []}, False),
        ({"teams": ["others"], "limits": [{"teams": ["payments"]}]}, False),
    ],
)
async def test_what_access_does_not_open_is_neither_listed_nor_found(
    connection: Connection, access: dict[str, Any] | None, sees: bool
) -> None:
    await add(connection, "vault", access=access, description="keeps things")
    for text in (None, "keeps"):
        assert await names(connection, text=text) == (["vault"] if sees else [])
        assert await names(connection, ADMIN, text=text) == ["vault"]
    if sees:
        assert (await details(connection, ADA, "vault")).entry.name == "vault"
    else:
        with pytest.raises(Denied) as caught:
            await details(connection, ADA, "vault")
        with pytest.raises(NotFound) as unknown:
            await details(connection, ADA, "vaalt")
        assert str(caught.value.error) == str(unknown.value).replace("vaalt", "vault")


async def test_owners_see_what_is_closed_to_others(connection: Connection) -> None:
    await add(connection, "vault", owner="payments", access={"teams": ["others"]})
    assert await names(connection) == ["vault"]
    assert (await details(connection, ADA, "vault")).entry.owner == "payments"


async def test_somebody_who_left_sees_nothing(catalog: Connection) -> None:
    gone = Actor("U3", "Gone", is_admin=True, is_active=False)
    assert await names(catalog, gone) == []
    with pytest.raises(Denied):
        await details(catalog, gone, "database")


async def test_a_document_is_found_by_name_and_by_slug(connection: Connection) -> None:
    await add(connection, "Web Shop 2", display_name="The shop", source_file_hash="abc")
    by_slug = await details(connection, ADA, "web-shop-2")
    assert by_slug == await details(connection, ADA, "Web Shop 2")
    assert (by_slug.entry.display_name, by_slug.content_hash) == ("The shop", "abc")


async def test_a_name_of_two_kinds_needs_the_kind(connection: Connection) -> None:
    await add(connection, "shop")
    await add(connection, "shop", "CatalogBundle")
    with pytest.raises(InvalidInput, match="CatalogItem") as caught:
        await details(connection, ADA, "shop")
    assert "CatalogBundle" in str(caught.value)
    assert caught.value.code == "ambiguous_name"
    found = await details(connection, ADA, "shop", "CatalogBundle")
    assert found.entry.kind == "CatalogBundle"


async def test_an_unknown_name_is_told_the_nearest(catalog: Connection) -> None:
    with pytest.raises(NotFound, match="Did you mean 'redis-cache'"):
        await details(catalog, ADA, "redis-cahce")
    with pytest.raises(NotFound, match="pao catalog list"):
        await details(catalog, ADA, "something entirely different")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("redis", "Did you mean 'redis-cache'?"),
        ("CACHE", "Did you mean 'redis-cache'?"),
        ("re", "pao catalog list"),
    ],
)
async def test_a_part_of_a_name_is_told_which_begin_so_or_hold_it(
    catalog: Connection, typed: str, meant: str
) -> None:
    with pytest.raises(NotFound) as unknown:
        await details(catalog, ADA, typed)
    assert meant in str(unknown.value)


async def test_a_removed_document_says_since_when(catalog: Connection) -> None:
    with pytest.raises(NotFound, match=r"removed on \d{4}-\d\d-\d\d.*owners"):
        await details(catalog, ADA, "removed-database")


async def test_an_item_shows_the_bundles_that_contain_it(connection: Connection) -> None:
    await add(connection, "Database One")
    await add(
        connection,
        "shop",
        "CatalogBundle",
        bundle_definition={
            "required_items": [{"catalog_item": "database-one", "version": "^1.0.0"}]
        },
    )
    await add(
        connection,
        "gone-bundle",
        "CatalogBundle",
        is_active=False,
        bundle_definition={"required_items": [{"catalog_item": "database-one"}]},
    )
    assert (await details(connection, ADA, "database-one")).bundles == [
        {"name": "shop", "version": "1.0.0", "is_required": True, "version_constraint": "^1.0.0"}
    ]


async def test_search_and_list_use_their_indexes(connection: Connection) -> None:
    await connection.execute(
        "INSERT INTO catalog_items (name, version, owner, presentation, fulfillment, description)"
        " SELECT 'item-' || n, '1.0.0', 'o', to_jsonb(repeat('x', 1500)), '{}', 'word' || n"
        " FROM generate_series(1, 10000) n"
    )
    await connection.execute("ANALYZE")
    nothing = dict.fromkeys(("kind", "category", "owner", "tag", "after_name", "after_kind"))
    common = nothing | {"requestable": False, "sees_all": True, "teams": [], "limit": 51}
    sql = queries.load("catalog_entries")
    search = common | {"words": "word4711:*", "slug": "word4711", "after_score": None}
    assert "idx_catalog_items_search" in await plan(connection, sql.search_entries, search)
    after = common | {"after_name": "item-4000", "after_kind": "CatalogItem"}
    for parameters in (common, after):
        listed = await plan(connection, sql.list_entries, parameters)
        assert "Seq Scan on catalog_items" not in listed
        assert "catalog_items_name_key" in listed or "idx_catalog_items_name_id" in listed


async def plan(connection: Connection, query: str, parameters: Mapping[str, Any]) -> str:
    cursor = await connection.execute("EXPLAIN " + query, parameters)
    return "\n".join(row[0] for row in await cursor.fetchall())
