"""A decommission as it is asked for: who blocks it, what is planned, and races with dependents."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from engine import Actor, Conflict, InvalidInput, NotFound, RequestView, Submission
from engine.steps.base import Completed
from tests.support.engines import (
    ALICE,
    BOB,
    MALLORY,
    MANUAL,
    OWNER,
    add_bundle,
    add_item,
    automation,
    rows_of,
)
from tests.support.workbench import Workbench, step

HTTP = {"name": "call", "type": "HttpPost", "template": {"url": "http://127.0.0.1:1/"}}
POSTGRES = [{"catalog_item": "database", "name": "database"}]


async def instance(
    bench: Workbench, item: str = "database", actor: Actor = ALICE, **submission: Any
) -> str:
    """A running instance of an item whose work is done by hand; its id."""
    wanted = Submission({}, item=item, **submission)
    made = await bench.engine.submit(actor, wanted)
    await bench.engine.resolve(actor, made.request_id)
    return made.instance_id or ""


async def take_down(
    bench: Workbench, instance_id: str, actor: Actor = ALICE, **more: Any
) -> RequestView:
    wanted = Submission({}, instance=instance_id, request_type="decommission", **more)
    return await bench.engine.submit(actor, wanted)


async def with_dependent(bench: Workbench) -> tuple[str, str]:
    """A database of Alice's and an app of Bob's that needs it."""
    await add_item(bench.connection)
    await add_item(bench.connection, "app", dependencies=POSTGRES)
    database = await instance(bench, instance_name="orders-db")
    app = await instance(
        bench, "app", BOB, instance_name="orders", dependencies={"database": database}
    )
    return database, app


async def plan(bench: Workbench, view: RequestView) -> Any:
    return await bench.one(
        "SELECT plan FROM service_requests WHERE request_id = %s", view.request_id
    )


async def made_by(bench: Workbench, types: dict[str, str], **configs: dict[str, Any]) -> str:
    """An instance whose steps (name: type) all completed once; their types are set afterwards."""
    made = await bench.run(await bench.request([step(name) for name in types]))
    for name, type_ in types.items():
        config = {"name": name, "type": type_, "template": {}, **configs.get(name, {})}
        await bench.connection.execute(
            "UPDATE request_steps SET step_type = %s, step_config = %s"
            " FROM service_requests r WHERE r.id = request_steps.request_id AND r.request_id = %s"
            " AND step_name = %s",
            (type_, Jsonb(config), made.request_id, name),
        )
    return made.instance_id or ""


def planned(view: RequestView) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.step_id, one.type, one.depends_on) for one in view.steps]


async def test_what_nobody_needs_goes(bench: Workbench) -> None:
    await add_item(bench.connection)
    id_ = await instance(bench, instance_name="orders")
    view = await take_down(bench, id_)
    assert (view.request_type, view.status, view.title) == (
        "decommission",
        "in_progress",
        "Decommission: orders",
    )
    assert (await bench.engine.instance(ALICE, id_)).instance_state == "decommissioning"
    told = await rows_of(
        bench.connection, "SELECT data FROM events WHERE kind = 'decommission.checked'"
    )
    assert told == [{"can_decommission": True, "reason": None, "blocking_instances": []}]


async def test_what_others_need_is_refused_and_says_who_they_are(bench: Workbench) -> None:
    database, app = await with_dependent(bench)
    with pytest.raises(Conflict, match=f"orders .{app}, payments") as refused:
        await take_down(bench, database)
    assert refused.value.code == "blocked"
    (blocking,) = refused.value.details["blocking_instances"]
    assert (blocking["instance_id"], blocking["owner_user_id"]) == (app, "U2")
    assert (await bench.engine.instance(ALICE, database)).instance_state == "active"


async def test_it_goes_once_its_dependent_is_gone(bench: Workbench) -> None:
    database, app = await with_dependent(bench)
    ending = await take_down(bench, app, BOB)
    with pytest.raises(Conflict, match="orders"):
        await take_down(bench, database)
    assert await finish(bench, ending) == "decommissioned"
    assert (await take_down(bench, database)).status == "in_progress"


async def finish(bench: Workbench, view: RequestView) -> str:
    """End a decommission whose only step waits for people; the instance's state then."""
    await bench.connection.execute(
        "UPDATE request_steps s SET status = 'completed', next_run_at = NULL, completed_at = now()"
        " FROM service_requests r WHERE r.id = s.request_id AND r.request_id = %s",
        (view.request_id,),
    )
    await bench.connection.execute(
        "SELECT update_request_status(id, 'completed') FROM service_requests WHERE request_id = %s",
        (view.request_id,),
    )
    found = await bench.one(
        "SELECT instance_state FROM service_instances WHERE instance_id = %s", view.instance_id
    )
    return str(found)


