"""What a template may name at a place: the names in scope, and how far each can be followed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.catalog import steps as s
from engine.catalog.fields import BaseField, InstanceField, JsonField, MultiselectField

ANY: Final = object()
"""A value of unknown shape: whatever is asked inside may exist."""
LEAF: Final = object()
"""A plain value with nothing inside."""

Scope = Mapping[str, Any]
"""Names to `ANY`, `LEAF` or the names inside."""

_PERSON: Final = dict.fromkeys(("user_id", "name", "email", "team"), LEAF)
_REQUEST: Final = dict.fromkeys(("id", "type"), LEAF)
_ITEM: Final = {
    **dict.fromkeys(
        ("name", "slug", "display_name", "version", "description", "owner", "category"), LEAF
    ),
    "tags": ANY,
}
_INSTANCE: Final = dict.fromkeys(("id", "name"), LEAF)
_DAY_2: Final = {**_INSTANCE, "version": LEAF, "outputs": ANY, "parameters": ANY}
_CONNECTED: Final = {"instance_id": LEAF, "name": LEAF, "outputs": ANY}

FIXED_OUTPUTS: Final[Mapping[str, tuple[str, ...]]] = {"JiraTicket": ("key", "url", "status")}
"""Outputs of step types that always give the same."""


def base_scope(
    fields: Iterable[BaseField],
    *,
    day_2: bool = False,
    parameters: Iterable[str] = (),
    dependencies: Iterable[str] = (),
) -> dict[str, Any]:
    """Return what every template of a document sees; `parameters` are a target's, in day 2."""
    return {
        **dict.fromkeys(parameters, ANY),
        **{field.name: _shape_of(field) for field in fields},
        "parameters": ANY,
        "requester": _PERSON,
        "request": _REQUEST,
        "catalog_item": _ITEM,
        "instance": _DAY_2 if day_2 else _INSTANCE,
        "dependencies": dict.fromkeys(dependencies, _CONNECTED),
        "current_timestamp": LEAF,
    }


def with_steps(
    scope: Scope, steps: Iterable[s.BaseStep], known_outputs: Mapping[str, Any]
) -> Scope:
    """Return the scope with the outputs of steps that ran before."""
    return {
        **scope,
        "steps": {step.name: {"outputs": outputs_of(step, known_outputs)} for step in steps},
    }


def with_components(scope: Scope, names: Iterable[str]) -> Scope:
    """Return the scope with the components of a bundle that came before."""
    return {**scope, "components": dict.fromkeys(names, _CONNECTED)}


def outputs_of(step: s.BaseStep, known_outputs: Mapping[str, Any]) -> Any:
    """Return the outputs of a step: their names where they are declared or fixed."""
    if step.declared_outputs is not None:
        return dict.fromkeys(step.declared_outputs, ANY)
    if isinstance(step, s.ApprovalStep):
        fields = step.template.fields or ()
        return {**{f.name: _shape_of(f) for f in fields}, "approved_by": ANY}
    fixed = FIXED_OUTPUTS.get(step.type) or known_outputs.get(step.type)
    return dict.fromkeys(fixed, ANY) if fixed else ANY


def missing(chain: tuple[str | int, ...], scope: Scope) -> tuple[int, Mapping[str, Any]] | None:
    """Return the index of the first part of a chain that does not exist, and what there is."""
    inside: Any = scope
    for index, part in enumerate(chain):
        if inside is ANY:
            return None
        if inside is LEAF:
            return index, {}
        if part not in inside:
            return index, inside
        inside = inside[part]
    return None


def _shape_of(field: BaseField) -> Any:
    return ANY if isinstance(field, JsonField | MultiselectField | InstanceField) else LEAF
