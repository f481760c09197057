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
from tests.support.workbench import Workbench, fail, step

HTTP = {"name": "call", "type": "HttpPost", "template": {"url": "http://127.0.0.1:1/"}}
FIELDS = [
    {"name": "size", "type": "selection", "oneof": ["small", "large"], "default": "small"},
    {"name": "password", "type": "secret", "min_length": 4},
    {"name": "replicas", "type": "integer", "max_value": 9},
]
TARGET = {"name": "database", "version_range": ">=1.0.0, <2.0.0"}


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
    return await bench.one("SELECT plan FROM service_requests WHERE request_id = %s", view.request_id)


async def test_an_update_is_a_request_about_its_instance(bench: Workbench) -> None:
    id_ = await instance(bench, replicas=3)
    await add_operation(
        bench.connection, "update", "grow", [TARGET], fields=FIELDS[:1], fulfillment=automation([HTTP])
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
