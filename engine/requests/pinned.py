"""The documents of a request as they stood when it was made, back from its plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.catalog.documents import load_presentation
from engine.results import CatalogDetails, CatalogEntry, ComponentForm


def document_of(plan: Mapping[str, Any], *, mark: str) -> CatalogDetails:
    """Return what a form with the request's parameters is drawn from.

    `mark` stands where the document's hash would: what is pinned does not change any more.
    """
    document = plan["document"]
    entry = CatalogEntry(
        kind=document["kind"],
        name=document["name"],
        slug=document["slug"],
        display_name=document["display_name"],
        version=document["version"],
        category=document.get("category"),
        owner=document["owner"],
        tags=tuple(document.get("tags") or ()),
        description=document.get("description"),
        lifecycle="active",
        icon=document.get("icon"),
    )
    return CatalogDetails(
        entry=entry,
        presentation=plan["presentation"],
        fulfillment=plan["fulfillment"],
        bundle=plan.get("bundle"),
        targets=plan.get("targets"),
        dependencies=(),
        access=None,
        approval=plan.get("approval"),
        channel=document.get("channel"),
        bundles=(),
        commit=None,
        content_hash=mark,
        path=document.get("path"),
    )


def components_of(plan: Mapping[str, Any], *, mark: str) -> list[ComponentForm]:
    """Return what a form asks of the components that were ordered; none where it was no bundle."""
    planned: Mapping[str, Mapping[str, Any]] = plan.get("components") or {}
    return [
        _component(name, part, mark) for name, part in planned.items() if part.get("enabled", True)
    ]


def secret_names(plan: Mapping[str, Any]) -> set[str]:
    """Return the secret parameters of a request: those of components as `<component>.<name>`."""
    planned: Mapping[str, Mapping[str, Any]] = plan.get("components") or {}
    parts = {"": plan} | {f"{name}.": part for name, part in planned.items()}
    return {
        f"{prefix}{field.name}"
        for prefix, part in parts.items()
        for field in load_presentation(part.get("presentation") or {}).all_fields
        if field.type == "secret"
    }


def _component(name: str, part: Mapping[str, Any], mark: str) -> ComponentForm:
    details = document_of(part, mark=mark)
    fixed = part.get("parameters") or {}
    fields = load_presentation(part["presentation"]).all_fields
    return ComponentForm(
        name=name,
        display_name=details.entry.display_name,
        required=True,
        enabled=True,
        enabled_when=None,
        role=part.get("role"),
        fields=tuple(one for one in fields if one.name not in fixed),
        fixed=fixed,
        details=details,
        version=details.entry.version,
    )
