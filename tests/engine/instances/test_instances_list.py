"""Lists of instances: who sees what, filters, pages, and the indexes behind them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from psycopg import sql

from engine.errors import InvalidInput
from engine.instances import lifecycle
from engine.results import Actor
from engine.store.instances import InstanceFilter, list_parameters
from engine.store.pool import Connection
from engine.store.queries import load
from tests.support.founding_rows import Rows

OWNER = Actor("U1", "Ada", teams=("payments",))
COLLEAGUE = Actor("U2", "Bo", teams=("payments", "search"))
STRANGER = Actor("U3", "Cy", teams=("other",))
CATALOG_OWNER = Actor("U4", "Di", teams=("platform",))
ADMIN = Actor("U5", "Ed", is_admin=True)
GONE = Actor("U1", "Ada", teams=("payments",), is_admin=True, is_active=False)


async def names(connection: Connection, actor: Actor, **filters: Any) -> list[str]:
    page = await lifecycle.page(connection, actor, **filters)
    return [instance.instance_name for instance in page.items]


async def one_each(rows: Rows) -> None:
    """Write "mine" of U1 and payments, "team" of U9 and payments, "foreign" of U9 and search."""
    item = await rows.item("db")
    for day, (name, user, team) in enumerate(
        [("mine", "U1", "payments"), ("team", "U9", "payments"), ("foreign", "U9", "search")], 1
    ):
        await rows.instance(
            item=item,
            instance_name=name,
            owner_user_id=user,
            owner_team=team,
            created_at=f"2030-01-0{day}",
        )


@pytest.mark.parametrize(
    ("actor", "scope", "seen"),
    [
        (OWNER, "mine", ["mine"]),
        (OWNER, "team", ["team", "mine"]),
        (OWNER, "all", ["team", "mine"]),
        (COLLEAGUE, "mine", []),
        (COLLEAGUE, "team", ["foreign", "team", "mine"]),
        (STRANGER, "team", []),
        (STRANGER, "all", []),
        (CATALOG_OWNER, "team", []),
        (CATALOG_OWNER, "all", ["foreign", "team", "mine"]),
        (ADMIN, "mine", []),
        (ADMIN, "all", ["foreign", "team", "mine"]),
        (GONE, "mine", []),
        (GONE, "all", []),
    ],
)
async def test_a_list_shows_what_one_may_see_newest_first(
    rows: Rows, actor: Actor, scope: str, seen: list[str]
) -> None:
    await one_each(rows)

    assert await names(rows.connection, actor, scope=scope) == seen


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("orders", ["orders-db (eu)"]),
        ("db", ["orders-db (eu)"]),
        ("ORD", ["orders-db (eu)"]),
        ("eu db", ["orders-db (eu)"]),
        ("rders", []),
        ("(eu", ["orders-db (eu)"]),
        (".*", []),
        ("si-found", ["orders-db (eu)"]),
        ("post", ["orders-db (eu)"]),
        ("", ["orders-db (eu)", "other"]),
        ("orders\x00", []),
    ],
)
async def test_text_matches_words_by_their_beginning(
    rows: Rows, text: str, found: list[str]
) -> None:
    item = await rows.item("postgresql")
    await rows.instance(item=item, instance_name="orders-db (eu)", instance_id="si-found")
    await rows.instance(item=await rows.item("cache"), instance_name="other", instance_id="si-two")

    assert sorted(await names(rows.connection, ADMIN, scope="all", text=text)) == found


async def test_a_list_is_narrowed_by_state_and_item(rows: Rows) -> None:
    item = await rows.item("Big Cache")
    await rows.instance("failed", item=item, instance_name="broken")
    await rows.instance(item=item, instance_name="fine")
    await rows.instance("failed", instance_name="other")

    assert await names(rows.connection, OWNER, state="failed", item="big-cache") == ["broken"]
    assert await names(rows.connection, OWNER, state="failed", item="Big Cache") == ["broken"]


async def test_instances_of_bundles_are_listed_by_the_bundles_name(rows: Rows) -> None:
    await rows.instance(catalog_bundle_id=await rows.bundle("stack"), instance_name="whole")

    page = await lifecycle.page(rows.connection, CATALOG_OWNER, scope="all")

    assert [(i.instance_name, i.catalog_name) for i in page.items] == [("whole", "stack")]


async def test_pages_follow_each_other_without_gap_or_repetition(rows: Rows) -> None:
    item = await rows.item()
    for number in range(7):
        # Two of a moment: the id decides.
        await rows.instance(
            item=item, instance_name=f"n{number}", created_at=f"2030-01-0{1 + number // 2}"
        )
    seen: list[str] = []
    cursor: str | None = None
    sizes = []
    while True:
        page = await lifecycle.page(rows.connection, OWNER, limit=3, cursor=cursor)
        sizes.append(len(page.items))
        seen += [instance.instance_name for instance in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert sizes == [3, 3, 1]
    assert sorted(seen) == [f"n{number}" for number in range(7)]


@pytest.mark.parametrize(
    "wrong", [{"scope": "world"}, {"state": "gone"}, {"cursor": "nonsense"}, {"cursor": "é"}]
)
async def test_wrong_filters_are_invalid_input(rows: Rows, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        await lifecycle.page(rows.connection, OWNER, **wrong)


WAYS = {
    "any": InstanceFilter(everything=True),
    "owner": InstanceFilter(owner="U7"),
    "team": InstanceFilter(teams=("team-7", "team-8")),
    "document": InstanceFilter(document_owners=("owner-7",)),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_page_reads_little_more_than_it_shows(rows: Rows, way: str) -> None:
    await fill(rows)
    plan = await generic_plan(rows, WAYS[way])

    scans = [node for node in nodes(plan) if node.get("Relation Name") == "service_instances"]
    assert all("Index" in node["Node Type"] for node in scans)
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in scans) <= 60


async def test_a_shortened_id_is_found_by_an_index(rows: Rows) -> None:
    await fill(rows)
    plan = await explained(rows, load("instances").ids_like, {"word": "si-0000"})

    scans = [node for node in nodes(plan) if node.get("Relation Name") == "service_instances"]
    assert scans
    assert all("Bitmap" in node["Node Type"] or "Index" in node["Node Type"] for node in scans)


async def fill(rows: Rows) -> None:
    """Write 100 items and 5,000 instances of 100 people in 100 teams."""
    await rows.connection.execute(
        "INSERT INTO catalog_items (name, version, owner, presentation, fulfillment)"
        " SELECT 'item-' || n, '1.0.0', 'owner-' || n, '{}', '{}' FROM generate_series(0, 99) n"
    )
    await rows.connection.execute(
        "INSERT INTO service_instances (instance_id, catalog_item_id, catalog_version,"
        " instance_name, instance_state, owner_user_id, owner_team, deployment_parameters,"
        " created_at) SELECT 'si-' || lpad(n::text, 8, '0'), i.id, '1.0.0', 'n' || n, 'active',"
        " 'U' || n %% 100, 'team-' || n %% 100, '{}', now() - n * interval '1 minute'"
        " FROM generate_series(1, 5000) n JOIN catalog_items i ON i.name = 'item-' || n %% 100",
        {},
    )
    await rows.connection.execute("ANALYZE")


async def generic_plan(rows: Rows, wanted: InstanceFilter) -> Any:
    return await explained(rows, load("instances").list_instances, list_parameters(wanted))


async def explained(rows: Rows, query: str, parameters: Mapping[str, Any]) -> Any:
    """Return the plan that the engine's sessions use (generic), with what it read."""
    order = list(parameters)
    numbered = re.sub(r"%\((\w+)\)s", lambda m: f"${order.index(m[1]) + 1}", query)
    await rows.connection.execute(f"PREPARE asked AS {numbered.replace('%%', '%')}")
    values = sql.SQL(", ").join(sql.Literal(parameters[name]) for name in order)
    explain = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked({})").format(values)
    row = await (await rows.connection.execute(explain)).fetchone()
    assert row is not None
    plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
    return plan[0]["Plan"]


def nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


async def test_ids_may_be_shortened(rows: Rows) -> None:
    for id_ in ("si-aaaabbbbcccc", "si-aaaaddddeeee", "si-zzzzyyyyxxxx"):
        await rows.instance(instance_id=id_)

    async def find(word: str) -> str:
        return (await lifecycle.find(rows.connection, OWNER, word)).instance_id

    assert await find("si-zzzz") == "si-zzzzyyyyxxxx"
    assert await find("ZZ") == "si-zzzzyyyyxxxx"
    assert await find(" si-aaaabbbbcccc ") == "si-aaaabbbbcccc"
    with pytest.raises(InvalidInput, match="means several"):
        await find("si-aaaa")
