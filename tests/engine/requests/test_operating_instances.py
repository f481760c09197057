"""Updates and upgrades as they are asked for: of whom, of what, in which state, with which values."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from engine import Actor, Conflict, InvalidInput, NotFound, RequestView, StaleForm, Submission
from tests.support.engines import (
    ADMIN,
    ALICE,
    BOB,
    MALLORY,
    MANUAL,
    OWNER,
    add_item,
    add_operation,
    automation,
)
from tests.support.workbench import Workbench

HTTP = {"name": "call", "type": "HttpPost", "template": {"url": "http://127.0.0.1:1/"}}
FIELDS: list[dict[str, Any]] = [
    {"name": "size", "type": "selection", "oneof": ["small", "large"], "default": "small"},
    {"name": "password", "type": "secret", "min_length": 4},
    {"name": "replicas", "type": "integer", "max_value": 9},
]
TARGET: dict[str, Any] = {"name": "database", "version_range": ">=1.0.0, <2.0.0"}


async def instance(bench: Workbench, version: str = "1.0.0", **parameters: Any) -> str:
    """A running database of Alice's; its id."""
    await add_item(bench.connection, fields=FIELDS, version=version)
    wanted = Submission(parameters, item="database", instance_name="orders")
    made = await bench.engine.submit(ALICE, wanted)
    await bench.engine.resolve(ALICE, made.request_id)
    return made.instance_id or ""


async def operate(
    bench: Workbench, instance_id: str, name: str = "grow", actor: Actor = ALICE, **more: Any
) -> RequestView:
    parameters = more.pop("parameters", {})
    request_type = more.pop("request_type", "update")
    wanted = Submission(
        parameters, item=name, instance=instance_id, request_type=request_type, **more
    )
    return await bench.engine.submit(actor, wanted)


async def upgrade(bench: Workbench, instance_id: str, name: str, **more: Any) -> RequestView:
    return await operate(bench, instance_id, name, request_type="upgrade", **more)


async def plan(bench: Workbench, view: RequestView) -> Any:
    return await bench.one(
        "SELECT plan FROM service_requests WHERE request_id = %s", view.request_id
    )


async def test_an_update_is_a_request_about_its_instance(bench: Workbench) -> None:
    id_ = await instance(bench, replicas=3)
    await add_operation(
        bench.connection,
        "update",
        "grow",
        [TARGET],
        fields=FIELDS[:1],
        fulfillment=automation([HTTP]),
    )
    view = await operate(bench, id_, parameters={"size": "large"})
    assert (view.request_type, view.status, view.instance_id) == ("update", "in_progress", id_)
    assert (view.update_item, view.title) == ("grow", "grow: orders")
    assert (view.requester, view.team) == ("U1", "payments")
    assert [one.step_id for one in view.steps] == ["call"]
    assert (await bench.engine.instance(ALICE, id_)).instance_state == "updating"
    kept = await plan(bench, view)
    assert (kept["from_version"], kept["to_version"], kept["destructive"]) == ("1.0.0", None, False)
    assert kept["instance_item"]["name"] == "database"
    assert kept["targets"]["catalog_items"] == [TARGET]


async def test_an_operation_that_is_not_open_to_one_is_neither_listed_nor_proposed(
    bench: Workbench,
) -> None:
    id_ = await instance(bench)
    limited = {"access": {"teams": ["dba"]}}
    await add_operation(bench.connection, "update", "harden", [TARGET], **limited)
    await add_operation(bench.connection, "update", "grow", [TARGET])
    await bench.connection.execute(b"SELECT refresh_eligible_operations()")
    for actor, names in (
        (ALICE, ["grow"]),
        (OWNER, ["grow", "harden"]),
        (ADMIN, ["grow", "harden"]),
    ):
        found = await bench.engine.instance_operations(actor, id_)
        assert [one.operation_name for one in found] == names
        (listed,) = (await bench.engine.instances(actor, scope="all")).items
        assert list(listed.operations_due) == names
    with pytest.raises(NotFound) as refused:
        await operate(bench, id_, "hardn")
    assert "harden" not in str(refused.value)


async def test_it_begins_with_what_the_instance_has(bench: Workbench) -> None:
    id_ = await instance(bench, replicas=3, size="large")
    await add_operation(bench.connection, "update", "grow", [TARGET], fields=FIELDS)
    form = await bench.engine.operation_form(ALICE, id_, "update", "grow")
    assert form.values == {"size": "large", "replicas": 3}
    view = await operate(bench, id_, parameters={"replicas": 4})
    assert view.parameters == {"size": "large", "replicas": 4}


