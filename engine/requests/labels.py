"""What a request's form called things: its parameters, and the options of its selections.

Read from the plan as it stands, not through the models: a request of an older release is shown even
if its document would be refused today. Those of a bundle's component are `<component>.<field>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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
    planned = plan.get("components") or {}
    return tuple(name for name, one in planned.items() if one.get("enabled", True))


def _fields(plan: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    parts = [("", plan), *((f"{n}.", c) for n, c in (plan.get("components") or {}).items())]
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
