"""What updates, upgrades and decommissions leave on their instance, however they end."""

from __future__ import annotations

from typing import Any

from engine import InstanceView, RequestView
from engine.steps.base import Completed, Resource, Waiting
from tests.support.bundles import add_bundle, add_scripted, members, request_bundle
from tests.support.engines import ALICE
from tests.support.operations import operate
from tests.support.workbench import Workbench, fail, step

PERMANENT: dict[str, Any] = {"kind": "permanent"}


async def database(bench: Workbench) -> str:
    """An active instance with two outputs, a resource and a size."""
    bench.script["make"] = [
        Completed({"endpoint": "db:1", "port": 1}, resources=[Resource("db", "db", "1")])
    ]
    made = await bench.run(await bench.request([step("make")], parameters={"size": "small"}))
    assert made.status == "completed"
    return str(made.instance_id)


async def look(bench: Workbench, instance: str) -> InstanceView:
    return await bench.engine.instance(ALICE, instance)


async def history(bench: Workbench, instance: str) -> list[tuple[Any, ...]]:
    return [
        (one.upgrade_type, one.from_version, one.to_version, one.upgrade_status)
        for one in await bench.engine.instance_history(ALICE, instance)
    ]


async def test_an_update_that_succeeds_merges_what_it_gave(bench: Workbench) -> None:
    instance = await database(bench)
    bench.script["resize"] = [
        Completed({"endpoint": "db:2"}, resources=[Resource("replica", "db", "2")])
    ]

    done = await bench.run(
        await operate(bench, instance, "update", ["resize"], parameters={"size": "large"})
    )

    view = await look(bench, instance)
    assert (done.status, view.instance_state) == ("completed", "active"), done
    assert view.service_outputs == {"endpoint": "db:2", "port": 1}
    assert view.deployment_parameters == {"size": "large"}
    assert [one["address"] for one in view.deployed_resources] == ["db", "replica"]
    assert view.catalog_version == "1.0.0"
    assert await history(bench, instance) == [("configuration", "1.0.0", "1.0.0", "success")]
    last = "SELECT r.request_id FROM service_instances si JOIN service_requests r"
    last += " ON r.id = si.last_update_request_id WHERE si.instance_id = %s"
    assert await bench.one(last, instance) == done.request_id


async def test_the_resources_of_a_state_are_those_of_the_last_step_on_it(bench: Workbench) -> None:
    async def on_the_state(context: Any) -> Completed:
        await context.remember({"workspace": "the-state"})
        return Completed({}, resources=[Resource(f"db-of-{context.request_type}", "db", "1")])

    bench.script["make"] = [on_the_state]
    bench.script["other"] = [Completed({}, resources=[Resource("dns", "dns", "2")])]
    made = await bench.run(await bench.request([step("make"), step("other")]))
    bench.script["change"] = [on_the_state]

    await bench.run(await operate(bench, str(made.instance_id), "update", ["change"]))

    view = await look(bench, str(made.instance_id))
    assert [one["address"] for one in view.deployed_resources] == ["dns", "db-of-update"]


async def test_a_field_that_was_cleared_is_gone_and_a_secret_stays(bench: Workbench) -> None:
    fields = [{"name": name, "type": "string"} for name in ("size", "note")]
    fields.append({"name": "password", "type": "secret"})
    given = {"size": "small", "note": "old", "password": "hunter22"}
    made = await bench.run(await bench.request([step("make")], parameters=given, fields=fields))
    presentation = {"fields": fields}

    await bench.run(
        await operate(
            bench, str(made.instance_id), "update", ["resize"],
            parameters={"size": "large"}, plan={"presentation": presentation},
        )
    )  # fmt: skip

    view = await look(bench, str(made.instance_id))
    assert view.deployment_parameters.keys() == {"size", "password"}
    assert view.deployment_parameters["size"] == "large"