async def test_a_value_that_the_operation_does_not_take_is_not_taken_over(bench: Workbench) -> None:
    id_ = await instance(bench, replicas=9)
    fields = [{**FIELDS[2], "max_value": 5, "default": 2}]
    await add_operation(bench.connection, "update", "grow", [TARGET], fields=fields)
    assert (await bench.engine.operation_form(ALICE, id_, "update", "grow")).values == {}
    assert (await operate(bench, id_)).parameters == {"replicas": 2}


async def test_a_value_that_is_cleared_stays_cleared(bench: Workbench) -> None:
    id_ = await instance(bench, replicas=3)
    await add_operation(bench.connection, "update", "grow", [TARGET], fields=FIELDS[2:])
    assert (await operate(bench, id_, parameters={"replicas": None})).parameters == {}


@pytest.mark.parametrize("given", [{}, {"password": None}, {"password": ""}])
async def test_a_secret_that_is_left_empty_stays_what_it_was(
    bench: Workbench, given: dict[str, Any]
) -> None:
    id_ = await instance(bench, password="hunter2hunter2")
    fields = [{**FIELDS[1], "required": True, "min_length": 12}]
    await add_operation(bench.connection, "update", "grow", [TARGET], fields=fields)
    view = await operate(bench, id_, parameters=given)
    kept = await bench.one(
        "SELECT r.parameters->'password' = i.deployment_parameters->'password'"
        " FROM service_requests r JOIN service_instances i ON i.id = r.target_instance_id"
        " WHERE r.request_id = %s",
        view.request_id,
    )
    assert kept is True


async def test_a_new_secret_is_judged_and_sealed(bench: Workbench) -> None:
    id_ = await instance(bench, password="hunter2hunter2")
    await add_operation(bench.connection, "update", "grow", [TARGET], fields=FIELDS[1:2])
    with pytest.raises(InvalidInput):
        await operate(bench, id_, parameters={"password": "abc"})
    await operate(bench, id_, parameters={"password": "another word"})
    assert await bench.one("SELECT count(*) FROM encrypted_values") == 2
    assert "another word" not in await bench.one(
        "SELECT string_agg(r::text, '') FROM service_requests r"
    )


async def test_what_the_instance_lacks_is_asked_for_by_the_items_own_field(
    bench: Workbench,
) -> None:
    id_ = await instance(bench)
    target = {**TARGET, "required_parameters": ["replicas", "size", "cost_center"]}
    await add_operation(bench.connection, "update", "grow", [target])
    form = await bench.engine.operation_form(ALICE, id_, "update", "grow")
    asked = bench.engine.form_fields(form.details)
    assert [(one.name, one.type, one.required) for one in asked] == [
        ("replicas", "integer", True),
        ("cost_center", "string", True),
    ]
    with pytest.raises(InvalidInput) as refused:
        await operate(bench, id_, parameters={"replicas": 10})
    assert {one.field for one in refused.value.errors} == {"replicas", "cost_center"}
    view = await operate(bench, id_, parameters={"replicas": 5, "cost_center": "CC-1"})
    assert view.parameters == {"replicas": 5, "cost_center": "CC-1"}
    assert view.parameter_labels == {"replicas": "Replicas", "cost_center": "Cost center"}


async def test_a_form_in_groups_asks_for_it_in_a_group_of_its_own(bench: Workbench) -> None:
    id_ = await instance(bench)
    groups = [{"name": "size", "title": "Size", "fields": FIELDS[:1]}]
    await add_operation(
        bench.connection,
        "update",
        "grow",
        [{**TARGET, "required_parameters": ["replicas"]}],
        presentation={"groups": groups},
    )
    form = await bench.engine.operation_form(ALICE, id_, "update", "grow")
    assert [one["title"] for one in form.details.presentation["groups"]] == [
        "Size",
        "Needed beside",
    ]
    assert (await operate(bench, id_, parameters={"replicas": 1})).parameters["replicas"] == 1


async def test_the_form_says_what_it_costs(bench: Workbench) -> None:
    id_ = await instance(bench)
    more = {"destructive": True, "prerequisites": ["A backup"], "notes": "Anew"}
    target = {**TARGET, "to_version": "2.0.0"}
    await add_operation(bench.connection, "upgrade", "major", [target], more=more)
    form = await bench.engine.operation_form(ALICE, id_, "upgrade", "major")
    assert form.needs_confirmation
    assert form.operation.destructive
    assert (form.prerequisites, form.notes, form.to_version) == (("A backup",), "Anew", "2.0.0")
    assert form.instance.instance_id == id_


