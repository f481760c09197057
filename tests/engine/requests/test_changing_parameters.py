"""Changed parameters of a failed request: judged like a new submission, wherever their options come from."""

from __future__ import annotations

from typing import Any

import pytest

from engine import Actor, Conflict, InvalidInput, RequestView, Submission
from tests.support.engines import ALICE, add_bundle, add_item, automation
from tests.support.http_server import HttpServer
from tests.support.workbench import Workbench

CAROL = Actor("U5", "Carol", None, ("dba",), audit_name="U5")
SIZE = {"name": "size", "type": "selection", "oneof": ["small", "large"], "default": "small"}
TOKEN = {"name": "token", "type": "secret"}


def sending(server: HttpServer, path: str, **body: str) -> dict[str, Any]:
    policy = {"max_attempts": 1}
    template = {"url": f"{server.url}/{path}", "body": body}
    return {"name": "send", "type": "HttpPost", "template": template, "retry_policy": policy}


async def failed(bench: Workbench, **submission: Any) -> RequestView:
    view = await bench.engine.submit(
        ALICE, Submission(submission.pop("parameters", {}), **submission)
    )
    if view.status == "submitted":
        await bench.engine.approve(CAROL, view.request_id)
    ended = await bench.engine.drive(view.request_id, timeout=60)
    assert ended.status == "failed"
    return ended


async def test_options_of_a_source_are_asked_for_when_a_request_is_resumed(
    bench: Workbench, http_server: HttpServer
) -> None:
    http_server.answer("GET", "/zones", json=["north", "south"])
    http_server.answer("POST", "/made", status=422)
    zone = {
        "name": "zone",
        "type": "selection",
        "options_from": {"url": http_server.url + "/zones", "cache": "1s"},
        "default": "north",
    }
    steps = automation([sending(http_server, "made", zone="{{ zone }}")])
    await add_item(bench.connection, fields=[zone, SIZE], fulfillment=steps)
    view = await failed(bench, item="database")
    with pytest.raises(InvalidInput) as refused:
        await bench.engine.resume(ALICE, view.request_id, {"zone": "east"})
    assert [error.field for error in refused.value.errors] == ["zone"]
    await bench.engine.retry(ALICE, view.request_id, "send", {"zone": "south"})
    await bench.engine.drive(view.request_id, timeout=60)
    assert [one.json()["zone"] for one in http_server.requests("POST", "/made")] == [
        "north",
        "south",
    ]


async def test_a_secret_that_is_not_given_again_is_kept(
    bench: Workbench, http_server: HttpServer
) -> None:
    http_server.answer("POST", "/made", status=422)
    steps = automation([sending(http_server, "made", token="{{ token }}", size="{{ size }}")])
    await add_item(bench.connection, fields=[TOKEN, SIZE], fulfillment=steps)
    view = await failed(bench, item="database", parameters={"token": "first-secret"})
    for changes in ({"size": "large"}, {"token": "second-secret"}):
        await bench.engine.resume(ALICE, view.request_id, changes)
        await bench.engine.drive(view.request_id, timeout=60)
    sent = [one.json() for one in http_server.requests("POST", "/made")]
    assert [(one["token"], one["size"]) for one in sent] == [
        ("first-secret", "small"),
        ("first-secret", "large"),
        ("second-secret", "large"),
    ]


async def test_a_components_parameters_are_changed_by_their_path(
    bench: Workbench, http_server: HttpServer
) -> None:
    http_server.answer("POST", "/db", status=422)
    item = automation([sending(http_server, "db", size="{{ size }}", name="{{ name }}")])
    name = {"name": "name", "type": "string"}
    await add_item(bench.connection, fields=[SIZE, name], fulfillment=item)
    db = {"name": "db", "catalog_item": "database", "parameters": {"name": "fixed"}}
    bundle = {"required_items": [db], "optional_items": []}
    await add_bundle(bench.connection, "shop", bundle, fields=[])
    view = await failed(bench, bundle="shop")
    wrong_ones = ({"db.size": "huge"}, {"db.name": "mine"}, {"web.size": "small"}, {"sze": 1})
    for wrong in (*wrong_ones, {"components": {"db": 5}}):
        with pytest.raises(InvalidInput):
            await bench.engine.resume(ALICE, view.request_id, wrong)
    await bench.engine.resume(ALICE, view.request_id, {"db.size": "large"})
    await bench.engine.drive(view.request_id, timeout=60)
    sent = [one.json() for one in http_server.requests("POST", "/db")]
    assert sent == [{"size": "small", "name": "fixed"}, {"size": "large", "name": "fixed"}]


