"""Abort with destruction: what Terraform made goes in reverse order, then the request ends."""

from __future__ import annotations

from typing import Any

import pytest

from engine import Conflict, RequestView
from engine.steps.base import Completed, Resource, StepContext, Waiting
from tests.support.bundles import add_bundle, add_scripted, members, request_bundle
from tests.support.engines import ALICE
from tests.support.eventually import eventually
from tests.support.operations import operate
from tests.support.workbench import Workbench, fail, states, step, step_of

MADE = Completed({"id": 1}, resources=[Resource("null.x", "null", "1")])
PERMANENT: dict[str, Any] = {"kind": "permanent"}


def terraform(name: str, **config: Any) -> dict[str, Any]:
    template = {"module_source": f"modules/{name}"}
    return {"name": name, "type": "TerraformFile", "template": template, **config}


def destroyed(bench: Workbench) -> list[str]:
    """Names of the steps that were run to destroy, in their order."""
    return [
        name
        for phase, name, context in bench.steps.calls
        if phase == "start" and context.config.get("destroy")
    ]


async def test_what_was_made_is_destroyed_in_reverse_order_and_then_it_is_aborted(
    bench: Workbench,
) -> None:
    for name in ("network", "database"):
        bench.script[name] = [MADE]
    bench.script["last"] = [fail(**PERMANENT), Completed()]
    request = await bench.request([terraform("network"), terraform("database"), terraform("last")])
    failed = await bench.run(request)
    assert failed.status == "failed"
    going = await bench.engine.abort(ALICE, failed.request_id, "wrong size", destroy=True)
    assert going.status == "in_progress"
    assert states(going)["destroy:last"] == "pending"
    aborted = await bench.run(request)
    assert (aborted.status, aborted.reason) == ("aborted", "wrong size")
    assert destroyed(bench) == ["last", "database", "network"]
    assert aborted.tickets == []
    instance = await bench.engine.instance(ALICE, aborted.instance_id or "")
    assert instance.instance_state == "failed"


async def test_independent_parts_go_as_their_order_allows(bench: Workbench) -> None:
    bench.script["b"] = [MADE]
    bench.script["a"] = [MADE]
    bench.script["end"] = [fail(**PERMANENT)]
    request = await bench.request(
        [terraform("a"), terraform("b", depends_on=[]), step("end", depends_on=["a", "b"])]
    )
    await bench.run(request)
    going = await bench.engine.abort(ALICE, request.request_id, destroy=True)
    waits = {
        one.step_id: one.depends_on for one in going.steps if one.step_id.startswith("destroy")
    }
    assert waits == {"destroy:a": (), "destroy:b": ()}
    aborted = await bench.run(request)
    assert aborted.status == "aborted"
    assert [one.type for one in aborted.tickets] == ["cleanup"]


async def test_running_steps_end_first(bench: Workbench) -> None:
    bench.script["network"] = [MADE]
    bench.script["database"] = [Waiting(3600.0, {}), Completed()]
    request = await bench.request([terraform("network"), terraform("database")])

    async def waits() -> bool:
        return step_of(await bench.view(request), "database").status == "running"

    async with bench.carrying():
        await eventually(waits)
        await bench.engine.abort(ALICE, request.request_id, destroy=True)
        aborted = await bench.ended(request)
    assert aborted.status == "aborted"
    assert bench.steps.phases("database")[:2] == ["start", "cancel"]
    assert destroyed(bench) == ["database", "network"]


async def test_a_destruction_that_fails_still_ends_as_aborted_with_a_ticket(
    bench: Workbench,
) -> None:
    async def refuse(context: StepContext) -> Completed:
        if context.config.get("destroy"):
            raise fail("it is locked", kind="permanent")
        return MADE

    bench.script["network"] = [MADE]
    bench.script["database"] = [refuse]
    bench.script["last"] = [fail(**PERMANENT)]
    request = await bench.request([terraform("network"), terraform("database"), step("last")])
    await bench.run(request)
    await bench.engine.abort(ALICE, request.request_id, destroy=True, completion=True)
    aborted = await bench.run(request)
    assert aborted.status == "aborted"
    assert states(aborted)["destroy:database"] == "failed"
    assert states(aborted)["destroy:network"] == "skipped"
    async with bench.carrying():
        made = await bench.when(aborted, lambda view: all(t.ticket_id for t in view.tickets))
    assert sorted(ticket.type for ticket in made.tickets) == ["cleanup", "completion"]
    said = next(d for d in bench.tickets.made.values() if d.ticket_type == "cleanup").description
    assert "network: null.x" in said
    assert "database: null.x" in said


async def test_no_ticket_where_none_is_wanted(bench: Workbench) -> None:
    bench.script["network"] = [MADE]
    bench.script["last"] = [fail(**PERMANENT)]
    request = await bench.request([terraform("network"), step("last")])
    await bench.run(request)
    await bench.engine.abort(ALICE, request.request_id, destroy=True, cleanup=False)
    assert (await bench.run(request)).tickets == []


async def test_where_nothing_was_made_it_is_aborted_at_once(bench: Workbench) -> None:
    bench.script["first"] = [fail(**PERMANENT)]
    request = await bench.request([step("first"), terraform("network")])
    await bench.run(request)
    aborted = await bench.engine.abort(ALICE, request.request_id, destroy=True)
    assert aborted.status == "aborted"