async def test_an_upgrade_moves_the_version_and_is_not_offered_again(bench: Workbench) -> None:
    instance = await database(bench)
    request = await operate(
        bench, instance, "upgrade", ["up"], name="to-2", plan={"to_version": "2.1.0"},
        rollback=["back"],
    )  # fmt: skip

    await bench.run(request)

    assert (await look(bench, instance)).catalog_version == "2.1.0"
    (entry,) = await bench.engine.instance_history(ALICE, instance)
    assert (entry.upgrade_type, entry.from_version, entry.to_version) == ("major", "1.0.0", "2.1.0")
    assert (entry.upgrade_item_name, entry.upgrade_notes) == ("to-2", "read the manual")
    assert entry.rollback_available
    assert entry.upgrade_request_id == request.request_id
    (operation,) = await bench.engine.instance_operations(ALICE, instance)
    assert (operation.eligible, operation.reason) == (
        False, "this version of the upgrade was completed",
    )  # fmt: skip


async def test_a_failed_update_degrades_and_keeps_what_was(bench: Workbench) -> None:
    instance = await database(bench)
    bench.script["first"] = [
        Completed({"endpoint": "half"}, resources=[Resource("new", "db", "2")])
    ]
    bench.script["second"] = [fail(**PERMANENT), Completed({"port": 2})]
    steps = ["first", {"name": "second", "depends_on": ["first"]}]

    failed = await bench.run(
        await operate(bench, instance, "update", steps, parameters={"size": "large"})
    )

    view = await look(bench, instance)
    assert (failed.status, view.instance_state) == ("failed", "degraded")
    assert view.service_outputs == {"endpoint": "db:1", "port": 1}
    assert view.deployment_parameters == {"size": "small"}
    assert [one["address"] for one in view.deployed_resources] == ["db", "new"]
    assert await history(bench, instance) == [("configuration", "1.0.0", "1.0.0", "failed")]

    await bench.engine.resume(ALICE, failed.request_id)
    await bench.run(failed)

    view = await look(bench, instance)
    assert view.instance_state == "active"
    assert view.service_outputs == {"endpoint": "half", "port": 2}
    assert view.deployment_parameters == {"size": "large"}
    assert [one[3] for one in await history(bench, instance)] == ["success", "failed"]


async def test_a_rollback_restores_the_state_from_before(bench: Workbench) -> None:
    instance = await database(bench)
    bench.script["up"] = [fail(**PERMANENT)]

    failed = await bench.run(
        await operate(
            bench, instance, "upgrade", ["up"], rollback=["back"], plan={"to_version": "2.0.0"}
        )
    )

    view = await look(bench, instance)
    assert (failed.status, view.instance_state, view.catalog_version) == (
        "failed",
        "active",
        "1.0.0",
    )
    assert await history(bench, instance) == [("major", "1.0.0", "2.0.0", "rolled_back")]


async def test_an_aborted_update_is_in_the_history_once(bench: Workbench) -> None:
    instance = await database(bench)
    bench.script["up"] = [fail(**PERMANENT)]
    failed = await bench.run(await operate(bench, instance, "update", ["up"]))

    await bench.engine.abort(ALICE, failed.request_id)

    assert (await look(bench, instance)).instance_state == "degraded"
    assert [one[3] for one in await history(bench, instance)] == ["failed"]


async def test_an_update_aborted_under_way_is_in_the_history(bench: Workbench) -> None:
    instance = await database(bench)
    bench.script["up"] = [Waiting(3600, {})]
    request = await operate(bench, instance, "update", ["up"])

    async with bench.carrying():
        await bench.when(request, lambda view: view.steps[0].status == "running")
        await bench.engine.abort(ALICE, request.request_id)
        await bench.ended(request)

    assert (await look(bench, instance)).instance_state == "degraded"
    assert [one[3] for one in await history(bench, instance)] == ["failed"]


async def test_a_manual_only_update_follows_the_same_rules(bench: Workbench) -> None:
    instance = await database(bench)
    request = await operate(bench, instance, "update", parameters={"size": "large"})

    done = await bench.engine.resolve(ALICE, request.request_id)

    view = await look(bench, instance)
    assert (done.status, view.instance_state) == ("completed", "active")
    assert view.deployment_parameters == {"size": "large"}
    assert [one[3] for one in await history(bench, instance)] == ["success"]