async def test_a_foreign_instance_answers_like_an_unknown_one(bench: Workbench) -> None:
    await add_item(bench.connection)
    id_ = await instance(bench)
    with pytest.raises(NotFound, match="not found, or not yours"):
        await take_down(bench, id_, MALLORY)
    assert await bench.one("SELECT count(*) FROM service_requests") == 1


async def test_twice_at_once_gives_one_request_and_names_it(bench: Workbench) -> None:
    await add_item(bench.connection)
    id_ = await instance(bench)
    outcomes = await asyncio.gather(
        *(take_down(bench, id_) for _ in range(8)), return_exceptions=True
    )
    made = [one for one in outcomes if isinstance(one, RequestView)]
    refused = [one for one in outcomes if isinstance(one, Conflict)]
    assert (len(made), len(refused)) == (1, 7), outcomes
    assert {one.request_id for one in refused} == {made[0].request_id}
    assert {one.code for one in refused} == {"instance_busy"}


async def test_one_that_is_gone_cannot_go_again(bench: Workbench) -> None:
    await add_item(bench.connection)
    id_ = await instance(bench)
    first = await take_down(bench, id_, idempotency_key="k")
    await finish(bench, first)
    with pytest.raises(Conflict, match="already decommissioned"):
        await take_down(bench, id_)
    assert (await take_down(bench, id_, idempotency_key="k")).request_id == first.request_id


async def test_the_name_is_typed_in_slack(bench: Workbench) -> None:
    await add_item(bench.connection)
    id_ = await instance(bench, instance_name="orders")
    in_slack = replace(ALICE, source="slack")
    for confirmation in (None, "no"):
        with pytest.raises(InvalidInput, match="it is called orders"):
            await take_down(bench, id_, in_slack, confirmation=confirmation)
    assert (await take_down(bench, id_, in_slack, confirmation=" orders ")).status == "in_progress"


async def test_parameters_and_documents_are_refused(bench: Workbench) -> None:
    await add_item(bench.connection)
    id_ = await instance(bench)
    with pytest.raises(InvalidInput, match="no parameters"):
        await bench.engine.submit(
            ALICE, Submission({"a": 1}, instance=id_, request_type="decommission")
        )
    with pytest.raises(InvalidInput, match="names the instance alone"):
        await take_down(bench, id_, item="database")


async def test_it_can_go_though_its_item_left_the_catalog(bench: Workbench) -> None:
    await add_item(bench.connection)
    id_ = await instance(bench)
    await add_item(bench.connection, is_active=False)
    assert (await take_down(bench, id_)).status == "in_progress"


async def test_a_dry_run_shows_the_steps_and_moves_nothing(bench: Workbench) -> None:
    await add_item(bench.connection)
    id_ = await instance(bench)
    view = await take_down(bench, id_, dry_run=True)
    assert planned(view) == [("cleanup", "manual", ())]
    assert (await bench.engine.instance(ALICE, id_)).instance_state == "active"
    assert await bench.one("SELECT count(*) FROM service_requests") == 1


async def test_its_documents_approval_is_asked_for_its_end_too(bench: Workbench) -> None:
    fields = [{"name": "stage", "type": "string", "required": True}]
    approval = {"required": "{{ stage == 'prod' }}", "approvers": [{"team": "platform"}]}
    await add_item(bench.connection, fields=fields, approval=approval)
    for stage, status, state in (
        ("dev", "in_progress", "decommissioning"),
        ("prod", "submitted", "active"),
    ):
        made = await bench.engine.submit(ALICE, Submission({"stage": stage}, item="database"))
        if made.status == "submitted":
            await bench.engine.approve(OWNER, made.request_id)
        await bench.engine.resolve(ALICE, made.request_id)
        view = await take_down(bench, made.instance_id or "")
        assert view.status == status
        found = await bench.engine.instance(ALICE, made.instance_id or "")
        assert found.instance_state == state
    with pytest.raises(Conflict, match="waits for 1 approval by the team platform"):
        await take_down(bench, view.instance_id or "")
    await bench.engine.reject(OWNER, view.request_id, reason="still needed")
    assert (await take_down(bench, view.instance_id or "")).status == "submitted"


# What is planned