async def test_the_version_afterwards_is_the_items_where_no_target_says(bench: Workbench) -> None:
    id_ = await instance(bench)
    await add_item(bench.connection, fields=FIELDS, version="1.5.0")
    await add_operation(bench.connection, "upgrade", "major", [TARGET], version="7.0.0")
    view = await upgrade(bench, id_, "major")
    assert (await plan(bench, view))["to_version"] == "1.5.0"
    assert view.catalog_version == "7.0.0"


@pytest.mark.parametrize("actor", [BOB, OWNER, ADMIN])
async def test_the_team_the_documents_owner_and_admins_may_operate(
    bench: Workbench, actor: Actor
) -> None:
    id_ = await instance(bench)
    await add_operation(bench.connection, "update", "grow", [TARGET])
    assert (await operate(bench, id_, actor=actor)).team == "payments"


async def test_a_foreign_instance_answers_like_an_unknown_one(bench: Workbench) -> None:
    id_ = await instance(bench)
    await add_operation(bench.connection, "update", "grow", [TARGET])
    with pytest.raises(NotFound) as foreign:
        await operate(bench, id_, actor=MALLORY)
    with pytest.raises(NotFound) as unknown:
        await operate(bench, "si-nothing", actor=MALLORY)
    assert str(foreign.value).replace(id_, "X") == str(unknown.value).replace("si-nothing", "X")
    denied = await bench.one("SELECT action FROM audit_log WHERE outcome = 'denied' LIMIT 1")
    assert denied == "instance.update"


async def test_an_operation_that_its_document_keeps_from_one_is_unknown(bench: Workbench) -> None:
    id_ = await instance(bench)
    await add_operation(
        bench.connection, "update", "grow", [TARGET], access={"teams": ["platform"]}
    )
    with pytest.raises(NotFound, match="not found, or not yours"):
        await operate(bench, id_)
    assert (await operate(bench, id_, actor=OWNER)).status == "in_progress"


async def test_an_unknown_operation_is_refused_with_a_suggestion(bench: Workbench) -> None:
    id_ = await instance(bench)
    await add_operation(bench.connection, "update", "grow", [TARGET])
    with pytest.raises(NotFound, match="Did you mean 'grow'"):
        await operate(bench, id_, "grwo")
    with pytest.raises(NotFound, match="no upgrade"):
        await upgrade(bench, id_, "grow")


async def test_an_operation_for_another_item_is_refused(bench: Workbench) -> None:
    id_ = await instance(bench)
    await add_item(bench.connection, "cache")
    await add_operation(bench.connection, "update", "grow", [{**TARGET, "name": "cache"}])
    with pytest.raises(NotFound, match="does not target database"):
        await operate(bench, id_)


@pytest.mark.parametrize(
    ("version", "reason"),
    [("2.0.0", "version 2.0.0 is outside"), ("1.5.0-rc.1", r"version 1\.5\.0-rc\.1 is outside")],
)
async def test_a_version_outside_the_range_is_refused_in_words(
    bench: Workbench, version: str, reason: str
) -> None:
    id_ = await instance(bench, version)
    await add_operation(bench.connection, "update", "grow", [TARGET])
    with pytest.raises(Conflict, match=reason) as refused:
        await operate(bench, id_)
    assert refused.value.code == "not_eligible"
    with pytest.raises(Conflict, match=reason):
        await bench.engine.operation_form(ALICE, id_, "update", "grow")
    assert await bench.one("SELECT count(*) FROM service_requests") == 1


async def test_a_lower_version_is_refused_unless_it_is_declared_destructive(
    bench: Workbench,
) -> None:
    id_ = await instance(bench, "1.5.0")
    target = {**TARGET, "to_version": "1.0.0"}
    await add_operation(bench.connection, "upgrade", "back", [target])
    with pytest.raises(Conflict, match=r"version 1\.0\.0 is lower than 1\.5\.0"):
        await upgrade(bench, id_, "back")
    await add_operation(bench.connection, "upgrade", "back", [target], more={"destructive": True})
    assert (await upgrade(bench, id_, "back")).status == "in_progress"


async def test_an_instance_that_is_being_updated_names_the_first_request(bench: Workbench) -> None:
    id_ = await instance(bench)
    await add_operation(bench.connection, "update", "grow", [TARGET])
    first = await operate(bench, id_)
    with pytest.raises(Conflict, match=f"{first.request_id} .update. is under way") as refused:
        await operate(bench, id_)
    assert (refused.value.request_id, refused.value.code) == (first.request_id, "instance_busy")