async def test_each_component_of_a_bundle_asks_by_its_own_rule_and_the_same_rule_once(
    bench: Workbench, http_server: HttpServer
) -> None:
    http_server.answer("POST", "/db", status=422)
    item = automation([sending(http_server, "db", size="{{ size }}")])
    rule = {"approvers": [{"user": "U5"}], "required": "size == 'large'"}
    await add_item(bench.connection, fields=[SIZE], fulfillment=item, approval=rule)
    items = [{"name": name, "catalog_item": "database"} for name in ("one", "two")]
    bundle = {"required_items": items, "optional_items": []}
    await add_bundle(bench.connection, "shop", bundle, fields=[])
    free = await bench.engine.submit(ALICE, Submission({}, bundle="shop"))
    assert free.status == "in_progress"
    large = {name: {"enabled": True, "parameters": {"size": "large"}} for name in ("one", "two")}
    view = await bench.engine.submit(ALICE, Submission({}, bundle="shop", components=large))
    assert view.status == "submitted"
    assert [one.component for one in view.approvals] == ["one"]
    assert (await bench.engine.approve(CAROL, view.request_id)).status == "in_progress"
    ended = await bench.engine.drive(free.request_id, timeout=60)
    assert ended.status == "failed"
    waits = await bench.engine.resume(ALICE, free.request_id, {"two.size": "large"})
    assert waits.status == "failed"
    assert waits.approvals[-1].message == "two.size: small, now large"
    assert (await bench.engine.approve(CAROL, free.request_id)).status == "in_progress"


STAGE = {"name": "stage", "type": "string"}


async def staged(bench: Workbench, server: HttpServer, **fixed: str) -> None:
    """Put a bundle into service that fixes what its item's approval depends on."""
    server.answer("POST", "/db", status=422)
    made = automation([sending(server, "db", stage="{{ stage }}")])
    rule = {"approvers": [{"user": "U5"}], "required": "stage == 'prod' and size == 'large'"}
    await add_item(bench.connection, fields=[STAGE, SIZE], fulfillment=made, approval=rule)
    await add_item(bench.connection, "app", fields=[SIZE], fulfillment=made)
    items = [
        {"name": "db", "catalog_item": "database", "parameters": fixed},
        {"name": "app", "catalog_item": "app"},
    ]
    bundle = {"required_items": items, "optional_items": []}
    await add_bundle(bench.connection, "shop", bundle, fields=[{**STAGE, "name": "where"}])


async def test_what_a_bundle_fixes_is_approved_as_it_becomes_not_as_it_was(
    bench: Workbench, http_server: HttpServer
) -> None:
    await staged(bench, http_server, stage="{{ where }}")
    large = {"db": {"enabled": True, "parameters": {"size": "large"}}}
    free = await failed(bench, bundle="shop", parameters={"where": "test"}, components=large)
    assert not free.approvals
    waits = await bench.engine.resume(ALICE, free.request_id, {"where": "prod"})
    assert (waits.status, [one.status for one in waits.approvals]) == ("failed", ["waiting"])
    small = await failed(bench, bundle="shop", parameters={"where": "prod"})
    waits = await bench.engine.resume(ALICE, small.request_id, {"db.size": "large"})
    assert (waits.status, [one.status for one in waits.approvals]) == ("failed", ["waiting"])


async def test_what_changed_is_told_to_approvers_on_one_line(
    bench: Workbench, http_server: HttpServer
) -> None:
    http_server.answer("POST", "/db", status=422)
    made = automation([sending(http_server, "db", note="{{ note }}")])
    rule = {"approvers": [{"user": "U5"}], "required": "note is defined"}
    note = {"name": "note", "type": "textarea"}
    await add_item(bench.connection, fields=[note], fulfillment=made, approval=rule)
    view = await failed(bench, item="database", parameters={"note": "one"})
    forged = "two\n\n:white_check_mark: approved by everybody"
    waits = await bench.engine.resume(ALICE, view.request_id, {"note": forged})
    told = waits.approvals[-1].message or ""
    assert told == "note: one, now two :white_check_mark: approved by everybody"


async def test_a_condition_on_what_is_not_known_yet_asks(
    bench: Workbench, http_server: HttpServer
) -> None:
    await staged(bench, http_server, stage="{{ components['app'].outputs.stage }}")
    view = await bench.engine.submit(ALICE, Submission({}, bundle="shop"))
    assert (view.status, [one.component for one in view.approvals]) == ("submitted", ["db"])


async def test_values_of_a_document_that_is_gone_cannot_be_changed(
    bench: Workbench, http_server: HttpServer
) -> None:
    http_server.answer("POST", "/made", status=422)
    await add_item(bench.connection, fulfillment=automation([sending(http_server, "made")]))
    view = await failed(bench, item="database")
    await bench.connection.execute(b"UPDATE catalog_items SET is_active = FALSE")
    assert (await bench.engine.resume(ALICE, view.request_id)).status == "in_progress"


async def test_a_real_worker_waits_for_an_approval_between_two_steps(
    bench: Workbench, http_server: HttpServer
) -> None:
    http_server.answer("POST", "/made", json={"ok": True})
    gate = {"name": "agree", "type": "approval", "template": {"approvers": [{"user": "U5"}]}}
    steps = automation(
        [gate, sending(http_server, "made", by="{{ steps.agree.outputs.approved_by }}")]
    )
    await add_item(bench.connection, fulfillment=steps)
    view = await bench.engine.submit(ALICE, Submission({}, item="database"))
    waits = await bench.engine.drive(view.request_id, timeout=2)
    assert waits.timed_out
    with pytest.raises(Conflict):
        await bench.engine.cancel(ALICE, view.request_id)
    await bench.engine.approve(CAROL, view.request_id)
    done = await bench.engine.drive(view.request_id, timeout=60)
    assert done.status == "completed"
    assert http_server.requests("POST", "/made")[0].json() == {"by": "U5"}
