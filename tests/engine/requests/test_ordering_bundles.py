"""A bundle as it is asked for: what is on, what each component is given, in which order they come."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine import Conflict, InvalidInput, NotFound, RequestView, StaleForm, Submission
from engine.results import SECRET_DOTS
from tests.support.engines import (
    ADMIN,
    ALICE,
    MALLORY,
    MANUAL,
    add_bundle,
    add_item,
    automation,
    rows_of,
)
from tests.support.http_server import HttpServer
from tests.support.workbench import Workbench

SIZE: dict[str, Any] = {
    "name": "size",
    "type": "selection",
    "oneof": ["small", "large"],
    "default": "small",
}
NAME: dict[str, Any] = {"name": "name", "type": "string", "required": True, "regexp": "[a-z-]+"}
OWN: list[dict[str, Any]] = [
    {"name": "solution", "type": "string", "required": True},
    {"name": "with_cache", "type": "boolean", "default": False},
]


def http(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "HttpPost", "template": {"url": "http://127.0.0.1:1/"}, **more}


def component(name: str, item: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "catalog_item": item, **more}


DB = component("db", "database", role="storage", parameters={"name": "{{ solution }}-db"})
WEB = component(
    "web",
    "app",
    version=">=2.0.0",
    parameters={"host": "{{ components['db'].outputs.host }}", "name": "{{ solution }}"},
    dependencies=[{"on": "db", "name": "data", "config": {"port": 5432}}],
)
CACHE = component("cache", "cache", enabled_when={"field": "with_cache", "value": True})
SHOP = {"required_items": [DB, WEB], "optional_items": [CACHE]}


async def catalog(bench: Workbench, bundle: dict[str, Any] = SHOP, **more: Any) -> str:
    """Put a database, an app and a cache into service, and a bundle of them."""
    steps = [http("plan"), http("make"), http("check", depends_on=["plan"])]
    await add_item(bench.connection, fields=[NAME, SIZE], fulfillment=automation(steps))
    app = [{"name": "host", "type": "string", "required": True}, NAME, SIZE]
    await add_item(
        bench.connection,
        "app",
        version="2.1.0",
        fields=app,
        fulfillment=automation([http("deploy")]),
    )
    await add_item(bench.connection, "cache", fields=[SIZE])
    return await add_bundle(bench.connection, "shop", bundle, **{"fields": OWN, **more})


async def order(bench: Workbench, actor: Any = ALICE, **submission: Any) -> RequestView:
    parameters = submission.pop("parameters", {"solution": "orders"})
    return await bench.engine.submit(actor, Submission(parameters, bundle="shop", **submission))


async def errors_of(bench: Workbench, **submission: Any) -> dict[str, str]:
    """What is wrong with an order, by field."""
    with pytest.raises(InvalidInput) as refused:
        await order(bench, **submission)
    return {one.field: one.message for one in refused.value.errors}


async def plan(bench: Workbench, view: RequestView) -> Any:
    return await bench.one(
        "SELECT plan FROM service_requests WHERE request_id = %s", view.request_id
    )


def on(**parameters: Any) -> dict[str, Any]:
    return {"enabled": True, "parameters": parameters}


async def test_one_request_has_the_steps_of_all_its_components(bench: Workbench) -> None:
    await catalog(bench)
    view = await order(bench, instance_name="orders")
    assert (view.catalog_bundle, view.status, view.title) == ("shop", "in_progress", "shop: orders")
    assert {one.step_id: one.depends_on for one in view.steps} == {
        "db/plan": (),
        "db/make": ("db/plan",),
        "db/check": ("db/plan",),
        "web/deploy": ("db/make", "db/check"),
    }


async def test_components_that_do_not_need_each_other_start_at_once(bench: Workbench) -> None:
    await catalog(bench)
    view = await order(bench, parameters={"solution": "orders", "with_cache": True})
    first = {one.step_id for one in view.steps if not one.depends_on}
    assert first == {"db/plan", "cache/manual"}
    assert next(one.type for one in view.steps if one.step_id == "cache/manual") == "manual"


async def test_members_are_made_at_once_and_connected(bench: Workbench) -> None:
    await catalog(bench)
    view = await order(bench, instance_name="orders")
    rows = await rows_of(
        bench.connection,
        "SELECT m.component_name, m.member_role, m.is_required, si.instance_name, si.instance_state,"
        " si.catalog_version, si.owner_team FROM bundle_instance_members m"
        " JOIN service_instances si ON si.id = m.member_instance_id ORDER BY 1",
    )
    assert rows == [
        ("db", "storage", True, "orders-db", "provisioning", "1.0.0", "payments"),
        ("web", None, True, "orders-web", "provisioning", "2.1.0", "payments"),
    ]
    edges = await rows_of(
        bench.connection,
        "SELECT a.instance_name, b.instance_name, d.dependency_name, d.dependency_config"
        " FROM service_instance_dependencies d"
        " JOIN service_instances a ON a.id = d.dependent_instance_id"
        " JOIN service_instances b ON b.id = d.provider_instance_id",
    )
    assert edges == [("orders-web", "orders-db", "data", {"port": 5432})]
    kept = (await plan(bench, view))["components"]
    ids = dict(
        await rows_of(
            bench.connection,
            "SELECT component_name, member_instance_id::text FROM bundle_instance_members",
        )
    )
    assert {name: part.get("instance") for name, part in kept.items()} == {**ids, "cache": None}


async def test_the_plan_keeps_every_component_as_written(bench: Workbench) -> None:
    await catalog(bench)
    kept = await plan(bench, await order(bench))
    assert kept["bundle"] == SHOP
    assert kept["fulfillment"] == {}
    web, cache = kept["components"]["web"], kept["components"]["cache"]
    assert web["parameters"] == WEB["parameters"]
    assert (web["depends_on"], web["enabled"], web["required"]) == (["db"], True, True)
    assert web["document"]["name"] == "app"
    assert web["fulfillment"]["automation"]["steps"][0]["name"] == "deploy"
    assert (cache["enabled"], cache["required"], cache["depends_on"]) == (False, False, [])


async def test_values_of_components_stand_under_their_names(bench: Workbench) -> None:
    await catalog(bench)
    view = await order(bench, components={"db": on(size="large")})
    assert view.parameters["solution"] == "orders"
    assert view.parameters["components"] == {
        "db": {"name": "orders-db", "size": "large"},
        "web": {"name": "orders", "size": "small"},
    }


async def test_secrets_of_components_are_sealed_and_shown_as_dots(bench: Workbench) -> None:
    await catalog(bench)
    secret = {"name": "password", "type": "secret"}
    await add_item(bench.connection, fields=[NAME, secret])
    fixed = {**DB["parameters"], "password": "{{ admin_password }}"}
    own = [*OWN, {"name": "admin_password", "type": "secret"}]
    bundle = {"required_items": [{**DB, "parameters": fixed}, {**DB, "name": "spare"}]}
    await add_bundle(bench.connection, "shop", bundle, fields=own)
    await order(
        bench,
        parameters={"solution": "orders", "admin_password": "first-secret"},
        components={"spare": on(password="second-secret")},
    )
    (listed,) = (await bench.engine.requests(ALICE)).items
    named = await bench.engine.secret_parameters(ALICE, listed.request_id)
    assert named == {"admin_password", "db.password", "spare.password"}
    dump = await bench.one(
        "SELECT string_agg(r::text, '') || (SELECT string_agg(i::text, '') FROM service_instances i)"
        " FROM service_requests r"
    )
    assert "first-secret" not in dump
    assert "second-secret" not in dump
    assert await bench.one("SELECT count(*) FROM encrypted_values") == 3


async def test_a_secret_that_a_bundle_puts_into_another_field_is_kept_as_a_secret(
    bench: Workbench,
) -> None:
    await catalog(bench)
    await add_item(bench.connection, fields=[NAME, {"name": "dsn", "type": "string"}])
    fixed = {"name": "{{ solution }}", "dsn": "pg://app:{{ admin_password }}@{{ solution }}"}
    own = [*OWN, {"name": "admin_password", "type": "secret"}]
    bundle = {"required_items": [{**DB, "parameters": fixed}]}
    await add_bundle(bench.connection, "shop", bundle, fields=own)
    (shown,) = await bench.engine.bundle_components(
        ALICE, "shop", {"solution": "orders", "admin_password": "first-secret"}
    )
    assert shown.fixed["dsn"] == f"pg://app:{SECRET_DOTS}@orders"
    # What happens to be the same text in another field stays what it is: conditions read it.
    given = {"solution": "orders", "admin_password": "orders"}
    view = await order(bench, parameters={**given, "admin_password": "first-secret"})
    assert view.parameters["components"]["db"] == {"name": "orders", "dsn": SECRET_DOTS}
    everywhere = (
        "SELECT string_agg(r::text, '') || (SELECT string_agg(i::text, '') FROM service_instances i)"
        " || (SELECT string_agg(e::text, '') FROM events e) FROM service_requests r"
    )
    assert "first-secret" not in await bench.one(everywhere)
    same = await order(bench, parameters=given)
    assert same.parameters["components"]["db"]["name"] == "orders"


async def test_each_components_values_are_judged_by_its_own_fields(bench: Workbench) -> None:
    await catalog(bench)
    found = await errors_of(
        bench,
        parameters={"solution": "Orders"},
        components={"db": on(size="huge", sise=1), "web": on(host="x")},
    )
    assert set(found) == {"db.name", "db.size", "db.sise", "web.host", "web.name"}
    assert "Did you mean 'size'" in found["db.sise"]
    assert "The bundle sets this" in found["web.host"]


async def test_a_check_finds_the_same(bench: Workbench) -> None:
    await catalog(bench)
    wanted = Submission({"solution": "Orders"}, bundle="shop", components={"db": on(size="huge")})
    errors = await bench.engine.check(ALICE, wanted)
    assert {one.field for one in errors} == {"db.name", "db.size", "web.name"}


async def test_command_line_text_is_read_by_the_components_fields(bench: Workbench) -> None:
    await catalog(bench)
    count = {"name": "count", "type": "integer"}
    await add_item(bench.connection, fields=[NAME, count])
    view = await order(
        bench, components={"db": on(count="3")}, texts=frozenset({"db.count", "solution"})
    )
    assert view.parameters["components"]["db"]["count"] == 3


async def test_what_is_made_of_outputs_is_not_asked_and_not_judged_yet(bench: Workbench) -> None:
    await catalog(bench)
    view = await order(bench)
    assert "host" not in view.parameters["components"]["web"]


async def test_a_template_that_gives_nothing_means_not_given(bench: Workbench) -> None:
    await catalog(bench)
    own = [*OWN, {"name": "wanted", "type": "string"}]
    fixed = {**DB["parameters"], "size": "{{ wanted }}"}
    bundle = {"required_items": [{**DB, "parameters": fixed}]}
    await add_bundle(bench.connection, "shop", bundle, fields=own)
    view = await order(bench)
    assert view.parameters["components"]["db"]["size"] == "small"


# What is on


@pytest.mark.parametrize(
    ("optional", "chosen", "is_on"),
    [
        ({}, {}, False),
        ({"default_enabled": True}, {}, True),
        ({}, {"cache": {"enabled": True}}, True),
        ({"default_enabled": True}, {"cache": {"enabled": False}}, False),
        ({"default_enabled": True}, {"cache": {"parameters": {"size": "large"}}}, True),
    ],
)
async def test_optional_components_are_on_by_default_or_by_choice(
    bench: Workbench, optional: dict[str, Any], chosen: dict[str, Any], is_on: bool
) -> None:
    bundle = {"required_items": [DB], "optional_items": [component("cache", "cache", **optional)]}
    await catalog(bench, bundle)
    view = await order(bench, components=chosen)
    assert any(one.step_id == "cache/manual" for one in view.steps) is is_on


async def test_a_condition_decides_and_nobody_overrules_it(bench: Workbench) -> None:
    await catalog(bench)
    with_cache = {"solution": "orders", "with_cache": True}
    equal = {"cache": {"enabled": True}}
    assert len((await order(bench, parameters=with_cache, components=equal)).steps) == 5
    assert set(await errors_of(bench, components=equal)) == {"cache"}


@pytest.mark.parametrize(
    ("components", "field", "message"),
    [
        ({"db": {"enabled": False}}, "db", "always part of the bundle"),
        ({"database": on()}, "database", "no component"),
        ({"db": []}, "db", "must hold"),
        ({"db": {"enabled": "yes"}}, "db.enabled", "true or false"),
        ({"db": {"parameters": [1]}}, "db.parameters", "values by their fields' names"),
        ({"db": {"params": {}}}, "db.params", "no 'params'"),
    ],
)
async def test_what_cannot_be_said_of_a_component(
    bench: Workbench, components: Any, field: str, message: str
) -> None:
    await catalog(bench)
    found = await errors_of(bench, components=components)
    assert message in found[field]


async def test_what_another_component_requires_cannot_be_left_out(bench: Workbench) -> None:
    needy = {
        **WEB,
        "dependencies": [{"on": "cache", "name": "cache"}],
        "parameters": {"name": "x", "host": "y"},
    }
    optional = component("cache", "cache", default_enabled=True)
    await catalog(bench, {"required_items": [DB, needy], "optional_items": [optional]})
    found = await errors_of(bench, components={"cache": {"enabled": False}})
    assert "web cannot be without cache" in found["cache"]


async def test_an_edge_to_what_is_off_is_dropped(bench: Workbench) -> None:
    loose = {
        **WEB,
        "depends_on": ["cache"],
        "parameters": {"name": "x", "host": "y"},
        "dependencies": [{"on": "cache", "name": "cache", "required": False}],
    }
    await catalog(
        bench, {"required_items": [DB, loose], "optional_items": [component("cache", "cache")]}
    )
    view = await order(bench)
    assert next(one for one in view.steps if one.step_id == "web/deploy").depends_on == ()
    assert await bench.one("SELECT count(*) FROM service_instance_dependencies") == 0


# What cannot be had


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"is_active": False}, "app was removed from the catalog"),
        ({"lifecycle": "retired"}, "app is retired"),
        ({"version": "1.9.0"}, r"app is at version 1\.9\.0, and >=2\.0\.0 is needed"),
    ],
)
async def test_a_component_that_cannot_be_had_is_named_with_the_reason(
    bench: Workbench, change: dict[str, Any], reason: str
) -> None:
    await catalog(bench)
    await add_item(bench.connection, "app", **{"version": "2.1.0", **change})
    with pytest.raises(Conflict, match=f"its component web is not available: {reason}") as refused:
        await order(bench)
    assert refused.value.code == "component_unavailable"
    assert await bench.one("SELECT count(*) FROM service_requests") == 0
    with pytest.raises(Conflict, match=reason):
        await bench.engine.bundle_components(ALICE, "shop")


async def test_one_that_never_was_is_refused_too(bench: Workbench) -> None:
    await catalog(bench, {"required_items": [DB, component("queue", "queue")]})
    with pytest.raises(Conflict, match="the catalog has no item 'queue'"):
        await order(bench)


async def test_an_optional_one_that_is_gone_does_no_harm_while_it_is_off(bench: Workbench) -> None:
    await catalog(bench)
    await add_item(bench.connection, "cache", is_active=False)
    assert (await order(bench)).status == "in_progress"
    with pytest.raises(Conflict, match="cache was removed"):
        await order(bench, parameters={"solution": "x", "with_cache": True})
    names = [one.name for one in await bench.engine.bundle_components(ALICE, "shop")]
    assert names == ["db", "web"]


async def test_a_deprecated_component_is_still_had(bench: Workbench) -> None:
    await catalog(bench)
    await add_item(bench.connection, "cache", lifecycle="deprecated")
    view = await order(bench, parameters={"solution": "x", "with_cache": True})
    assert view.status == "in_progress"


async def test_a_component_that_is_not_open_to_one_is_refused(bench: Workbench) -> None:
    await catalog(bench)
    await add_item(bench.connection, fields=[NAME, SIZE], access={"teams": ["payments"]})
    assert (await order(bench)).status == "in_progress"
    with pytest.raises(NotFound, match="its component db is not open to you"):
        await order(bench, MALLORY)
    denied = await bench.one("SELECT target FROM audit_log WHERE outcome = 'denied'")
    assert denied == "database"


async def test_a_bundle_that_is_not_open_to_one_is_unknown(bench: Workbench) -> None:
    await catalog(bench, access={"teams": ["payments"]})
    with pytest.raises(NotFound, match="not found, or not yours"):
        await order(bench, MALLORY)
    with pytest.raises(NotFound, match="not found, or not yours"):
        await bench.engine.bundle_components(MALLORY, "shop")
    assert (await order(bench, ADMIN, team="payments")).status == "in_progress"


async def test_a_removed_bundle_and_an_old_form_are_refused(bench: Workbench) -> None:
    old = await catalog(bench)
    await catalog(bench, version="1.1.0")
    with pytest.raises(StaleForm, match=r"1\.1\.0"):
        await order(bench, content_hash=old)
    await catalog(bench, is_active=False)
    with pytest.raises(NotFound, match="no longer in the catalog"):
        await order(bench)


async def test_an_item_and_a_bundle_at_once_are_refused(bench: Workbench) -> None:
    await catalog(bench)
    with pytest.raises(InvalidInput, match="at once"):
        await order(bench, item="database")


# Limits, keys, connections with what exists


async def test_limits_of_the_items_count_every_component(bench: Workbench) -> None:
    await catalog(bench, {"required_items": [DB, {**DB, "name": "spare"}]})
    access = {"limits": [{"teams": ["payments"], "max_active": 3}]}
    await add_item(bench.connection, fields=[NAME, SIZE], access=access)
    outcomes = await asyncio.gather(*(order(bench) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(one, RequestView) for one in outcomes) == 1
    refused = [one for one in outcomes if not isinstance(one, RequestView)]
    assert all(isinstance(one, Conflict) and one.code == "limit_reached" for one in refused)
    assert "has 2 of database already: it may have 3" in str(refused[0])


async def test_limits_narrow_the_values_of_a_component(bench: Workbench) -> None:
    await catalog(bench)
    access = {"limits": [{"teams": ["payments"], "fields": {"size": ["small"]}}]}
    await add_item(bench.connection, fields=[NAME, SIZE], access=access)
    assert set(await errors_of(bench, components={"db": on(size="large")})) == {"db.size"}


async def test_a_key_covers_what_components_are_given(bench: Workbench) -> None:
    await catalog(bench)
    first = await order(bench, components={"db": on(size="large")}, idempotency_key="k")
    again = await order(bench, components={"db": on(size="large")}, idempotency_key="k")
    assert again.request_id == first.request_id
    for other in ({"db": on(size="small")}, {"db": {"enabled": True}}, {}):
        with pytest.raises(Conflict, match=first.request_id):
            await order(bench, components=other, idempotency_key="k")
    assert await bench.one("SELECT count(*) FROM service_instances") == 3


async def test_a_dry_run_shows_all_steps_and_keeps_nothing(bench: Workbench) -> None:
    await catalog(bench)
    view = await order(bench, dry_run=True)
    assert len(view.steps) == 4
    for table in ("service_requests", "service_instances", "bundle_instance_members"):
        assert await bench.one(f"SELECT count(*) FROM {table}") == 0


async def test_what_no_member_provides_is_chosen_among_what_exists(bench: Workbench) -> None:
    await catalog(bench)
    asked = [
        {"catalog_item": "database", "name": "data"},
        {"catalog_item": "network", "name": "net"},
    ]
    app = [{"name": "host", "type": "string", "required": True}, NAME]
    await add_item(bench.connection, "app", version="2.1.0", fields=app, dependencies=asked)
    await add_item(bench.connection, "network")
    made = await bench.engine.submit(ALICE, Submission({}, item="network", instance_name="lan"))
    await bench.engine.resolve(ALICE, made.request_id)
    forms = {one.name: one for one in await bench.engine.bundle_components(ALICE, "shop")}
    assert forms["web"].provided == {"data": "db"}
    assert set(await errors_of(bench)) == {"web.net"}
    await order(bench, dependencies={"web.net": made.instance_id or ""}, instance_name="orders")
    edges = await rows_of(
        bench.connection,
        "SELECT a.instance_name, b.instance_name FROM service_instance_dependencies d"
        " JOIN service_instances a ON a.id = d.dependent_instance_id"
        " JOIN service_instances b ON b.id = d.provider_instance_id ORDER BY 2",
    )
    assert edges == [("orders-web", "lan"), ("orders-web", "orders-db")]


# The forms


async def test_forms_ask_what_the_bundle_does_not_fix(bench: Workbench) -> None:
    await catalog(bench)
    db, web, cache = await bench.engine.bundle_components(ALICE, "shop")
    assert [one.name for one in db.fields] == ["size"]
    assert db.fixed == {"name": "{{ solution }}-db"}
    assert (db.required, db.enabled, db.role, db.version) == (True, True, "storage", "1.0.0")
    assert web.details.entry.name == "app"
    assert (cache.required, cache.enabled) == (False, False)
    assert cache.enabled_when is not None
    assert cache.enabled_when.field == "with_cache"


async def test_an_instance_field_is_judged_again_when_it_is_submitted(bench: Workbench) -> None:
    await add_item(bench.connection, fulfillment={"manual": MANUAL})
    made = await bench.engine.submit(ALICE, Submission({}, item="database"))
    await bench.engine.resolve(ALICE, made.request_id)
    field = {"name": "source", "type": "instance", "catalog_item": "database", "version": ">=2.0.0"}
    await add_item(bench.connection, "copy", fields=[field])
    wanted = Submission({"source": made.instance_id}, item="copy")
    with pytest.raises(InvalidInput, match=r"has version 1\.0\.0; >=2\.0\.0 is needed"):
        await bench.engine.submit(ALICE, wanted)
    await add_item(bench.connection, "copy", fields=[{**field, "version": ">=1.0.0"}])
    assert (await bench.engine.submit(ALICE, wanted)).status == "in_progress"
    for actor, value in ((MALLORY, made.instance_id), (ALICE, "si-nothing")):
        with pytest.raises(InvalidInput, match="or it is not yours"):
            await bench.engine.submit(actor, Submission({"source": value}, item="copy"))


async def test_options_of_a_component_are_asked_of_their_source(
    bench: Workbench, http_server: HttpServer
) -> None:
    await catalog(bench)
    source = {"url": f"{http_server.url}/sizes", "cache": "1h"}
    fetched = {"name": "size", "type": "selection", "options_from": source}
    await add_item(bench.connection, fields=[NAME, fetched])
    http_server.answer("GET", "/sizes", json=["tiny", "giant"])
    view = await order(bench, components={"db": on(size="tiny")})
    assert view.parameters["components"]["db"]["size"] == "tiny"
    found = await errors_of(bench, components={"db": on(size="small")})
    assert "not an option" in found["db.size"]


async def test_options_of_a_component_whose_source_is_down_are_named_by_their_path(
    bench: Workbench, http_server: HttpServer
) -> None:
    await catalog(bench)
    source = {"url": f"{http_server.url}/sizes"}
    fetched = {"name": "size", "type": "selection", "options_from": source}
    await add_item(bench.connection, fields=[NAME, fetched])
    http_server.answer("GET", "/sizes", status=503)
    found = await errors_of(bench, components={"db": on(size="tiny")})
    assert "cannot be fetched" in found["db.size"]


async def test_a_request_shows_components_and_their_values_in_the_order_of_the_documents(
    bench: Workbench,
) -> None:
    fields = [{"name": name, "type": "string"} for name in ("zone", "area", "a_longer_name")]
    await add_item(bench.connection, "cache", fields=fields)
    bundle = {
        "required_items": [component("longer", "cache")],
        "optional_items": [component("db", "cache")],
    }
    await add_bundle(bench.connection, "shop", bundle, fields=[{"name": "area", "type": "string"}])
    given = {name: on(area="a", a_longer_name="b", zone="c") for name in ("db", "longer")}

    view = await order(bench, parameters={"area": "a"}, components=given)

    assert list(view.components) == ["longer", "db"]
    assert [(name, list(own)) for name, own in view.parameters["components"].items()] == [
        ("longer", ["zone", "area", "a_longer_name"]),
        ("db", ["zone", "area", "a_longer_name"]),
    ]
    assert list(view.parameter_labels) == ["area"] + [
        f"{name}.{field['name']}" for name in ("longer", "db") for field in fields
    ]
