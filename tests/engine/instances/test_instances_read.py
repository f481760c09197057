"""One instance: who may read it, what is shown, and its neighbours as a picture."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

import pytest

from engine.errors import Forbidden, InvalidInput, NotFound
from engine.instances import decommission, dependencies, lifecycle
from engine.people.permissions import Action, Denied
from engine.results import SECRET_DOTS, Actor, DependencyView, InstanceView
from engine.store import instances
from tests.support.founding_rows import Rows

OWNER = Actor("U1", "Ada", teams=("payments",))
STRANGER = Actor("U3", "Cy", teams=("other",))


@pytest.mark.parametrize(
    "actor",
    [
        OWNER,
        Actor("U2", "Bo", teams=("payments",)),
        Actor("U4", "Di", teams=("platform",)),
        Actor("U5", "Ed", is_admin=True),
    ],
    ids=["owner", "team", "document owner", "admin"],
)
async def test_the_owner_their_team_the_documents_team_and_admins_find_it(
    rows: Rows, actor: Actor
) -> None:
    await rows.instance(instance_id="si-one")

    assert (await lifecycle.find(rows.connection, actor, "si-one")).instance_id == "si-one"


@pytest.mark.parametrize("word", ["si-one", "si-none", "", "%", "si_one", "'; --"])
async def test_a_foreign_instance_and_none_are_refused_alike(rows: Rows, word: str) -> None:
    await rows.instance(instance_id="si-one")

    with pytest.raises(Denied) as refused:
        await lifecycle.find(rows.connection, STRANGER, word)

    assert isinstance(refused.value.error, NotFound)
    assert str(refused.value.error).startswith(f"Instance {word}: not found, or not yours")


async def test_a_shortened_id_means_the_one_that_one_may_see(rows: Rows) -> None:
    await rows.instance(instance_id="si-ab1", owner_user_id="U9", owner_team="search")
    await rows.instance(instance_id="si-ab2")

    assert (await lifecycle.find(rows.connection, OWNER, "si-ab")).instance_id == "si-ab2"


async def test_who_may_see_but_not_act_is_told_so(rows: Rows) -> None:
    await rows.instance(instance_id="si-one")

    with pytest.raises(Denied) as refused:
        await lifecycle.find(rows.connection, OWNER, "si-one", Action.SKIP)

    assert isinstance(refused.value.error, Forbidden)


async def test_an_instance_is_shown_whole_with_secrets_as_dots(rows: Rows) -> None:
    request = await rows.request(request_id="req-made-it")
    secret = {"$secret": str(uuid4())}
    instance = await rows.instance(
        instance_id="si-one",
        owner_email="ada@example.org",
        creation_request_id=request,
        deployment_parameters={"size": "small", "password": secret},
        deployed_resources=[{"address": "a.b", "type": "a", "id": "1"}],
        service_outputs={"endpoint": "db:5432", "password": secret, "users": [{"key": secret}]},
    )
    await rows.depend(instance, await rows.instance(instance_id="si-provider"))
    await rows.request("update", target_instance_id=instance, request_id="req-open")
    await rows.request("update", "failed", target_instance_id=instance)

    row = await lifecycle.find(rows.connection, OWNER, "si-one")
    view = await lifecycle.view(rows.connection, row)

    assert view.deployment_parameters == {"size": "small", "password": SECRET_DOTS}
    assert view.service_outputs == {
        "endpoint": "db:5432",
        "password": SECRET_DOTS,
        "users": [{"key": SECRET_DOTS}],
    }
    assert set(view.secret_outputs) == {"password", "users"}
    assert list(view.deployed_resources) == [{"address": "a.b", "type": "a", "id": "1"}]
    assert [d.instance_id for d in view.dependencies] == ["si-provider"]
    assert (view.creation_request_id, list(view.open_requests)) == ("req-made-it", ["req-open"])
    assert (view.catalog_bundle, view.owner_email) == (None, "ada@example.org")


async def test_an_instance_without_outputs_has_empty_ones(rows: Rows) -> None:
    await rows.instance("provisioning", instance_id="si-one")

    view = await lifecycle.view(
        rows.connection, await lifecycle.find(rows.connection, OWNER, "si-one")
    )

    assert (view.service_outputs, list(view.deployed_resources)) == ({}, [])


async def test_history_and_timeline_tell_what_happened(rows: Rows) -> None:
    instance = await rows.instance(instance_id="si-one")
    request = await rows.request("upgrade", target_instance_id=instance, request_id="req-up")
    await rows.move(request, "validating", "in_progress", "completed")
    await rows.value(
        "SELECT record_upgrade_history(%s, %s, '1.0.0', '1.1.0', 'to-1.1')", instance, request
    )

    (entry,) = await lifecycle.history(rows.connection, instance)
    happened = await lifecycle.timeline(rows.connection, instance)

    assert (entry.upgrade_type, entry.upgrade_status, entry.upgrade_request_id) == (
        "minor",
        "success",
        "req-up",
    )
    assert [(e.kind, e.request_id) for e in happened] == [
        ("request.validating", "req-up"),
        ("instance.changed", "req-up"),
        ("request.started", "req-up"),
        ("request.completed", "req-up"),
        ("instance.changed", "req-up"),
        ("instance.minor", "req-up"),
    ]


async def test_operations_say_which_may_be_run(rows: Rows) -> None:
    instance = await rows.instance(item=await rows.item("db"), catalog_version="1.0.0")
    await rows.operation("upgrade", "to-3", [{"name": "db", "version_range": "^2"}])

    (operation,) = await lifecycle.operations(rows.connection, OWNER, instance)

    assert (operation.operation_name, operation.eligible) == ("to-3", False)
    assert operation.reason == "version 1.0.0 is outside ^2"


async def test_a_check_names_those_in_the_way(rows: Rows) -> None:
    provider, dependent = await rows.instance(), await rows.instance(instance_id="si-needs-it")
    await rows.depend(dependent, provider)

    blocked = await decommission.check(rows.connection, provider)
    free = await decommission.check(rows.connection, dependent)

    assert not blocked.can_decommission
    assert [b["instance_id"] for b in blocked.blocking_instances] == ["si-needs-it"]
    assert (free.can_decommission, free.reason, list(free.blocking_instances)) == (True, None, [])


async def test_an_unknown_direction_is_invalid_input(rows: Rows) -> None:
    with pytest.raises(InvalidInput, match="Unknown direction"):
        await dependencies.of_instance(rows.connection, uuid4(), "up")  # type: ignore[arg-type]


async def test_the_picture_points_from_who_needs_to_who_is_needed(rows: Rows) -> None:
    middle = await rows.instance(instance_id="si-mid", instance_name="middle")
    await rows.depend(middle, await rows.instance(instance_id="si-top", instance_name="top"))
    await rows.depend(
        await rows.instance("degraded", instance_id="si-low", instance_name="low"),
        middle,
        required=False,
    )
    row = await lifecycle.find(rows.connection, OWNER, "si-mid")

    picture = dependencies.mermaid(row, await dependencies.of_instance(rows.connection, middle))

    assert picture.splitlines() == [
        "graph LR",
        '    si_mid["middle<br/>active"]',
        '    si_top["top<br/>active"]',
        '    si_low["low<br/>degraded"]',
        '    si_mid -->|"data#58; db"| si_top',
        '    si_low -.->|"data#58; db"| si_mid',
        "    style si_mid stroke-width:3px",
    ]


async def test_a_name_cannot_draw_into_the_picture(rows: Rows) -> None:
    name = 'x"] --> evil["<script>#quot;\n%%{init}'
    await rows.instance(instance_id="si-odd", instance_name=name)
    row = await lifecycle.find(rows.connection, OWNER, "si-odd")
    neighbour = DependencyView("provider", "si-two", name, "active", "data", name, is_required=True)

    lines = dependencies.mermaid(row, [neighbour]).splitlines()

    assert len(lines) == 5
    labels = [re.findall(r'"(.*)"', line)[0].replace("<br/>", "") for line in lines[1:4]]
    assert all(re.fullmatch(r"[\w .,/()#;-]*", label) for label in labels)


async def test_a_bundle_shows_its_members_and_they_their_bundle(rows: Rows) -> None:
    member = await rows.instance(instance_id="si-db", instance_name="db")
    bundle = await rows.bundle_instance([member])
    await rows.value(
        "UPDATE bundle_instance_members SET component_name = 'db', member_role = 'database'"
        " RETURNING id"
    )

    async def view(id_: UUID) -> InstanceView:
        row = await instances.instance_row(rows.connection, id_)
        assert row is not None
        return await lifecycle.view(rows.connection, row)

    (seen,) = (await view(bundle)).members
    assert (seen.instance_id, seen.component_name, seen.member_role) == ("si-db", "db", "database")
    (above,) = (await view(member)).bundles
    assert above.instance_id == (await view(bundle)).instance_id
    assert (await view(member)).members == []


async def test_a_list_names_what_is_due(rows: Rows) -> None:
    instance = await rows.instance()
    await rows.value(
        "INSERT INTO eligible_operations (instance_id, operation_type, operation_name,"
        " operation_version, eligibility_status) VALUES (%s, 'update', 'resize', '1.0.0', 'eligible'),"
        " (%s, 'upgrade', 'to-2', '2.0.0', 'eligible'),"
        " (%s, 'upgrade', 'to-3', '3.0.0', 'ineligible') RETURNING 1",
        instance, instance, instance,
    )  # fmt: skip

    (summary,) = (await lifecycle.page(rows.connection, OWNER)).items

    assert summary.operations_due == ["to-2", "resize"]


async def test_the_timeline_tells_of_upgrades_and_of_who_came_to_need_it(rows: Rows) -> None:
    instance = await rows.instance()
    request = await rows.request("upgrade", target_instance_id=instance)
    await rows.value(
        "SELECT record_upgrade_history(%s, %s, '1.0.0', '2.0.0', 'to-2', 'success')",
        instance, request,
    )  # fmt: skip
    dependent = await rows.instance(instance_id="si-web")
    await rows.depend(dependent, instance)

    told = {one.kind: one for one in await lifecycle.timeline(rows.connection, instance)}

    assert told["instance.major"].data["to"] == "2.0.0"
    assert told["instance.major"].data["status"] == "success"
    assert told["instance.major"].request_id is not None
    assert told["dependent.added"].data["dependent"] == "si-web"
