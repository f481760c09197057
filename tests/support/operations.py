"""Updates, upgrades and decommissions as the engine plans them, written without their documents' forms."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from engine import RequestView
from engine.requests import views
from engine.requests.begin import begin
from engine.store import submission as store
from engine.store.pool import transaction
from engine.store.submission import NewRequest, PlannedStep
from tests.support.engines import MANUAL
from tests.support.workbench import Workbench

TARGET = {"name": "database", "version_range": ">=1.0.0"}
Steps = Sequence[str | Mapping[str, Any]]


async def operate(
    bench: Workbench,
    instance: str,
    type_: str,
    steps: Steps = (),
    *,
    name: str = "resize",
    parameters: Mapping[str, Any] | None = None,
    plan: Mapping[str, Any] | None = None,
    rollback: Steps = (),
) -> RequestView:
    """Begin an operation on an instance, or its decommission. `steps`: names, or a step's columns."""
    target = await bench.one("SELECT id FROM service_instances WHERE instance_id = %s", instance)
    version = await bench.one("SELECT catalog_version FROM service_instances WHERE id = %s", target)
    planned = [_planned(one, n, "automation") for n, one in enumerate(steps)]
    planned += [_planned(one, n + len(planned), "rollback") for n, one in enumerate(rollback)]
    document = None if type_ == "decommission" else await _operation(bench, type_, name)
    whole = {
        "document": {"name": name, "version": "2.0.0", "owner": "platform"},
        "presentation": {"fields": [{"name": key} for key in parameters or {}]},
        "fulfillment": {
            "manual": MANUAL,
            **({"automation": {"retry_policy": {"max_attempts": 1}}} if steps else {}),
            **({"rollback": {}} if rollback else {}),
        },
        "targets": {"notes": "read the manual", "catalog_items": [TARGET]},
        "from_version": version,
        "destructive": type_ == "decommission",
        **(plan or {}),
    }
    request_id = uuid.uuid4()
    async with transaction(bench.pool) as connection:
        await store.insert_request(
            connection,
            NewRequest(
                id=request_id, suffix=uuid.uuid4().hex[:8], type=type_,
                kind={"update": "UpdateItem", "upgrade": "UpgradeItem"}.get(type_),  # type: ignore[arg-type]
                document_id=document, target=target, version=version,
                parameters=parameters or {}, user_id="U1", team="payments", email=None, key=None,
                hash="", title=name, source="cli", submitted_by="U1", channel=None, commit="c" * 40,
                plan=whole, not_before=None,
            ),
        )  # fmt: skip
        await store.insert_steps(connection, request_id, planned)
        await begin(connection, request_id)
        return await views.view(connection, request_id)


async def _operation(bench: Workbench, type_: str, name: str) -> UUID:
    found = await bench.one(
        f"INSERT INTO {type_}_items (name, version, owner, targets, presentation, fulfillment)"
        " VALUES (%s, '2.0.0', 'platform', %s, '{}', '{}')"
        " ON CONFLICT (name) DO UPDATE SET version = EXCLUDED.version RETURNING id",
        name,
        Jsonb({"catalog_items": [TARGET]}),
    )
    return UUID(str(found))


def _planned(one: str | Mapping[str, Any], position: int, section: str) -> PlannedStep:
    given: dict[str, Any] = {"name": one} if isinstance(one, str) else dict(one)
    name, component = given.pop("name"), given.pop("component", None)
    prefix = f"{component}/" if component else ""
    return PlannedStep(
        step_id=prefix + ("rollback:" if section == "rollback" else "") + name,
        step_name=name,
        step_type=given.pop("type", "Scripted"),
        step_config={"name": name, "template": {}, **given.pop("config", {})},
        position=position,
        depends_on=tuple(given.pop("depends_on", ())),
        component=component,
        section=section,
    )
