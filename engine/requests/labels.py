"""What a request's form called things: its parameters, and the options of its selections.

Read from the plan as it stands, not through the models: a request of an older release is shown even
if its document would be refused today. Those of a bundle's component are `<component>.<field>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.catalog.documents import slugify
from engine.catalog.fields import label_of


def parameter_labels(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return parameter -> what the form calls it, in the form's order."""
    return {name: field.get("label") or label_of(field["name"]) for name, field in _fields(plan)}


def value_labels(plan: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return parameter -> {value as text: label} of the options whose label is not the value."""
    labels = {name: dict(_options(field)) for name, field in _fields(plan)}
    return {name: options for name, options in labels.items() if options}


def components(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a bundle's components that are on, in their order."""
    return tuple(name for name, one in _planned(plan) if one.get("enabled", True))


def _planned(plan: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the components in the order of the bundle's document: the plan's own keys have none."""
    bundle = plan.get("bundle") or {}
    written = [*(bundle.get("required_items") or ()), *(bundle.get("optional_items") or ())]
    order = [one.get("name") or slugify(one["catalog_item"]) for one in written]
    planned: Mapping[str, Mapping[str, Any]] = plan.get("components") or {}
    return [(name, planned[name]) for name in dict.fromkeys((*order, *planned)) if name in planned]


def _fields(plan: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    parts = [("", plan), *((f"{name}.", part) for name, part in _planned(plan))]
    for prefix, part in parts:
        presentation = part.get("presentation") or {}
        for section in (presentation, *(presentation.get("groups") or ())):
            for key in ("bundle_fields", "fields"):
                for field in section.get(key) or ():
                    yield f"{prefix}{field['name']}", field


def _options(field: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for option in field.get("oneof") or field.get("options") or ():
        if isinstance(option, Mapping) and option.get("label"):
            value = str(option.get("value"))
            if value != option["label"]:
                yield value, option["label"]
