"""A view from Slack back to what stands in the form.

The view's own blocks say what it asked: a condition may have changed since it was drawn. A field
that was asked and left empty is None, one that was not asked is absent.
"""

from collections.abc import Mapping
from typing import Any

from bot.forms.fields import block_id, is_text, read_field
from bot.forms.form import Filled, Form
from bot.forms.pages import DEPENDENCY, NAME_BLOCK, TEAM_BLOCK
from engine import BaseField, SecretField

View = Mapping[str, Any]


def read_view(form: Form, view: View, earlier: Filled) -> Filled:
    """Return what stands in the form: this view's entries over `earlier` pages'."""
    asked = asked_by(view)
    values = view.get("state", {}).get("values") or {}
    fields = [one for one in form.fields if block_id(one.name) in asked]
    entered = {one.name: _entered(one, values, earlier) for one in fields}
    texts = frozenset(one.name for one in fields if is_text(one) and entered[one.name] is not None)
    head = NAME_BLOCK in asked
    page = Filled(
        instance_name=_entry(values, NAME_BLOCK).get("value") or None,
        team=_choice(values, TEAM_BLOCK) if TEAM_BLOCK in asked else earlier.team,
        dependencies=_dependencies(form, values),
        values=entered,
        texts=texts,
    )
    return page.over(earlier, head=head)


def asked_by(view: View) -> frozenset[str]:
    """Return the ids of the view's input blocks."""
    return frozenset(
        block["block_id"] for block in view.get("blocks", ()) if block["type"] == "input"
    )


def _entered(one: BaseField, values: Mapping[str, Any], earlier: Filled) -> Any:
    """Return a field's entry; a secret that was entered before is kept if left empty."""
    value = read_field(one, values)
    if value is None and isinstance(one, SecretField):
        return earlier.values.get(one.name)
    return value


def _dependencies(form: Form, values: Mapping[str, Any]) -> dict[str, str]:
    chosen = {
        asked.name: _choice(values, block_id(asked.name, DEPENDENCY)) for asked in form.dependencies
    }
    return {name: value for name, value in chosen.items() if value}


def _choice(values: Mapping[str, Any], block: str) -> str | None:
    chosen = _entry(values, block).get("selected_option")
    return str(chosen["value"]) if chosen else None


def entry_of(view: View, block: str) -> Mapping[str, Any]:
    """Return the entry of one block of a view; empty where nothing was entered."""
    return _entry(view.get("state", {}).get("values") or {}, block)


def _entry(values: Mapping[str, Any], block: str) -> Mapping[str, Any]:
    return next(iter(values.get(block, {}).values()), {})