async def test_terraform_destroys_what_it_made_in_reverse(bench: Workbench) -> None:
    template = {"module_source": "modules/network", "variables": {"name": "{{ size }}"}}
    id_ = await made_by(
        bench,
        {"network": "TerraformFile", "cluster": "TerraformFile"},
        network={"template": template, "when": "{{ false }}", "verification": [], "timeout": "5m"},
        cluster={"template": {"module_source": "modules/cluster", "state": "main"}},
    )
    view = await take_down(bench, id_)
    assert planned(view) == [
        ("cluster", "TerraformFile", ()),
        ("network", "TerraformFile", ("cluster",)),
    ]
    config = await bench.one(
        "SELECT step_config FROM request_steps WHERE step_id = 'network' AND step_config ? 'destroy'"
    )
    assert config == {
        "name": "network",
        "type": "TerraformFile",
        "template": template,
        "timeout": "5m",
        "destroy": True,
        "commit": None,
    }
    kept = await plan(bench, view)
    assert (kept["decommission"], kept["default"], kept["destructive"]) == (True, True, True)
    assert kept["fulfillment"] == {"manual": MANUAL}


async def test_people_are_asked_for_the_rest_after_terraform(bench: Workbench) -> None:
    id_ = await made_by(bench, {"network": "TerraformFile", "dns": "HttpPut", "look": "HttpGet"})
    assert planned(await take_down(bench, id_)) == [
        ("network", "TerraformFile", ()),
        ("cleanup", "manual", ("network",)),
    ]


async def test_what_left_nothing_outside_asks_for_nothing(bench: Workbench) -> None:
    id_ = await made_by(bench, {"look": "HttpGet"})
    view = await take_down(bench, id_)
    assert (view.status, view.steps, view.tickets) == ("completed", [], [])
    assert (await bench.engine.instance(ALICE, id_)).instance_state == "decommissioned"


async def test_a_terraform_step_that_people_did_is_theirs_to_clean_up(bench: Workbench) -> None:
    id_ = await made_by(bench, {"network": "TerraformFile"})
    await bench.connection.execute("UPDATE step_attempts SET status = 'failed'")
    assert [one for one, _, _ in planned(await take_down(bench, id_))] == ["network", "cleanup"]


async def test_a_failed_create_destroys_what_had_begun(bench: Workbench) -> None:
    bench.script["network"] = [Completed({})]
    await bench.request([step("network"), step("dns")], fulfillment=None, fallback_on_failure=False)
    await bench.connection.execute(
        "UPDATE request_steps SET attempt_count = 1, step_type = 'TerraformFile' WHERE step_name = 'network'"
    )
    id_ = await bench.one("SELECT instance_id FROM service_instances")
    await bench.connection.execute(
        "SELECT update_request_status(id, 'failed') FROM service_requests"
    )
    assert planned(await take_down(bench, id_)) == [("network", "TerraformFile", ())]


async def test_the_documents_own_section_is_the_plan(bench: Workbench) -> None:
    terraform = {
        "name": "network",
        "type": "TerraformFile",
        "template": {"module_source": "modules/network"},
        "depends_on": ["call"],
    }
    section = {"automation": {"steps": [HTTP, terraform]}}
    await add_item(bench.connection, fulfillment={"manual": MANUAL, "decommission": section})
    view = await take_down(bench, await instance(bench))
    assert planned(view) == [("call", "HttpPost", ()), ("network", "TerraformFile", ("call",))]
    destroyed = await rows_of(
        bench.connection, "SELECT step_id FROM request_steps WHERE step_config ? 'destroy'"
    )
    assert destroyed == ["network"]
    kept = await plan(bench, view)
    assert kept["default"] is False
    assert kept["fulfillment"] == {"manual": MANUAL, **section}


async def test_a_section_without_automation_asks_for_one_ticket(bench: Workbench) -> None:
    other = {"system": "webhook", "template": {"url": "http://127.0.0.1:9/gone"}}
    fulfillment = {**automation([HTTP]), "decommission": {"manual": other}}
    await add_item(bench.connection, fulfillment=fulfillment)
    made = await bench.engine.submit(ALICE, Submission({}, item="database"))
    await bench.connection.execute(
        "SELECT update_request_status(id, 'failed') FROM service_requests"
    )
    view = await take_down(bench, made.instance_id or "")
    assert view.steps == []
    assert [(one.type, one.status) for one in view.tickets] == [("fulfillment", "creating")]
    assert (await plan(bench, view))["fulfillment"] == {"manual": other}


# Bundles


SHOP = {
    "required_items": [
        {"name": "db", "catalog_item": "database"},
        {"name": "web", "catalog_item": "app", "dependencies": [{"on": "db", "name": "database"}]},
    ],
    "optional_items": [{"name": "cache", "catalog_item": "cache", "default_enabled": True}],
}


