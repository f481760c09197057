"""A view from Slack back to what stands in the form.

The view's own blocks say what it asked: a condition may have changed since it was drawn. A field
that was asked and left empty is None, one that was not asked is absent.
"""

from collections.abc import Mapping
from typing import Any

from bot.forms.fields import is_text, read_field
from bot.forms.form import Filled, Form
from bot.forms.heads import choosable
from bot.forms.places import (
    CHOICE_BLOCK,
    CONFIRMATION_BLOCK,
    NAME_BLOCK,
    TEAM_BLOCK,
    dependency_place,
    place_of,
    prefix_of,
)
from engine import SecretField

View = Mapping[str, Any]


def read_view(form: Form, view: View, earlier: Filled) -> Filled:
    """Return what stands in the form: this view's entries over `earlier` pages'."""
    asked = asked_by(view)
    values = view.get("state", {}).get("values") or {}
    entered, texts = _fields(form, values, asked, earlier)
    name, typed = earlier.instance_name, earlier.confirmation
    return Filled(
        instance_name=_text(values, NAME_BLOCK) if NAME_BLOCK in asked else name,
        team=_choice(values, TEAM_BLOCK) if TEAM_BLOCK in asked else earlier.team,
        dependencies=_dependencies(form, values, asked, earlier),
        values={**earlier.values, **entered},
        texts=(earlier.texts - entered.keys()) | texts,
        chosen=_chosen(form, values) if CHOICE_BLOCK in asked else earlier.chosen,
        confirmation=_text(values, CONFIRMATION_BLOCK) if CONFIRMATION_BLOCK in asked else typed,
    )


def asked_by(view: View) -> frozenset[str]:
    """Return the ids of the view's input blocks."""
    return frozenset(
        block["block_id"] for block in view.get("blocks", ()) if block["type"] == "input"
    )


def entry_of(view: View, block: str) -> Mapping[str, Any]:
    """Return the entry of one block of a view; empty where nothing was entered."""
    return _entry(view.get("state", {}).get("values") or {}, block)


def _fields(
    form: Form, values: Mapping[str, Any], asked: frozenset[str], earlier: Filled
) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the entries of the fields asked, and which of them are text as typed.

    A secret that was entered before is kept if left empty.
    """
    entered: dict[str, Any] = {}
    texts = set()
    for part, one in form.every_field():
        name = part.name_of(one)
        if place_of(name) not in asked:
            continue
        entered[name] = read_field(one, values, prefix=prefix_of(part.key))
        if entered[name] is None and isinstance(one, SecretField):
            entered[name] = earlier.values.get(name)
        if is_text(one) and entered[name] is not None:
            texts.add(name)
    return entered, frozenset(texts)


def _dependencies(
    form: Form, values: Mapping[str, Any], asked: frozenset[str], earlier: Filled
) -> dict[str, str]:
    chosen = {
        name: _choice(values, place)
        if (place := dependency_place(one.name, part.key)) in asked
        else earlier.dependencies.get(name)
        for name, part, one in form.every_dependency()
    }
    return {name: value for name, value in chosen.items() if value}


def _chosen(form: Form, values: Mapping[str, Any]) -> dict[str, bool]:
    """Return which of the components that one may choose were chosen."""
    picked = {one["value"] for one in _entry(values, CHOICE_BLOCK).get("selected_options") or ()}
    return {key: value in picked for value, key in choosable(form).items()}


def _text(values: Mapping[str, Any], block: str) -> str | None:
    return _entry(values, block).get("value") or None


def _choice(values: Mapping[str, Any], block: str) -> str | None:
    chosen = _entry(values, block).get("selected_option")
    return str(chosen["value"]) if chosen else None


def _entry(values: Mapping[str, Any], block: str) -> Mapping[str, Any]:
    return next(iter(values.get(block, {}).values()), {})
