"""The one check of submitted values: forms, the command line, fixed bundle parameters, re-runs.

A value that is absent takes the field's default; a value that is None (or empty text, or an empty
list) is "cleared": no default, and an error where the field is required. Fields whose condition is
false are dropped whatever they were given. What comes back holds only fields that have a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.catalog.conditions import dropped_fields, same
from engine.catalog.fields import BaseField, SecretField
from engine.catalog.suggest import did_you_mean
from engine.catalog.value_types import Refused, Surroundings, check_value, parse_text
from engine.errors import quoted

Json = Any


@dataclass(frozen=True, slots=True)
class FieldError:
    """One value is not allowed: `message` is a sentence for the person, `code` a stable word."""

    field: str
    message: str
    code: str


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check: values as stored (secrets still in clear), errors, dropped fields."""

    values: dict[str, Json] = field(default_factory=dict)
    errors: tuple[FieldError, ...] = ()
    dropped: frozenset[str] = frozenset()

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.errors


def check_values(
    fields: Sequence[BaseField],
    raw: Mapping[str, Json],
    *,
    texts: Iterable[str] = (),
    around: Surroundings | None = None,
    partial: bool = False,
) -> Checked:
    """Judge submitted values by the fields of a form.

    `texts` names the entries of `raw` that are text still to be read by their field's type (one
    string, or several of a repeated option). `partial` leaves out that required ones are missing
    and that parameters are unknown: for a form that is drawn again half filled.
    """
    around = around or Surroundings()
    texts = frozenset(texts)
    errors: dict[str, FieldError] = {}
    values: dict[str, Json] = {}
    for spec in fields:
        try:
            value = _given(spec, raw, spec.name in texts, around)
        except Refused as refusal:
            errors[spec.name] = FieldError(spec.name, refusal.message, refusal.code)
        else:
            if value is not None:
                values[spec.name] = value
    # A field whose own value is refused still decides what others are asked: by what was given.
    dropped = dropped_fields(fields, {**raw, **values} if errors else values)
    if not partial:
        errors |= _missing(fields, values, dropped, errors)
        errors |= _unknown(fields, raw)
    return Checked(
        {name: value for name, value in values.items() if name not in dropped},
        tuple(error for name, error in errors.items() if name not in dropped),
        dropped,
    )


def default_values(fields: Sequence[BaseField], around: Surroundings | None = None) -> Checked:
    """Return what a form shows before anything is typed."""
    return check_values(fields, {}, around=around, partial=True)


def _given(spec: BaseField, raw: Mapping[str, Json], is_text: bool, around: Surroundings) -> Json:
    """Return the field's value, None for none; raises Refused."""
    if spec.name not in raw:
        return None if spec.default is None else check_value(spec, _plain(spec.default), around)
    value = raw[spec.name]
    if is_text and value is not None:
        value = parse_text(spec, value)
    if _is_empty(value):
        value = None
    if spec.readonly or spec.hidden:
        return _fixed(spec, value, around)
    return None if value is None else check_value(spec, value, around)


def _fixed(spec: BaseField, value: Json, around: Surroundings) -> Json:
    """Return the default of a field that nobody may fill in."""
    default = None if spec.default is None else check_value(spec, _plain(spec.default), around)
    if value is None or same(check_value(spec, value, around), default):
        return default
    raise Refused(f"This cannot be changed; it is always {default}.", "readonly")


def _missing(
    fields: Sequence[BaseField],
    values: Mapping[str, Json],
    dropped: frozenset[str],
    errors: Mapping[str, FieldError],
) -> dict[str, FieldError]:
    return {
        spec.name: FieldError(spec.name, _needed(spec), "required")
        for spec in fields
        if spec.required and not {spec.name} & (values.keys() | dropped | errors.keys())
    }


def _needed(spec: BaseField) -> str:
    return (
        "A secret is needed here." if isinstance(spec, SecretField) else "A value is needed here."
    )


def _unknown(fields: Sequence[BaseField], raw: Mapping[str, Json]) -> dict[str, FieldError]:
    known = {spec.name for spec in fields}
    return {
        name: FieldError(
            name,
            f"There is no parameter {quoted(name)}.{did_you_mean(name, known)}",
            "unknown_parameter",
        )
        for name in raw
        if name not in known
    }


def _is_empty(value: Json) -> bool:
    return value is None or (isinstance(value, (str, list, tuple)) and not value)


def _plain(default: Json) -> Json:
    return list(default) if isinstance(default, tuple) else default
