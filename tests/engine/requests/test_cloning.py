"""Clone: what an earlier request asked for, as a new form can be filled with it."""

from __future__ import annotations

import pytest

from engine import Conflict, NotFound, Submission
from tests.support.engines import ALICE, BOB, MALLORY, add_bundle, add_item
from tests.support.operations import operate
from tests.support.workbench import Workbench, step

FIELDS = [
    {"name": "size", "type": "string", "default": "small"},
    {"name": "token", "type": "secret"},
    {"name": "old", "type": "string"},
    {"name": "fixed", "type": "string", "default": "x", "readonly": True},
]


async def test_values_come_as_given_without_secrets_and_what_went_away_is_named(
    bench: Workbench,
) -> None:
    given = {"size": "large", "token": "s3cret", "old": "1"}
    view = await bench.request([step("a")], fields=FIELDS, parameters=given)
    await add_item(bench.connection, fields=FIELDS[:2])
    clone = await bench.engine.clone(BOB, view.request_id)
    assert clone.parameters == {"size": "large"}
    assert clone.dropped == ("old", "fixed")
    assert clone.team == "payments"
    assert clone.document.entry.name == "database"
    assert clone.instance is None


async def test_a_clone_can_be_submitted_again(bench: Workbench) -> None:
    await add_item(bench.connection, fields=FIELDS[:1])
    first = await bench.engine.submit(ALICE, Submission({"size": "huge"}, item="database"))
    clone = await bench.engine.clone(ALICE, first.request_id[-8:])
    again = Submission(clone.parameters, item=clone.document.entry.name, team=clone.team)
    assert (await bench.engine.submit(ALICE, again)).parameters == first.parameters


async def test_a_clone_keeps_what_was_connected(bench: Workbench) -> None:
    provider = await bench.run(await bench.request([step("a")], item="network"))
    await add_item(
        bench.connection,
        dependencies=[{"catalog_item": "network", "name": "net", "required": True}],
    )
    chosen = {"net": provider.instance_id or ""}
    view = await bench.engine.submit(ALICE, Submission({}, item="database", dependencies=chosen))
    assert (await bench.engine.clone(ALICE, view.request_id)).dependencies == chosen


async def test_a_change_is_cloned_with_its_instance(bench: Workbench) -> None:
    made = await bench.run(await bench.request([step("a")]))
    update = await operate(bench, made.instance_id or "", "update", ["b"], parameters={"size": "s"})
    clone = await bench.engine.clone(ALICE, update.request_id)
    assert clone.instance == made.instance_id
    assert clone.document.entry.kind == "UpdateItem"


async def test_a_bundle_is_cloned_component_by_component(bench: Workbench) -> None:
    size = FIELDS[0]
    network = await bench.run(await bench.request([step("a")], item="network"))
    needs = [{"catalog_item": "network", "name": "net", "required": False}]
    await add_item(bench.connection, fields=[size, FIELDS[2]], dependencies=needs)
    items = [{"name": "db", "catalog_item": "database"}]
    extra = [
        {"name": "cache", "catalog_item": "database"},
        {"name": "gone", "catalog_item": "network"},
    ]
    bundle = {"required_items": items, "optional_items": extra}
    await add_bundle(bench.connection, "shop", bundle, fields=[size])
    components = {
        "db": {"enabled": True, "parameters": {"size": "large", "old": "1"}},
        "cache": {"enabled": False, "parameters": {}},
    }
    wanted = Submission(
        {"size": "huge"},
        bundle="shop",
        components=components,
        dependencies={"db.net": network.instance_id or ""},
    )
    view = await bench.engine.submit(ALICE, wanted)
    await add_item(bench.connection, fields=[size], dependencies=needs)
    await add_bundle(
        bench.connection, "shop", {**bundle, "optional_items": extra[:1]}, fields=[size]
    )
    clone = await bench.engine.clone(ALICE, view.request_id)
    assert clone.parameters == {"size": "huge"}
    assert clone.components == {
        "db": {"enabled": True, "parameters": {"size": "large"}},
        "cache": {"enabled": False, "parameters": {}},
    }
    assert clone.dependencies == {"db.net": network.instance_id}
    assert clone.dropped == ("db.old", "gone")


async def test_what_cannot_be_cloned_says_why(bench: Workbench) -> None:
    made = await bench.run(await bench.request([step("a")]))
    going = await operate(bench, made.instance_id or "", "decommission", ["b"])
    with pytest.raises(Conflict, match="decommission"):
        await bench.engine.clone(ALICE, going.request_id)
    with pytest.raises(NotFound):
        await bench.engine.clone(MALLORY, made.request_id)
    await bench.connection.execute(b"UPDATE catalog_items SET is_active = FALSE")
    with pytest.raises(NotFound):
        await bench.engine.clone(ALICE, made.request_id)