async def shop(bench: Workbench) -> tuple[str, dict[str, str]]:
    """A running shop of Alice's: its id, and its members' by component."""
    for name in ("database", "app", "cache"):
        await add_item(bench.connection, name)
    await add_bundle(bench.connection, "shop", SHOP)
    made = await bench.engine.submit(ALICE, Submission({}, bundle="shop", instance_name="shop"))
    await bench.connection.execute(
        "UPDATE request_steps SET status = 'completed', next_run_at = NULL, attempt_count = 1"
    )
    await bench.connection.execute(
        "SELECT activate_service_instance(member_instance_id, '{}', '[]') FROM bundle_instance_members"
    )
    await bench.connection.execute(
        "SELECT update_request_status(id, 'completed'), create_service_instance(id, 'shop', '{}', '[]')"
        " FROM service_requests WHERE status = 'in_progress'"
    )
    members = await rows_of(
        bench.connection,
        "SELECT m.component_name, si.instance_id FROM bundle_instance_members m"
        " JOIN service_instances si ON si.id = m.member_instance_id",
    )
    return made.instance_id or "", dict(members)


async def test_a_bundle_goes_members_first_those_that_need_others_before_them(
    bench: Workbench,
) -> None:
    id_, members = await shop(bench)
    view = await take_down(bench, id_)
    assert {one.step_id: one.depends_on for one in view.steps} == {
        "cache/cleanup": (),
        "web/cleanup": (),
        "db/cleanup": ("web/cleanup",),
    }
    states = await rows_of(bench.connection, "SELECT instance_state FROM service_instances")
    assert set(states) == {"decommissioning"}
    part = (await plan(bench, view))["components"]["db"]
    assert part["fulfillment"] == {"manual": MANUAL}
    assert part["document"]["name"] == "database"
    assert (part["enabled"], part["default"], part["depends_on"]) == (True, True, ["web"])
    assert part["instance"] == str(
        await bench.one("SELECT id FROM service_instances WHERE instance_id = %s", members["db"])
    )


async def test_a_member_that_others_need_stays_and_one_that_nobody_needs_goes(
    bench: Workbench,
) -> None:
    _, members = await shop(bench)
    with pytest.raises(Conflict, match="shop-web") as refused:
        await take_down(bench, members["db"])
    assert refused.value.code == "blocked"
    assert (await take_down(bench, members["cache"])).status == "in_progress"


async def test_a_bundle_that_somebody_else_builds_on_stays(bench: Workbench) -> None:
    id_, members = await shop(bench)
    await add_item(bench.connection, "report", dependencies=POSTGRES)
    report = await instance(
        bench, "report", BOB, instance_name="report", dependencies={"database": members["db"]}
    )
    with pytest.raises(Conflict, match=report) as refused:
        await take_down(bench, id_)
    assert refused.value.details["blocking_instances"][0]["needs"] == members["db"]


# Races


@pytest.mark.parametrize("round_", range(4))
async def test_either_it_goes_or_somebody_new_depends_on_it_never_both(
    bench: Workbench, round_: int
) -> None:
    await add_item(bench.connection)
    await add_item(bench.connection, "app", dependencies=POSTGRES)
    database = await instance(bench)

    async def connect() -> RequestView:
        wanted = Submission({}, item="app", dependencies={"database": database})
        return await bench.engine.submit(BOB, wanted)

    work = [connect() for _ in range(5)]
    work.insert(round_, take_down(bench, database))
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    assert all(isinstance(one, RequestView | Conflict | InvalidInput) for one in outcomes), outcomes
    state = (await bench.engine.instance(ALICE, database)).instance_state
    dependents = await bench.one("SELECT count(*) FROM service_instance_dependencies")
    connected = sum(
        isinstance(one, RequestView) and one.request_type == "create" for one in outcomes
    )
    assert dependents == connected
    late = {one.code for one in outcomes if isinstance(one, Conflict)}
    assert late <= {"provider_leaving", "blocked"}
    gone = isinstance(outcomes[round_], RequestView)
    assert (state == "decommissioning") is gone
    assert gone is (dependents == 0)


@pytest.mark.parametrize("round_", range(2))
async def test_the_same_holds_for_a_bundle_and_somebody_new_on_a_member(
    bench: Workbench, round_: int
) -> None:
    id_, members = await shop(bench)
    await add_item(bench.connection, "report", dependencies=POSTGRES)

    async def connect() -> RequestView:
        wanted = Submission({}, item="report", dependencies={"database": members["db"]})
        return await bench.engine.submit(BOB, wanted)

    work = [connect() for _ in range(3)]
    work.insert(round_, take_down(bench, id_))
    work.append(take_down(bench, members["cache"]))
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    assert all(isinstance(one, RequestView | Conflict | InvalidInput) for one in outcomes), outcomes
    connected = sum(
        isinstance(one, RequestView) and one.request_type == "create" for one in outcomes
    )
    gone = isinstance(outcomes[round_], RequestView)
    assert gone is (connected == 0)
    state = (await bench.engine.instance(ALICE, members["db"])).instance_state
    assert state == ("decommissioning" if gone else "active")