async def test_an_instance_whose_approval_is_due_names_the_approval(bench: Workbench) -> None:
    id_ = await instance(bench)
    approval = {"approvers": [{"team": "platform"}]}
    await add_operation(bench.connection, "update", "grow", [TARGET], approval=approval)
    first = await operate(bench, id_)
    assert first.status == "submitted"
    assert (await bench.engine.instance(ALICE, id_)).instance_state == "active"
    with pytest.raises(
        Conflict, match=f"{first.request_id}.* waits for 1 approval by the team platform"
    ):
        await operate(bench, id_)


async def test_of_many_at_once_one_gets_the_instance(bench: Workbench) -> None:
    id_ = await instance(bench)
    await add_operation(bench.connection, "update", "grow", [TARGET])
    outcomes = await asyncio.gather(
        *(operate(bench, id_) for _ in range(8)), return_exceptions=True
    )
    made = [one for one in outcomes if isinstance(one, RequestView)]
    refused = [one for one in outcomes if isinstance(one, Conflict)]
    assert (len(made), len(refused)) == (1, 7), outcomes
    assert {one.request_id for one in refused} == {made[0].request_id}


async def test_one_key_from_many_connections_makes_one_request(bench: Workbench) -> None:
    id_ = await instance(bench)
    await add_operation(bench.connection, "update", "grow", [TARGET])
    views = await asyncio.gather(*(operate(bench, id_, idempotency_key="k") for _ in range(8)))
    assert len({view.request_id for view in views}) == 1


async def test_the_same_key_for_another_instance_is_refused(bench: Workbench) -> None:
    one, other = await instance(bench), await instance(bench)
    await add_operation(bench.connection, "update", "grow", [TARGET])
    first = await operate(bench, one, idempotency_key="k")
    with pytest.raises(Conflict, match=first.request_id):
        await operate(bench, other, idempotency_key="k")


async def test_a_key_still_finds_its_request_once_the_instance_has_what_was_asked_beside(
    bench: Workbench,
) -> None:
    id_ = await instance(bench)
    target = {**TARGET, "required_parameters": ["password", "replicas"]}
    await add_operation(bench.connection, "update", "grow", [target])
    given = {"password": "hunter2hunter2", "replicas": 3}
    first = await operate(bench, id_, parameters=given, idempotency_key="k")
    await bench.engine.resolve(ALICE, first.request_id)
    assert (await bench.engine.instance(ALICE, id_)).deployment_parameters["replicas"] == 3
    again = await operate(bench, id_, parameters=given, idempotency_key="k")
    assert again.request_id == first.request_id


async def test_a_failed_request_gives_way_to_a_newer_one(bench: Workbench) -> None:
    id_ = await instance(bench)
    await add_operation(
        bench.connection, "update", "grow", [TARGET], fulfillment=automation([HTTP])
    )
    first = await operate(bench, id_)
    await bench.one(
        "SELECT update_request_status(id, 'failed') FROM service_requests WHERE request_id = %s",
        first.request_id,
    )
    assert (await bench.engine.instance(ALICE, id_)).instance_state == "degraded"
    assert (await bench.view(first)).can_resume
    second = await operate(bench, id_)
    assert second.status == "in_progress"
    assert not (await bench.view(first)).can_resume
    with pytest.raises(Conflict):
        await bench.engine.resume(ALICE, first.request_id)


async def test_a_newer_request_that_was_never_started_closes_nothing(bench: Workbench) -> None:
    id_ = await instance(bench)
    await add_operation(
        bench.connection, "update", "grow", [TARGET], fulfillment=automation([HTTP])
    )
    first = await operate(bench, id_)
    await bench.one(
        "SELECT update_request_status(id, 'failed') FROM service_requests WHERE request_id = %s",
        first.request_id,
    )
    approval = {"approvers": [{"user": "U5"}]}
    await add_operation(
        bench.connection, "update", "shrink", [TARGET], fulfillment=automation([HTTP]),
        approval=approval,
    )  # fmt: skip
    second = await operate(bench, id_, "shrink")
    assert second.status == "submitted"
    assert not (await bench.view(first)).can_resume
    await bench.engine.cancel(ALICE, second.request_id)
    assert (await bench.view(first)).can_resume
    assert (await bench.engine.resume(ALICE, first.request_id)).status == "in_progress"