async def test_an_update_of_a_member_is_seen_in_its_bundle(bench: Workbench) -> None:
    await add_scripted(bench, "database", "make")
    await add_bundle(bench.connection, "stack", [{"name": "db", "catalog_item": "database"}])
    bench.script["make"] = [Completed({"endpoint": "db:1"}, resources=[Resource("db", "db", "1")])]
    bundle = await bench.run(await request_bundle(bench, "stack"))
    bench.script["move"] = [
        Completed({"endpoint": "db:2"}, resources=[Resource("replica", "db", "2")])
    ]
    made = await members(bench)

    await bench.run(await operate(bench, made["db"]["id"], "update", ["move"]))

    seen = await look(bench, str(bundle.instance_id))
    assert seen.service_outputs == {"db": {"endpoint": "db:2"}}
    assert [one["address"] for one in seen.deployed_resources] == ["db", "replica"]


async def test_templates_of_an_update_see_the_instance(bench: Workbench) -> None:
    instance = await database(bench)
    template = {
        "size": "{{ instance.parameters.size }} to {{ size }}",
        "version": "{{ instance.version }}",
        "endpoint": "{{ instance.outputs.endpoint }}",
        "item": "{{ catalog_item.name }}",
        "zone": "{{ zone }}",
    }
    targets = {"catalog_items": [{"name": "database", "optional_parameters": ["zone"]}]}
    plan = {"instance_item": {"name": "database"}, "targets": targets}
    steps = [{"name": "look", "config": {"template": template}}]

    await bench.run(
        await operate(bench, instance, "update", steps, parameters={"size": "xl"}, plan=plan)
    )

    assert bench.steps.calls[-1][2].template == {
        "size": "small to xl", "version": "1.0.0", "endpoint": "db:1", "item": "database",
        "zone": None,
    }  # fmt: skip


async def test_a_decommission_ends_the_instance_and_frees_what_it_needed(bench: Workbench) -> None:
    provider = await database(bench)
    dependent = await database(bench)
    await bench.connection.execute(
        "INSERT INTO service_instance_dependencies (dependent_instance_id, provider_instance_id,"
        " dependency_type, dependency_name) SELECT d.id, p.id, 'data', 'db'"
        " FROM service_instances d, service_instances p"
        " WHERE d.instance_id = %s AND p.instance_id = %s",
        [dependent, provider],
    )
    template = {"endpoint": "{{ steps.make.outputs.endpoint }}", "size": "{{ size }}"}
    steps = [{"name": "unmake", "config": {"template": template}}]

    done = await bench.run(await operate(bench, dependent, "decommission", steps))

    view = await look(bench, dependent)
    assert (done.status, view.instance_state) == ("completed", "decommissioned")
    assert view.decommissioned_at is not None
    assert (view.dependencies, view.deployed_resources) == ([], [])
    assert bench.steps.calls[-1][2].template == {"endpoint": "db:1", "size": "small"}
    assert (await bench.engine.can_decommission(ALICE, provider)).can_decommission
    kinds = [entry.kind for entry in await bench.engine.instance_timeline(ALICE, dependent)]
    assert "dependency.removed" in kinds


async def test_a_bundle_goes_with_its_members(bench: Workbench) -> None:
    await add_scripted(bench, "db", "make-db")
    await add_scripted(bench, "web", "make-web")
    await add_bundle(
        bench.connection,
        "stack",
        [
            {"name": "db", "catalog_item": "db"},
            {"name": "web", "catalog_item": "web", "dependencies": [{"on": "db"}]},
        ],
    )
    bench.script["make-db"] = [Completed({"endpoint": "db:1"})]
    bundle = await bench.run(await request_bundle(bench, "stack"))
    assert bundle.status == "completed", bundle
    made = await members(bench)
    template = {"endpoint": "{{ steps['make-db'].outputs.endpoint }}", "id": "{{ instance.id }}"}
    steps: list[Any] = [
        {"name": "unmake-web", "component": "web"},
        {
            "name": "unmake-db",
            "component": "db",
            "depends_on": ["web/unmake-web"],
            "config": {"template": template},
        },
    ]
    plan = {"components": {name: {"document": {"name": name}} for name in made}}

    done = await bench.run(
        await operate(bench, str(bundle.instance_id), "decommission", steps, plan=plan)
    )

    assert done.status == "completed", done
    assert {one["state"] for one in (await members(bench)).values()} == {"decommissioned"}
    assert (await look(bench, str(bundle.instance_id))).instance_state == "decommissioned"
    assert bench.steps.calls[-1][2].template == {"endpoint": "db:1", "id": made["db"]["id"]}
    assert await bench.one("SELECT count(*) FROM service_instance_dependencies") == 0


