"""The document of a request as it stood when the request was made, back from its plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.results import CatalogDetails, CatalogEntry


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
