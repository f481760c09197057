"""Clone: what an earlier request asked for, to fill a new form with.

Values are as they were given. Secrets are left out, and so is what nobody may fill in; what today's
document does not ask for any more is named. What is wrong with the rest the form will say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.catalog import search
from engine.catalog.documents import load_bundle, load_presentation, load_targets
from engine.catalog.fields import BaseField
from engine.errors import Conflict, NotFound
from engine.requests.parameters import references_in
from engine.requests.views import find
from engine.results import Actor, CatalogDetails, Clone
from engine.store import requests
from engine.store.pool import Connection
from engine.store.requests import RequestRow

COMPONENTS: Final = "components"


async def clone(connection: Connection, actor: Actor, request_id: str) -> Clone:
    """Return what a request asked for; NotFound where its document is gone, or not the person's."""
    row = await find(connection, actor, request_id)
    if row.request_type == "decommission":
        raise Conflict(
            f"Request {row.request_id} cannot be cloned",
            "a decommission asks for nothing but its instance",
            "Decommission the service that is meant: pao service decommission",
            request_id=row.request_id,
            code="not_cloneable",
        )
    document = await _document(connection, actor, row)
    own = {name: value for name, value in row.parameters.items() if name != COMPONENTS}
    parameters, dropped = _fitting(own, _fields(document), _required_of(document))
    components: dict[str, Mapping[str, Any]] = {}
    if document.bundle is not None:
        components, gone = await _components(connection, actor, row, document.bundle)
        dropped += gone
    is_create = row.request_type == "create"
    return Clone(
        request_id=row.request_id,
        document=document,
        parameters=parameters,
        team=row.requester_team,
        dependencies=await requests.chosen_dependencies(connection, row.id) if is_create else {},
        components=components,
        instance=None if is_create else row.instance_id,
        dropped=tuple(dropped),
    )


async def _document(connection: Connection, actor: Actor, row: RequestRow) -> CatalogDetails:
    planned = row.plan.get("document") or {}
    name = row.catalog_item or row.catalog_bundle or row.update_item or row.upgrade_item or ""
    return await search.details(connection, actor, name, planned.get("kind"))


def _fields(document: CatalogDetails) -> Iterable[BaseField]:
    return load_presentation(document.presentation).all_fields


def _required_of(document: CatalogDetails) -> frozenset[str]:
    """Return the parameters that an operation asks for where an instance lacks them."""
    if document.targets is None:
        return frozenset()
    targets = load_targets(document.targets).catalog_items
    return frozenset(name for target in targets for name in target.required_parameters)


def _fitting(
    given: Mapping[str, Any], fields: Iterable[BaseField], also: frozenset[str] = frozenset()
) -> tuple[dict[str, Any], list[str]]:
    """Return the values that a form can be filled with, and the names that it does not ask for."""
    asked = {field.name: field for field in fields}
    kept: dict[str, Any] = {}
    dropped: list[str] = []
    for name, value in given.items():
        field = asked.get(name)
        if field is None and name not in also:
            dropped.append(name)
        elif not any(references_in(value)) and not (field and (field.readonly or field.hidden)):
            kept[name] = value
    return kept, dropped


async def _components(
    connection: Connection, actor: Actor, row: RequestRow, written: Mapping[str, Any]
) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Return what was asked of a bundle's components, and what today's bundle does not ask for."""
    today = {component.key: component for component in load_bundle(written).components}
    given: Mapping[str, Any] = row.parameters.get(COMPONENTS) or {}
    components: dict[str, Mapping[str, Any]] = {}
    dropped: list[str] = []
    for name, planned in (row.plan.get(COMPONENTS) or {}).items():
        component = today.get(name)
        if component is None:
            dropped.append(name)
            continue
        if not planned.get("enabled", True):
            components[name] = {"enabled": False, "parameters": {}}
            continue
        try:
            item = await search.details(connection, actor, component.catalog_item, "CatalogItem")
        except NotFound:
            dropped.append(name)
            continue
        fields = [field for field in _fields(item) if field.name not in component.parameters]
        asked = {k: v for k, v in (given.get(name) or {}).items() if k not in component.parameters}
        parameters, gone = _fitting(asked, fields)
        components[name] = {"enabled": True, "parameters": parameters}
        dropped += [f"{name}.{field}" for field in gone]
    return components, dropped
