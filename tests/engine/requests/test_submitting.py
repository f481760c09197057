"""Submit: one transaction, once by its key, and refusals that say what to do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from engine import (
    SECRET_DOTS,
    ConfigurationError,
    Conflict,
    InvalidInput,
    NotFound,
    RequestView,
    StaleForm,
    Submission,
)
from engine.steps.base import Completed
from tests.support.engines import ADMIN, ALICE, BOB, MALLORY, add_item, automation
from tests.support.workbench import Workbench, step

HTTP = {"name": "call", "type": "HttpPost", "template": {"url": "http://127.0.0.1:1/"}}
TYPED = [
    {"name": "size", "type": "selection", "oneof": ["small", "large"], "required": True},
    {"name": "replicas", "type": "integer", "min_value": 1, "max_value": 5, "default": 2},
]


async def submit(bench: Workbench, actor: Any = ALICE, **submission: Any) -> RequestView:
    parameters = submission.pop("parameters", {})
    wanted = Submission(parameters, **{"item": "database", **submission})
    return await bench.engine.submit(actor, wanted)


async def test_a_submission_makes_request_steps_and_instance(bench: Workbench) -> None:
    await add_item(bench.connection, fulfillment=automation([HTTP]), display_name="Database")
    view = await submit(bench, instance_name="orders")
    assert view.status == "in_progress"
    assert view.request_id.startswith("req-")
    assert view.title == "Database: orders"
    assert view.parameters == {"size": "small"}
    assert (view.requester, view.team) == ("U1", "payments")
    assert [(one.step_id, one.status) for one in view.steps] == [("call", "pending")]
    instance = await bench.engine.instance(ALICE, view.instance_id or "")
    assert (instance.instance_state, instance.instance_name) == ("provisioning", "orders")


async def test_the_same_key_gives_the_same_request(bench: Workbench) -> None:
    await add_item(bench.connection)
    first = await submit(bench, idempotency_key="view-1")
    second = await submit(bench, idempotency_key="view-1")
    assert second.request_id == first.request_id
    assert await bench.one("SELECT count(*) FROM service_requests") == 1


async def test_one_key_from_many_connections_makes_one_request(bench: Workbench) -> None:
    await add_item(bench.connection)
    views = await asyncio.gather(*(submit(bench, idempotency_key="click") for _ in range(12)))
    assert len({view.request_id for view in views}) == 1
    assert await bench.one("SELECT count(*) FROM service_instances") == 1


@pytest.mark.parametrize(
    "other",
    [
        {"parameters": {"size": "big"}},
        {"instance_name": "another"},
        {"actor": BOB},
    ],
)
async def test_a_key_with_other_contents_names_the_first_request(
    bench: Workbench, other: dict[str, Any]
) -> None:
    await add_item(bench.connection)
    first = await submit(bench, idempotency_key="k")
    with pytest.raises(Conflict, match=first.request_id) as refused:
        await submit(bench, **{"idempotency_key": "k", **other})
    assert refused.value.request_id == first.request_id


async def test_a_key_still_finds_its_request_after_the_item_was_removed(bench: Workbench) -> None:
    await add_item(bench.connection)
    first = await submit(bench, idempotency_key="k")
    await add_item(bench.connection, is_active=False)
    assert (await submit(bench, idempotency_key="k")).request_id == first.request_id


async def test_an_unknown_item_is_refused_with_a_suggestion(bench: Workbench) -> None:
    await add_item(bench.connection)
    with pytest.raises(NotFound, match="Did you mean 'database'"):
        await submit(bench, item="databse")


async def test_an_item_that_a_sync_removed_is_refused(bench: Workbench) -> None:
    await add_item(bench.connection, is_active=False)
    with pytest.raises(NotFound, match="no longer in the catalog"):
        await submit(bench)


async def test_a_deprecated_item_names_its_successor(bench: Workbench) -> None:
    await add_item(bench.connection, lifecycle="deprecated", replaced_by="postgres")
    with pytest.raises(Conflict, match="Request postgres in its place"):
        await submit(bench)


async def test_a_form_of_an_older_document_is_refused(bench: Workbench) -> None:
    old = await add_item(bench.connection)
    await add_item(bench.connection, version="1.1.0")
    with pytest.raises(StaleForm, match=r"1\.1\.0") as stale:
        await submit(bench, content_hash=old)
    assert stale.value.version == "1.1.0"


async def test_every_wrong_value_is_reported_at_once(bench: Workbench) -> None:
    await add_item(bench.connection, fields=TYPED)
    with pytest.raises(InvalidInput) as refused:
        await submit(bench, parameters={"size": "huge", "replicas": 9, "colour": "red"})
    assert {error.field for error in refused.value.errors} == {"size", "replicas", "colour"}


async def test_an_unknown_parameter_is_refused_with_a_suggestion(bench: Workbench) -> None:
    await add_item(bench.connection, fields=TYPED)
    with pytest.raises(InvalidInput) as refused:
        await submit(bench, parameters={"size": "small", "replica": 1})
    assert "Did you mean 'replicas'" in refused.value.errors[0].message


async def test_a_message_spells_out_every_finding(bench: Workbench) -> None:
    await add_item(bench.connection, fields=TYPED)
    with pytest.raises(InvalidInput) as refused:
        await submit(bench, parameters={"size": "huge", "replicas": 9})
    assert "size: 'huge' is not an option" in str(refused.value)
    assert "replicas: " in str(refused.value)


async def test_parameters_stand_in_the_order_of_the_form_with_its_labels(bench: Workbench) -> None:
    await add_item(
        bench.connection,
        fields=[
            {"name": "database_name", "type": "string", "label": "Called"},
            {"name": "size", "type": "string"},
            {"name": "zone", "type": "string"},
        ],
    )
    view = await submit(bench, parameters={"zone": "a", "size": "small", "database_name": "x"})
    assert list(view.parameters) == ["database_name", "size", "zone"]
    assert view.parameter_labels == {"database_name": "Called", "size": "Size", "zone": "Zone"}


async def test_command_line_text_is_read_by_the_type_of_its_field(bench: Workbench) -> None:
    await add_item(bench.connection, fields=TYPED)
    view = await submit(
        bench,
        parameters={"size": "large", "replicas": "4"},
        texts=frozenset({"size", "replicas"}),
    )
    assert view.parameters == {"size": "large", "replicas": 4}


async def test_nothing_is_kept_of_a_refused_submission(bench: Workbench) -> None:
    await add_item(bench.connection, fields=TYPED)
    with pytest.raises(InvalidInput):
        await submit(bench)
    for table in ("service_requests", "service_instances", "request_steps", "events"):
        assert await bench.one(f"SELECT count(*) FROM {table}") == 0


async def test_a_dry_run_gives_the_plan_and_keeps_nothing(bench: Workbench) -> None:
    await add_item(bench.connection, fulfillment=automation([HTTP]))
    view = await submit(bench, dry_run=True)
    assert [one.step_id for one in view.steps] == ["call"]
    for table in ("service_requests", "service_instances", "events", "audit_log"):
        assert await bench.one(f"SELECT count(*) FROM {table}") == 0


async def test_secrets_are_stored_encrypted(bench: Workbench) -> None:
    await add_item(bench.connection, fields=[{"name": "token", "type": "secret"}])
    view = await submit(bench, parameters={"token": "very-secret-word"})
    assert view.parameters == {"token": SECRET_DOTS}
    dump = await bench.one(
        "SELECT string_agg(r::text, '') || (SELECT string_agg(i::text, '') FROM service_instances i)"
        " || (SELECT string_agg(v::text, '') FROM encrypted_values v) FROM service_requests r"
    )
    assert "very-secret-word" not in dump


async def test_a_secret_without_a_key_is_refused_before_anything_is_written(
    bench: Workbench,
) -> None:
    await add_item(bench.connection, fields=[{"name": "token", "type": "secret"}])
    bench.engine.config = replace(bench.config, encryption_keys=())
    with pytest.raises(ConfigurationError):
        await submit(bench, parameters={"token": "very-secret-word"})
    assert await bench.one("SELECT count(*) FROM service_requests") == 0


async def test_who_is_not_named_by_access_cannot_tell_that_the_item_exists(
    bench: Workbench,
) -> None:
    await add_item(bench.connection, access={"teams": ["payments"]})
    await submit(bench)
    await submit(bench, actor=ADMIN)
    with pytest.raises(NotFound, match="not found, or not yours"):
        await submit(bench, actor=MALLORY)
    assert await bench.one(
        "SELECT actor || ' ' || action FROM audit_log WHERE outcome = 'denied'"
    ) == ("U3 request.submit")


async def test_somebody_deactivated_can_submit_nothing(bench: Workbench) -> None:
    await add_item(bench.connection)
    with pytest.raises(NotFound):
        await submit(bench, actor=replace(ALICE, is_active=False))


async def test_a_team_has_at_most_as_many_as_its_limit_even_at_once(bench: Workbench) -> None:
    limits = [{"teams": ["payments"], "max_active": 2}]
    await add_item(bench.connection, access={"limits": limits})
    outcomes = await asyncio.gather(*(submit(bench) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(outcome, RequestView) for outcome in outcomes) == 2
    assert all(isinstance(outcome, RequestView | Conflict) for outcome in outcomes), outcomes


async def test_limits_narrow_the_values_of_a_field(bench: Workbench) -> None:
    limits = [{"teams": ["payments"], "fields": {"size": ["small"]}}]
    await add_item(bench.connection, fields=TYPED, access={"limits": limits})
    await submit(bench, parameters={"size": "small"})
    with pytest.raises(InvalidInput):
        await submit(bench, parameters={"size": "large"})


async def test_the_team_is_one_of_the_persons(bench: Workbench) -> None:
    await add_item(bench.connection)
    with pytest.raises(InvalidInput, match="not in the team platform"):
        await submit(bench, team="platform")
    two = replace(ALICE, teams=("payments", "search"))
    with pytest.raises(InvalidInput, match="Say for which team"):
        await submit(bench, actor=two)
    assert (await submit(bench, actor=two, team="search")).team == "search"


async def test_who_has_no_team_owns_it_personally(bench: Workbench) -> None:
    await add_item(bench.connection)
    assert (await submit(bench, actor=replace(ALICE, teams=()))).team == "personal:U1"


async def test_the_default_name_is_the_slug_and_a_number(bench: Workbench) -> None:
    await add_item(bench.connection, "Container App")
    first = await submit(bench, item="container-app")
    second = await submit(bench, item="Container App")
    assert [first.instance_name, second.instance_name] == ["container-app-1", "container-app-2"]


@pytest.mark.parametrize(("given", "kept"), [("  a\tb\n ", "a b"), ("日本 🎉", "日本 🎉")])
async def test_names_are_free_text(bench: Workbench, given: str, kept: str) -> None:
    await add_item(bench.connection)
    assert (await submit(bench, instance_name=given)).instance_name == kept


async def test_a_name_that_is_too_long_is_refused(bench: Workbench) -> None:
    await add_item(bench.connection)
    with pytest.raises(InvalidInput, match="256 characters"):
        await submit(bench, instance_name="x" * 256)


async def test_a_step_that_nobody_here_can_do_is_refused(bench: Workbench) -> None:
    await add_item(bench.connection, fulfillment=automation([step("a")]))
    with pytest.raises(Conflict, match="Scripted is not available in this version"):
        await submit(bench)
    assert await bench.one("SELECT count(*) FROM service_requests") == 0


async def test_a_later_sync_changes_no_request_in_flight(bench: Workbench) -> None:
    request = await bench.request([step("a", template={"from": "old"})])
    await add_item(
        bench.connection,
        version="2.0.0",
        fulfillment=automation([step("a", template={"from": "new"})]),
    )
    done = await bench.run(request)
    assert bench.steps.calls[0][2].template == {"from": "old"}
    assert done.catalog_version == "1.0.0"


async def test_a_new_instance_is_connected_with_the_instance_chosen(bench: Workbench) -> None:
    bench.script["a"] = [Completed({"port": 5432})]
    provider = await bench.run(await bench.request([step("a")], item="postgres"))
    config = {"port": "{{ dependencies['database'].outputs.port }}", "size": "{{ size }}"}
    dependencies = [
        {"catalog_item": "postgres", "version": ">=1.0.0", "name": "database", "config": config}
    ]
    await add_item(bench.connection, "app", dependencies=dependencies)
    view = await submit(bench, item="app", dependencies={"database": provider.instance_id})
    found = await bench.engine.instance_dependencies(ALICE, view.instance_id or "", "providers")
    assert [(one.instance_id, one.dependency_name) for one in found] == [
        (provider.instance_id, "database")
    ]
    kept = await bench.one("SELECT dependency_config FROM service_instance_dependencies")
    assert kept == {"port": 5432, "size": "small"}


@pytest.mark.parametrize(
    ("version", "chosen", "message"),
    [
        (">=1.0.0", {}, "is needed here"),
        (">=2.0.0", {"database": "PROVIDER"}, "has version 1.0.0"),
        (">=1.0.0", {"database": "si-unknown"}, "not yours"),
        (">=1.0.0", {"databse": "PROVIDER"}, "Did you mean 'database'"),
    ],
)
async def test_a_dependency_that_will_not_do_is_refused(
    bench: Workbench, version: str, chosen: dict[str, str], message: str
) -> None:
    provider = await bench.run(await bench.request([step("a")], item="postgres"))
    dependencies = [{"catalog_item": "postgres", "version": version, "name": "database"}]
    await add_item(bench.connection, "app", dependencies=dependencies)
    named = {
        name: (provider.instance_id or "") if value == "PROVIDER" else value
        for name, value in chosen.items()
    }
    with pytest.raises(InvalidInput) as refused:
        await submit(bench, item="app", dependencies=named)
    assert any(message in error.message for error in refused.value.errors)


async def test_one_instance_is_connected_once_in_one_way(bench: Workbench) -> None:
    provider = await bench.run(await bench.request([step("a")], item="postgres"))
    dependencies = [
        {"catalog_item": "postgres", "name": "primary"},
        {"catalog_item": "postgres", "name": "replica"},
        {"catalog_item": "postgres", "name": "route", "type": "network"},
    ]
    await add_item(bench.connection, "app", dependencies=dependencies)
    named = dict.fromkeys(("primary", "replica", "route"), provider.instance_id or "")
    with pytest.raises(InvalidInput, match="is connected as primary already") as refused:
        await submit(bench, item="app", dependencies=named)
    assert [one.field for one in refused.value.errors] == ["replica"]


async def test_requests_are_found_by_what_is_unique_of_their_id(bench: Workbench) -> None:
    await add_item(bench.connection)
    view = await submit(bench)
    tail = view.request_id.rsplit("-", 1)[1]
    for word in (view.request_id, view.request_id[:-2], tail, tail[:5], f" {view.request_id} "):
        assert (await bench.engine.request(ALICE, word)).request_id == view.request_id


@pytest.mark.parametrize("word", ["req-nothing", "%", "_", "' OR 1=1", ""])
async def test_an_unknown_id_and_a_foreign_one_answer_alike(bench: Workbench, word: str) -> None:
    await add_item(bench.connection)
    view = await submit(bench)
    with pytest.raises(NotFound) as foreign:
        await bench.engine.request(MALLORY, view.request_id)
    with pytest.raises(NotFound) as unknown:
        await bench.engine.request(ALICE, word)
    assert str(foreign.value).split(": ", 1)[1] == str(unknown.value).split(": ", 1)[1]


async def test_lists_page_by_keyset_and_show_only_what_one_may_see(bench: Workbench) -> None:
    await add_item(bench.connection)
    mine = [(await submit(bench)).request_id for _ in range(5)]
    other = (await submit(bench, actor=BOB)).request_id
    await submit(bench, actor=MALLORY)
    seen: list[str] = []
    cursor = None
    while True:
        page = await bench.engine.requests(ALICE, limit=2, cursor=cursor)
        seen += [one.request_id for one in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == mine[::-1]
    team = await bench.engine.requests(ALICE, scope="team")
    assert [one.request_id for one in team.items] == [other, *mine[::-1]]
    everything = await bench.engine.requests(ADMIN, scope="all")
    assert len(everything.items) == 7