async def test_an_operation_that_leaves_the_catalog_goes_on_and_takes_no_new_request(
    bench: Workbench,
) -> None:
    one, other = await instance(bench), await instance(bench)
    await add_operation(bench.connection, "update", "grow", [TARGET])
    running = await operate(bench, one, idempotency_key="k")
    await add_operation(bench.connection, "update", "grow", [TARGET], is_active=False)
    with pytest.raises(NotFound, match="no longer in the catalog"):
        await operate(bench, other)
    again = await operate(bench, one, idempotency_key="k")
    assert again.request_id == running.request_id
    done = await bench.engine.resolve(ALICE, running.request_id)
    assert done.status == "completed"
    assert (await bench.engine.instance(ALICE, one)).instance_state == "active"


async def test_a_form_of_an_older_operation_is_refused(bench: Workbench) -> None:
    id_ = await instance(bench)
    old = await add_operation(bench.connection, "update", "grow", [TARGET])
    await add_operation(bench.connection, "update", "grow", [TARGET], version="1.1.0")
    with pytest.raises(StaleForm, match=r"1\.1\.0"):
        await operate(bench, id_, content_hash=old)


async def test_what_destroys_is_confirmed_by_the_name_in_slack(bench: Workbench) -> None:
    id_ = await instance(bench)
    await add_operation(bench.connection, "update", "grow", [TARGET], more={"destructive": True})
    in_slack = replace(ALICE, source="slack")
    for confirmation in (None, "", "order"):
        with pytest.raises(InvalidInput, match="it is called orders") as refused:
            await operate(bench, id_, actor=in_slack, confirmation=confirmation)
        assert refused.value.field == "confirmation"
    with pytest.raises(InvalidInput):
        await operate(bench, id_, confirmation="order")
    await operate(bench, id_, actor=in_slack, dry_run=True)
    assert (
        await operate(bench, id_, actor=in_slack, confirmation="orders")
    ).status == "in_progress"


async def test_a_dry_run_gives_the_plan_and_moves_nothing(bench: Workbench) -> None:
    id_ = await instance(bench)
    await add_operation(
        bench.connection, "update", "grow", [TARGET], fulfillment=automation([HTTP])
    )
    view = await operate(bench, id_, dry_run=True)
    assert [one.step_id for one in view.steps] == ["call"]
    assert await bench.one("SELECT count(*) FROM service_requests") == 1
    assert (await bench.engine.instance(ALICE, id_)).instance_state == "active"


async def test_a_check_judges_the_values_alone(bench: Workbench) -> None:
    id_ = await instance(bench)
    await add_operation(bench.connection, "update", "grow", [TARGET], fields=FIELDS)
    wanted = Submission(
        {"replicas": 99, "sise": 1}, item="grow", instance=id_, request_type="update"
    )
    errors = await bench.engine.check(ALICE, wanted)
    assert {one.field for one in errors} == {"replicas", "sise"}


async def test_no_instance_named_is_refused(bench: Workbench) -> None:
    with pytest.raises(InvalidInput, match="Say which instance"):
        await bench.engine.submit(ALICE, Submission({}, item="grow", request_type="update"))


async def test_upgrades_that_lead_on_are_proposed_as_a_path(bench: Workbench) -> None:
    id_ = await instance(bench)
    rungs = {"two": ("1.x", "2.0.0"), "three": ("2.x", "3.0.0"), "four": ("3.x", "4.0.0")}
    for name, (range_, to) in rungs.items():
        target = {"name": "database", "version_range": range_, "to_version": to}
        await add_operation(bench.connection, "upgrade", name, [target])
    # Neither a way back nor one that leads nowhere higher makes a path, and never a circle.
    back = {"name": "database", "version_range": "3.x", "to_version": "1.0.0"}
    await add_operation(bench.connection, "upgrade", "back", [back])
    paths = await bench.engine.upgrade_path(ALICE, id_)
    assert [[one.operation_name for one in path] for path in paths] == [["two", "three", "four"]]
    assert [one.eligible for one in paths[0]] == [True, False, False]


async def test_a_single_upgrade_is_no_path(bench: Workbench) -> None:
    id_ = await instance(bench)
    await add_operation(bench.connection, "upgrade", "two", [{**TARGET, "to_version": "2.0.0"}])
    assert await bench.engine.upgrade_path(ALICE, id_) == []
    with pytest.raises(NotFound):
        await bench.engine.upgrade_path(MALLORY, id_)


async def test_an_operation_can_target_a_bundle_or_a_slug(bench: Workbench) -> None:
    await add_item(bench.connection, "Big Database", fulfillment={"manual": MANUAL})
    made = await bench.engine.submit(ALICE, Submission({}, item="big-database"))
    await bench.engine.resolve(ALICE, made.request_id)
    await add_operation(bench.connection, "update", "Grow It", [{**TARGET, "name": "big-database"}])
    assert (await operate(bench, made.instance_id or "", "grow-it")).update_item == "Grow It"