async def test_a_failed_decommission_degrades_and_frees_nobody(bench: Workbench) -> None:
    instance = await database(bench)
    bench.script["unmake"] = [fail(**PERMANENT), Completed()]

    failed = await bench.run(await operate(bench, instance, "decommission", ["unmake"]))

    assert (await look(bench, instance)).instance_state == "degraded"
    await bench.engine.resume(ALICE, failed.request_id)
    assert (await bench.run(failed)).status == "completed"
    assert (await look(bench, instance)).instance_state == "decommissioned"


async def test_a_cleanup_by_hand_is_waited_for_and_lists_what_is_there(bench: Workbench) -> None:
    instance = await database(bench)
    cleanup = {"name": "cleanup", "type": "manual", "config": {"type": "cleanup"}}
    request = await operate(bench, instance, "decommission", [cleanup])

    async with bench.carrying():
        await bench.when(request, lambda view: bool(view.steps[0].tickets))
        while not bench.tickets.made:
            await bench.outbox().work()
        assert (await look(bench, instance)).instance_state == "decommissioning"
        (draft,) = bench.tickets.made.values()
        assert draft.ticket_type == "cleanup"
        assert "make: db 1" in draft.description
        bench.tickets.states["T-1"] = "closed"
        await bench.connection.execute("UPDATE manual_tickets SET next_poll_at = now()")
        done = await bench.ended(request)

    assert done.status == "completed"
    assert (await look(bench, instance)).instance_state == "decommissioned"


async def test_owners_of_dependents_hear_once_of_a_degradation(bench: Workbench) -> None:
    provider = await database(bench)
    dependent = await database(bench)
    await bench.connection.execute(
        "INSERT INTO service_instance_dependencies (dependent_instance_id, provider_instance_id,"
        " dependency_type) SELECT d.id, p.id, 'data' FROM service_instances d, service_instances p"
        " WHERE d.instance_id = %s AND p.instance_id = %s",
        [dependent, provider],
    )
    bench.script["up"] = [
        fail(**PERMANENT), fail(**PERMANENT), Completed(), fail(**PERMANENT),
    ]  # fmt: skip

    async def told() -> int:
        query = "SELECT count(*) FROM events WHERE kind = 'instance.provider_degraded'"
        return int(await bench.one(query))

    failed = await bench.run(await operate(bench, provider, "update", ["up"]))
    assert await told() == 1
    await _again(bench, failed)
    assert await told() == 1
    await _again(bench, failed)
    assert (await look(bench, provider)).instance_state == "active"
    await bench.run(await operate(bench, provider, "update", ["up"]))
    assert await told() == 2

    data = await bench.one("SELECT data FROM events WHERE kind = 'instance.provider_degraded'")
    assert data["provider"] == provider
    assert [(one["instance_id"], one["owner_user_id"]) for one in data["dependents"]] == [
        (dependent, "U1")
    ]


async def _again(bench: Workbench, request: RequestView) -> None:
    await bench.engine.resume(ALICE, request.request_id)
    await bench.run(request)


async def test_what_failed_before_its_first_step_was_not_rolled_back(bench: Workbench) -> None:
    instance = await database(bench)
    targets = {"catalog_items": [{"name": "database", "version_range": ">=9.0.0"}]}

    failed = await bench.run(
        await operate(bench, instance, "update", ["up"], plan={"targets": targets})
    )

    assert (failed.status, bench.steps.phases("up")) == ("failed", [])
    view = await look(bench, instance)
    assert (view.instance_state, view.instance_usable) == ("active", True)
    assert view.update_repeatable is False
    assert [one[3] for one in await history(bench, instance)] == ["failed"]
