"""Bundles for tests of execution: items with scripted steps, put together and requested."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from engine import Actor, RequestView, Submission
from engine.requests import submit, views
from engine.requests.submit import Intake
from engine.secrets import Cipher
from engine.store.pool import Connection, transaction
from tests.support.engines import ALICE, KEY, add_item, automation
from tests.support.workbench import Workbench, step


async def add_bundle(
    connection: Connection,
    name: str,
    required: Sequence[Mapping[str, Any]],
    *,
    optional: Sequence[Mapping[str, Any]] = (),
    fields: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Put a bundle into service as a sync would."""
    values = {
        "name": name,
        "version": "1.0.0",
        "owner": "platform",
        "bundle_definition": Jsonb({"required_items": required, "optional_items": optional}),
        "presentation": Jsonb({"bundle_fields": fields}),
        "source_file_hash": json.dumps([required, optional, fields], default=str)[:60],
    }
    names, marks = ", ".join(values), ", ".join(f"%({key})s" for key in values)
    statement = f"INSERT INTO catalog_bundles ({names}) VALUES ({marks})"
    await connection.execute(statement.encode(), values)


async def add_scripted(
    bench: Workbench,
    item: str,
    *steps: str | Mapping[str, Any],
    fields: Sequence[Mapping[str, Any]] = (),
    **section: Any,
) -> None:
    """Put an item into service whose steps are scripted by name."""
    planned = [step(one) if isinstance(one, str) else one for one in steps]
    await add_item(
        bench.connection, item, fields=fields, fulfillment=automation(planned, **section)
    )


async def request_bundle(
    bench: Workbench,
    bundle: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    actor: Actor = ALICE,
    **more: Any,
) -> RequestView:
    """Request a bundle."""
    wanted = Submission(parameters or {}, bundle=bundle, **more)
    intake = Intake(bench.config, Cipher([KEY]), frozenset({"Scripted", "TerraformFile"}))
    async with transaction(bench.pool) as connection:
        request_id = await submit.submit(connection, intake, actor, wanted)
        return await views.view(connection, request_id)


async def members(bench: Workbench) -> dict[str, dict[str, Any]]:
    """The members of the bundles there are, by component: state, outputs, parameters, resources."""
    cursor = await bench.connection.execute(
        "SELECT m.component_name, si.instance_id, si.instance_state, si.service_outputs,"
        " si.deployment_parameters, si.deployed_resources FROM bundle_instance_members m"
        " JOIN service_instances si ON si.id = m.member_instance_id"
    )
    return {
        name: {
            "id": id_,
            "state": state,
            "outputs": outputs,
            "parameters": parameters,
            "resources": resources,
        }
        for name, id_, state, outputs, parameters, resources in await cursor.fetchall()
    }
