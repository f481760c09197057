"""Bundles: one request, members that live as soon as their component is done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from engine import Conflict, RequestView, StepFailed
from engine.results import SECRET_DOTS
from engine.steps.base import Completed, Resource, StepContext
from tests.support.bundles import add_bundle, add_scripted, members, request_bundle
from tests.support.engines import ALICE, MANUAL, add_item
from tests.support.operations import operate
from tests.support.workbench import Workbench, fail, states, step, step_of

PERMANENT: dict[str, Any] = {"kind": "permanent"}


async def two_components(bench: Workbench) -> None:
    """A database, and a web server that is made after it with its endpoint."""
    await add_scripted(bench, "db", "make-db", fields=[{"name": "size", "type": "string"}])
    url = {"name": "url", "type": "string"}
    await add_scripted(
        bench, "web", step("make-web", template={"url": "{{ url }}"}), "warm-up", fields=[url]
    )
    await add_bundle(
        bench.connection,
        "stack",
        [
            {"name": "db", "catalog_item": "db", "parameters": {"size": "{{ size }}"}},
            {
                "name": "web",
                "catalog_item": "web",
                "parameters": {"url": "https://{{ components.db.outputs.endpoint }}"},
                "dependencies": [{"on": "db", "type": "data", "name": "db"}],
            },
        ],
        fields=[{"name": "size", "type": "string", "default": "small"}],
    )


async def test_a_bundle_becomes_a_living_instance_of_living_members(bench: Workbench) -> None:
    await two_components(bench)
    bench.script["make-db"] = [
        Completed({"endpoint": "db:5432"}, resources=[Resource("db.main", "db", "1")])
    ]
    bench.script["make-web"] = [Completed({"address": "web:80"})]
    bench.script["warm-up"] = [Completed({"warm": True})]

    done = await bench.run(await request_bundle(bench, "stack", {"size": "large"}))

    assert done.status == "completed", done
    made = await members(bench)
    assert {name: one["state"] for name, one in made.items()} == {"db": "active", "web": "active"}
    assert made["db"]["outputs"] == {"endpoint": "db:5432"}
    assert made["db"]["parameters"] == {"size": "large"}
    assert made["db"]["resources"] == [{"address": "db.main", "type": "db", "id": "1"}]
    assert made["web"]["outputs"] == {"address": "web:80", "warm": True}
    assert made["web"]["parameters"] == {"url": "https://db:5432"}
    bundle = await bench.engine.instance(ALICE, done.instance_id or "")
    assert bundle.instance_state == "active"
    assert bundle.service_outputs == {
        "db": {"endpoint": "db:5432"},
        "web": {"address": "web:80", "warm": True},
    }
    assert done.outputs == bundle.service_outputs
    assert [one["address"] for one in bundle.deployed_resources] == ["db.main"]


async def connected_by(bench: Workbench, config: Any) -> RequestView:
    """A bundle of which the web server needs the database by a connection so configured."""
    fields = [{"name": "password", "type": "secret"}]
    await add_scripted(bench, "db", "make-db", fields=fields)
    await add_scripted(bench, "web", "make-web")
    edge = {"on": "db", "name": "primary", "config": config}
    web = {"name": "web", "catalog_item": "web", "dependencies": [edge]}
    given = {"password": "{{ password }}"}
    items = [{"name": "db", "catalog_item": "db", "parameters": given}, web]
    await add_bundle(bench.connection, "stack", items, fields=fields)
    bench.script["make-db"] = [Completed({"port": 5432, "token": "hush-hush-hush"})]
    parameters = {"password": "hush-hush-hush"}
    return await bench.run(await request_bundle(bench, "stack", parameters))


async def test_how_members_are_connected_is_rendered_with_what_the_provider_gave(
    bench: Workbench,
) -> None:
    config = {
        "port": "{{ dependencies.primary.outputs.port }}",
        "url": "db:{{ components.db.outputs.port }}",
        "password": "{{ password }}",
        "token": "{{ components.db.outputs.token }}",
        "mode": "plain",
    }
    done = await connected_by(bench, config)
    assert done.status == "completed", done
    query = "SELECT dependency_config FROM service_instance_dependencies"
    assert await bench.one(query) == {
        "port": 5432,
        "url": "db:5432",
        "password": SECRET_DOTS,
        "token": SECRET_DOTS,
        "mode": "plain",
    }


async def test_a_connection_that_cannot_be_rendered_fails_its_component_in_words(
    bench: Workbench,
) -> None:
    failed = await connected_by(bench, {"port": "{{ components.db.outputs.prot }}"})
    assert failed.status == "failed"
    attempt = step_of(failed, "make-web").attempts[-1]
    assert attempt.error_type == "dependency_config"
    assert "The configuration of a dependency of web cannot be rendered" in (
        attempt.error_message or ""
    )
    assert len(step_of(failed, "make-web").attempts) == 1


async def test_a_component_is_rendered_as_if_ordered_alone(bench: Workbench) -> None:
    await add_scripted(bench, "db", "make-db")
    template = {
        "instance": "{{ instance.name }}",
        "item": "{{ catalog_item.name }}",
        "earlier": "{{ steps.first.outputs.key }}",
        "db": "{{ dependencies.db.outputs.endpoint }}",
    }
    await add_scripted(bench, "web", "first", step("second", template=template))
    dependencies = [{"on": "db", "name": "db"}]
    await add_bundle(
        bench.connection,
        "stack",
        [
            {"name": "db", "catalog_item": "db"},
            {"name": "web", "catalog_item": "web", "dependencies": dependencies},
        ],
    )
    bench.script["make-db"] = [Completed({"endpoint": "db:5432"})]
    bench.script["first"] = [Completed({"key": "k1"})]

    done = await bench.run(await request_bundle(bench, "stack", instance_name="shop"))

    assert done.status == "completed", done
    made = await members(bench)
    contexts = {name: context for _, name, context in bench.steps.calls}
    assert contexts["second"].template == {
        "instance": "shop-web", "item": "web", "earlier": "k1", "db": "db:5432",
    }  # fmt: skip
    assert contexts["second"].instance_id == made["web"]["id"]
    assert contexts["make-db"].instance_id == made["db"]["id"]
    assert contexts["make-db"].destructive


async def test_members_that_are_done_stay_active_when_another_fails(bench: Workbench) -> None:
    await two_components(bench)
    bench.script["make-db"] = [Completed({"endpoint": "db:5432"})]
    bench.script["make-web"] = [fail("no room", **PERMANENT), Completed({"address": "web:80"})]

    failed = await bench.run(await request_bundle(bench, "stack"))

    assert failed.status == "failed"
    made = await members(bench)
    assert {name: one["state"] for name, one in made.items()} == {"db": "active", "web": "failed"}

    await bench.engine.resume(ALICE, failed.request_id)
    done = await bench.run(failed)

    assert done.status == "completed", done
    assert bench.steps.phases("make-db") == ["start"]
    assert {one["state"] for one in (await members(bench)).values()} == {"active"}


async def test_a_failed_component_that_is_resolved_by_hand_lets_the_rest_go_on(
    bench: Workbench,
) -> None:
    await two_components(bench)
    bench.script["make-db"] = [fail("no room", **PERMANENT)]
    failed = await bench.run(await request_bundle(bench, "stack"))

    await bench.engine.resolve(
        ALICE, failed.request_id, step="db/make-db", outputs={"endpoint": "by-hand"}
    )
    done = await bench.run(failed)

    assert done.status == "completed", done
    made = await members(bench)
    assert made["db"]["outputs"] == {"endpoint": "by-hand"}
    assert made["db"]["state"] == "active"
    assert made["web"]["parameters"] == {"url": "https://by-hand"}


async def test_a_fixed_parameter_that_the_item_does_not_take_fails_the_step_in_words(
    bench: Workbench,
) -> None:
    await add_scripted(bench, "db", "make-db")
    port = {"name": "port", "type": "integer", "max_value": 100, "required": True}
    await add_scripted(bench, "web", "make-web", fields=[port])
    fixed = {"port": "{{ components.db.outputs.port }}"}
    await add_bundle(
        bench.connection,
        "stack",
        [
            {"name": "db", "catalog_item": "db"},
            {"name": "web", "catalog_item": "web", "parameters": fixed},
        ],
    )
    bench.script["make-db"] = [Completed({"port": 5432})]

    failed = await bench.run(await request_bundle(bench, "stack"))

    assert states(failed) == {"db/make-db": "completed", "web/make-web": "failed"}
    (attempt,) = next(one for one in failed.steps if one.step_id == "web/make-web").attempts
    assert attempt.error_type == "component_parameters"
    assert "web" in (attempt.error_message or "")
    assert "port" in (attempt.error_message or "")
    assert bench.steps.phases("make-web") == []


@pytest.mark.parametrize("word", ["s3cret-word", "s3cret-word" * 20])
async def test_a_secret_that_an_items_field_does_not_take_is_not_named(
    bench: Workbench, word: str
) -> None:
    await add_scripted(bench, "db", "make-db")
    mode = {"name": "mode", "type": "selection", "oneof": ["fast", "safe"]}
    await add_scripted(bench, "web", "make-web", fields=[mode])
    fixed = {"mode": "{{ components.db.outputs.password }}"}
    await add_bundle(
        bench.connection,
        "stack",
        [
            {"name": "db", "catalog_item": "db"},
            {"name": "web", "catalog_item": "web", "parameters": fixed},
        ],
    )
    secret = Completed({"password": word}, sensitive=frozenset({"password"}))
    bench.script["make-db"] = [secret]

    failed = await bench.run(await request_bundle(bench, "stack"))

    (attempt,) = next(one for one in failed.steps if one.step_id == "web/make-web").attempts
    assert attempt.error_type == "component_parameters"
    assert "mode: " in (attempt.error_message or "")
    assert "s3cret-word" not in str(failed)


async def test_a_secret_that_flows_between_components_is_nowhere_in_clear(
    bench: Workbench,
) -> None:
    await add_scripted(bench, "db", "make-db")
    fields = [{"name": "password", "type": "secret"}, {"name": "url", "type": "string"}]
    template = {"password": "{{ password }}", "url": "{{ url }}"}
    await add_scripted(bench, "web", step("make-web", template=template), fields=fields)
    fixed = {
        "password": "{{ components.db.outputs.password }}",
        "url": "pg://admin:{{ components.db.outputs.password }}@db",
    }
    await add_bundle(
        bench.connection,
        "stack",
        [
            {"name": "db", "catalog_item": "db"},
            {"name": "web", "catalog_item": "web", "parameters": fixed},
        ],
    )
    password = "correct horse battery"
    bench.script["make-db"] = [Completed({"password": password}, sensitive=frozenset({"password"}))]
    bench.script["make-web"] = [Completed({"url": f"https://{password}@web"})]

    done = await bench.run(await request_bundle(bench, "stack"))

    assert done.status == "completed", done
    (context,) = [context for _, name, context in bench.steps.calls if name == "make-web"]
    assert context.template == {"password": password, "url": f"pg://admin:{password}@db"}
    made = await members(bench)
    assert password not in str(made)
    web = await bench.engine.instance(ALICE, made["web"]["id"])
    assert web.deployment_parameters == {"password": SECRET_DOTS, "url": SECRET_DOTS}
    bundle = await bench.engine.instance(ALICE, done.instance_id or "")
    assert password not in str(bundle)


async def test_components_that_end_at_the_same_moment_each_become_active_once(
    bench: Workbench,
) -> None:
    gate = asyncio.Barrier(4)

    async def together(_: StepContext) -> Completed:
        await gate.wait()
        return Completed({"done": True})

    names = ["a", "b", "c", "d"]
    for name in names:
        await add_scripted(bench, name, f"make-{name}")
        bench.script[f"make-{name}"] = [together]
    await add_bundle(bench.connection, "stack", [{"catalog_item": name} for name in names])
    request = await request_bundle(bench, "stack")

    async with bench.carrying(), bench.carrying():
        done = await bench.ended(request)

    assert done.status == "completed", done
    assert {one["state"] for one in (await members(bench)).values()} == {"active"}
    activations = await bench.one(
        "SELECT count(*) FROM events WHERE kind = 'instance.changed' AND data ->> 'to' = 'active'"
    )
    assert activations == len(names) + 1


async def test_a_disabled_component_is_none_to_the_others(bench: Workbench) -> None:
    await add_scripted(bench, "cache", "make-cache")
    web = step("make-web", template={"cache": "{{ cache }}"})
    await add_scripted(bench, "web", web, fields=[{"name": "cache", "type": "string"}])
    fixed = {"cache": "{{ components.cache.outputs.endpoint | default('none') }}"}
    await add_bundle(
        bench.connection,
        "stack",
        [{"name": "web", "catalog_item": "web", "parameters": fixed}],
        optional=[{"name": "cache", "catalog_item": "cache"}],
    )

    done = await bench.run(await request_bundle(bench, "stack"))

    assert done.status == "completed", done
    assert list(await members(bench)) == ["web"]
    (context,) = [context for _, _, context in bench.steps.calls]
    assert context.template == {"cache": "none"}


async def test_a_component_without_automation_waits_for_its_own_ticket(bench: Workbench) -> None:
    manual = {"system": "webhook", "template": {"url": "https://t", "body": "For {{ size }}"}}
    size = {"name": "size", "type": "string", "default": "small"}
    await add_item(bench.connection, "licence", fulfillment={"manual": manual}, fields=[size])
    await add_scripted(bench, "web", "make-web")
    await add_bundle(
        bench.connection,
        "stack",
        [
            {"name": "licence", "catalog_item": "licence"},
            {"name": "web", "catalog_item": "web", "depends_on": ["licence"]},
        ],
    )
    request = await request_bundle(bench, "stack")

    async with bench.carrying():
        await bench.when(request, lambda view: view.steps[0].tickets != [])
        while bench.tickets.made == {}:
            await bench.outbox().work()
        assert states(await bench.view(request)) == {
            "licence/manual": "running", "web/make-web": "pending",
        }  # fmt: skip
        (draft,) = bench.tickets.made.values()
        assert draft.template["body"] == "For small"
        bench.tickets.states["T-1"] = "resolved"
        await bench.connection.execute("UPDATE manual_tickets SET next_poll_at = now()")
        done = await bench.ended(request)

    assert done.status == "completed", done
    assert (await members(bench))["licence"]["state"] == "active"


async def test_the_ticket_of_a_failed_component_is_that_of_its_own_document(
    bench: Workbench,
) -> None:
    await two_components(bench)
    manual = {**MANUAL, "template": {"url": "https://t", "body": "At {{ url }}"}}
    await bench.connection.execute(
        "UPDATE catalog_items SET fulfillment = jsonb_set(fulfillment, '{manual}', %s)"
        " WHERE name = 'web'",
        [Jsonb(manual)],
    )
    bench.script["make-db"] = [Completed({"endpoint": "db:5432"})]
    bench.script["make-web"] = [StepFailed("broken", "no room", kind="permanent")]

    await bench.run(await request_bundle(bench, "stack"))
    while await bench.outbox().work():
        pass

    (draft,) = bench.tickets.made.values()
    assert draft.template["body"] == "At https://db:5432"


async def test_a_cancelled_bundle_leaves_nothing_behind(bench: Workbench) -> None:
    await two_components(bench)
    request = await request_bundle(bench, "stack")

    await bench.engine.cancel(ALICE, request.request_id)

    assert {one["state"] for one in (await members(bench)).values()} == {"decommissioned"}


async def test_a_bundle_is_not_resumed_without_a_member_that_was_decommissioned_alone(
    bench: Workbench,
) -> None:
    for name in ("db", "web"):
        await add_scripted(bench, name, f"make-{name}")
    items = [{"name": name, "catalog_item": name} for name in ("db", "web")]
    await add_bundle(bench.connection, "stack", items)
    bench.script["make-web"] = [fail("no room", **PERMANENT)]
    failed = await bench.run(await request_bundle(bench, "stack"))
    db = (await members(bench))["db"]["id"]
    gone = await bench.run(await operate(bench, db, "decommission", ["drop"]))
    assert gone.status == "completed"

    with pytest.raises(Conflict, match=rf"\({db}\) is decommissioned"):
        await bench.engine.resume(ALICE, failed.request_id)

    now = await bench.view(failed)
    assert (now.status, now.can_resume) == ("failed", False)
    assert f"({db}) is decommissioned" in (now.reason or "")
    assert (await bench.engine.abort(ALICE, failed.request_id)).status == "aborted"
    assert (await members(bench))["db"]["state"] == "decommissioned"


async def test_an_aborted_bundle_keeps_what_is_done(bench: Workbench) -> None:
    await two_components(bench)
    bench.script["make-db"] = [Completed({"endpoint": "db:5432"})]
    bench.script["make-web"] = [fail("no room", **PERMANENT)]
    failed = await bench.run(await request_bundle(bench, "stack"))

    await bench.engine.abort(ALICE, failed.request_id)

    made = await members(bench)
    assert {name: one["state"] for name, one in made.items()} == {"db": "active", "web": "failed"}


async def test_components_of_one_item_each_have_their_resources(bench: Workbench) -> None:
    await add_scripted(bench, "node", "make")
    names = ["a", "b"]
    await add_bundle(
        bench.connection, "pair", [{"name": name, "catalog_item": "node"} for name in names]
    )

    async def make(context: StepContext) -> Completed:
        return Completed({}, resources=[Resource(context.step_id, "node", "1")])

    bench.script["make"] = [make]

    done = await bench.run(await request_bundle(bench, "pair"))

    bundle = await bench.engine.instance(ALICE, done.instance_id or "")
    found = sorted(one["address"] for one in bundle.deployed_resources)
    assert found == ["a/make", "b/make"]
    made = await members(bench)
    assert [one["address"] for one in made["a"]["resources"]] == ["a/make"]