async def test_what_was_there_before_is_not_destroyed(bench: Workbench) -> None:
    made = await bench.run(await bench.request([step("made")]))
    bench.script["resize"] = [fail(**PERMANENT)]
    update = await operate(bench, made.instance_id or "", "update", ["resize"])
    await bench.run(update)
    with pytest.raises(Conflict, match="was there before"):
        await bench.engine.abort(ALICE, update.request_id, destroy=True)
    assert (await bench.engine.abort(ALICE, update.request_id)).status == "aborted"


async def test_a_second_abort_gives_the_destruction_up(bench: Workbench) -> None:
    bench.script["network"] = [MADE]
    bench.script["last"] = [fail(**PERMANENT)]
    request = await bench.request([terraform("network"), step("last")])
    await bench.run(request)
    await bench.engine.abort(ALICE, request.request_id, destroy=True)
    aborted = await bench.engine.abort(ALICE, request.request_id, "enough")
    assert aborted.status == "aborted"
    assert destroyed(bench) == []


async def half_made_bundle(bench: Workbench) -> RequestView:
    """A bundle whose database is active, and whose web server failed."""
    await add_scripted(bench, "db", terraform("make-db"))
    await add_scripted(bench, "web", terraform("make-web"))
    web = {"name": "web", "catalog_item": "web", "dependencies": [{"on": "db", "name": "db"}]}
    await add_bundle(bench.connection, "stack", [{"name": "db", "catalog_item": "db"}, web])
    bench.script["make-db"] = [MADE]
    bench.script["make-web"] = [fail(**PERMANENT), Completed()]
    return await bench.run(await request_bundle(bench, "stack"))


async def test_members_that_were_done_are_not_active_once_they_are_destroyed(
    bench: Workbench,
) -> None:
    failed = await half_made_bundle(bench)
    await bench.engine.abort(ALICE, failed.request_id, destroy=True)
    assert (await members(bench))["db"]["state"] == "decommissioning"
    assert (await bench.run(failed)).status == "aborted"
    made = await members(bench)
    assert {name: one["state"] for name, one in made.items()} == {"db": "failed", "web": "failed"}
    assert made["db"]["resources"] == []
    assert destroyed(bench) == ["make-web", "make-db"]


@pytest.mark.parametrize("state", ["active", "degraded"])
async def test_members_that_a_second_abort_spares_are_as_they_were(
    bench: Workbench, state: str
) -> None:
    failed = await half_made_bundle(bench)
    await bench.connection.execute(
        "UPDATE service_instances SET instance_state = %s WHERE instance_state = 'active'", [state]
    )
    await bench.engine.abort(ALICE, failed.request_id, destroy=True)
    assert (await members(bench))["db"]["state"] == "decommissioning"
    assert (await bench.engine.abort(ALICE, failed.request_id, "enough")).status == "aborted"
    made = await members(bench)
    assert {name: one["state"] for name, one in made.items()} == {"db": state, "web": "failed"}
    assert made["db"]["resources"] != []


async def test_a_member_whose_turn_to_be_destroyed_never_came_is_as_it_was(
    bench: Workbench,
) -> None:
    failed = await half_made_bundle(bench)
    bench.script["make-web"] = [fail("it is locked", **PERMANENT)]
    await bench.engine.abort(ALICE, failed.request_id, destroy=True)
    aborted = await bench.run(failed)
    assert aborted.status == "aborted"
    assert destroyed(bench) == ["make-web"]
    made = await members(bench)
    assert {name: one["state"] for name, one in made.items()} == {"db": "active", "web": "failed"}


async def test_members_stay_where_nothing_is_destroyed(bench: Workbench) -> None:
    failed = await half_made_bundle(bench)
    assert (await bench.engine.abort(ALICE, failed.request_id)).status == "aborted"
    assert (await members(bench))["db"]["state"] == "active"


async def test_what_something_outside_the_bundle_needs_is_not_destroyed(bench: Workbench) -> None:
    failed = await half_made_bundle(bench)
    shop = await bench.run(await bench.request([step("made")], item="shop"))
    await bench.connection.execute(
        "INSERT INTO service_instance_dependencies"
        " (dependent_instance_id, provider_instance_id, dependency_type, dependency_name)"
        " SELECT shop.id, db.id, 'data', 'db' FROM service_instances shop, service_instances db"
        " WHERE shop.instance_id = %s AND db.instance_id = %s",
        (shop.instance_id, (await members(bench))["db"]["id"]),
    )
    with pytest.raises(Conflict, match="cannot be destroyed") as refused:
        await bench.engine.abort(ALICE, failed.request_id, destroy=True)
    assert f"({shop.instance_id}) needs" in str(refused.value)
    assert (await members(bench))["db"]["state"] == "active"
    assert (await bench.view(failed)).status == "failed"


async def test_what_is_being_changed_is_not_destroyed(bench: Workbench) -> None:
    failed = await half_made_bundle(bench)
    db = (await members(bench))["db"]["id"]
    plan = {"targets": {"catalog_items": [{"name": "db"}]}}
    update = await operate(bench, db, "update", ["resize"], plan=plan)
    with pytest.raises(Conflict, match="cannot be destroyed") as refused:
        await bench.engine.abort(ALICE, failed.request_id, destroy=True)
    assert update.request_id in str(refused.value)
