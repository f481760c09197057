"""Documents and their forms without a catalog, and views as Slack would send them back."""

from __future__ import annotations

from typing import Any

from bot.forms.form import Filled, Form
from bot.forms.meta import Meta
from bot.forms.pages import draw
from bot.playground.inputs import initial_state, state_values
from bot.playground.limits import check_view
from engine import (
    Actor,
    CatalogDetails,
    CatalogEntry,
    ComponentForm,
    Condition,
    load_presentation,
)

Json = Any

ADA = Actor("U0ADA", "ada", teams=("platform",), source="slack")
GRACE = Actor("U0GRACE", "grace", teams=("data", "platform"), source="slack")


def details(presentation: dict[str, Json], **changes: Json) -> CatalogDetails:
    name = changes.pop("name", "postgres-database")
    entry = CatalogEntry(
        kind=changes.pop("kind", "CatalogItem"),
        name=name,
        slug=name,
        display_name=changes.pop("display_name", "PostgreSQL database"),
        version="1.2.0",
        category="databases",
        owner="platform",
        tags=(),
        description="A database",
        lifecycle=changes.pop("lifecycle", "active"),
        replaced_by=changes.pop("replaced_by", None),
    )
    return CatalogDetails(
        entry=entry,
        presentation=presentation,
        fulfillment=None,
        bundle=None,
        targets=None,
        dependencies=changes.pop("dependencies", ()),
        access=None,
        approval=None,
        channel=None,
        bundles=(),
        commit="abc",
        content_hash="hash-1",
    )


def component(name: str, *fields: dict[str, Json], **rules: Json) -> ComponentForm:
    """One component of a bundle; `rules`: required, enabled, enabled_when, fixed, display_name."""
    title = rules.pop("display_name", name.capitalize())
    document = details(
        {"fields": list(fields)},
        name=f"{name}-item",
        display_name=title,
        dependencies=rules.pop("dependencies", ()),
    )
    fixed = rules.pop("fixed", {})
    when = rules.pop("enabled_when", None)
    every = load_presentation(document.presentation).all_fields
    return ComponentForm(
        name=name,
        display_name=title,
        required=rules.pop("required", True),
        enabled=rules.pop("enabled", False),
        enabled_when=Condition.model_validate(when) if when else None,
        role=None,
        fields=tuple(one for one in every if one.name not in fixed),
        fixed=fixed,
        details=document,
        version="1.2.0",
        provided=rules.pop("provided", {}),
    )


def view_of(of: Form, filled: Filled, page: int = 0, **more: Json) -> dict[str, Json]:
    """Draw a page, let Slack judge it, and return it as Slack would send it back untouched."""
    view = draw(of, filled, Meta(of.kind, of.name, of.content_hash, "C0OPS", page), **more)
    check_view(view, "modal")
    blocks = [
        {**block, "block_id": block.get("block_id", f"auto-{at}")}
        for at, block in enumerate(view["blocks"])
    ]
    return {**view, "blocks": blocks, "state": {"values": state_values(initial_state(blocks))}}


def labels(view: dict[str, Json]) -> list[str]:
    return [block["label"]["text"] for block in view["blocks"] if block["type"] == "input"]


def texts(view: dict[str, Json]) -> str:
    """What the view's paragraphs and small lines say."""
    told = [str(block.get("text", {}).get("text", "")) for block in view["blocks"]]
    small = [
        element["text"]
        for block in view["blocks"]
        if block["type"] == "context"
        for element in block["elements"]
    ]
    return "\n".join([*told, *small])
