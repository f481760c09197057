"""Each field type's own rules: text to value, and whether a value is allowed.

`parse_text` reads what a person typed on the command line (or what Slack hands over as text);
`check_value` judges a value and returns what is stored. Both refuse with `Refused`, whose sentence
is for the person: what is wrong and what is allowed. `BY_TYPE` is the table; a new type is one row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar

from engine.catalog import fields as f
from engine.catalog import value_choices as choices
from engine.catalog import value_moments as moments
from engine.catalog import value_numbers as numbers
from engine.catalog import value_texts as texts
from engine.catalog.refusal import References, Refused, Surroundings, sentence
from engine.catalog.scalars import describe
from engine.catalog.value_schema import value_problem
from engine.errors import quoted

__all__ = ["BY_TYPE", "References", "Refused", "Surroundings", "check_value", "parse_text"]

Json = Any
F = TypeVar("F", bound=f.BaseField)


_TRUE: Final = frozenset({"true", "yes", "y", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "n", "off", "0"})


@dataclass(frozen=True, slots=True)
class ValueType:
    """One row of the table."""

    parse: Callable[[Any, str], Json]
    check: Callable[[Any, Json, Surroundings], Json]


def parse_text(spec: f.BaseField, text: str | Sequence[str]) -> Json:
    """Read a value from text by the field's type; several texts are a list's entries.

    Raises Refused. Text that means nothing was given (empty) is None.
    """
    given = [text] if isinstance(text, str) else list(text)
    if sum(map(len, given)) > texts.LONGEST_TEXT:
        raise Refused(
            f"This is too long; at most {texts.LONGEST_TEXT} characters are taken.", "too_long"
        )
    if isinstance(spec, f.MultiselectField):
        return choices.parse_list(spec, given)
    if len(given) > 1:
        raise Refused("This takes one value, and several were given.", "wrong_type")
    if not given or not given[0].strip():
        return None
    return BY_TYPE[spec.type].parse(spec, given[0])


def check_value(spec: f.BaseField, value: Json, around: Surroundings) -> Json:
    """Return the value as it is stored; raises Refused."""
    return BY_TYPE[spec.type].check(spec, value, around)


# Yes and no


def _parse_boolean(_spec: f.BooleanField, text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise Refused(f"{quoted(text)} is neither yes nor no; write true or false.", "wrong_type")
    return word in _TRUE


def _check_boolean(_spec: f.BooleanField, value: Json, _around: Surroundings) -> bool:
    if not isinstance(value, bool):
        raise Refused(f"This must be true or false, not {describe(value)}.", "wrong_type")
    return value


# The rest


def _parse_json(_spec: f.JsonField, text: str) -> Json:
    try:
        return json.loads(text, parse_float=_json_number, parse_constant=_no_constant)
    except Refused:
        raise
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise Refused(f"This is not JSON: {why}.", "wrong_type") from None


def _json_number(text: str) -> Decimal:
    return numbers.bounded(Decimal(text)) if len(text) <= 400 else numbers.parse_decimal(text)


def _no_constant(name: str) -> Json:
    raise Refused(f"{name} is not JSON.", "not_finite")


def _check_json(spec: f.JsonField, value: Json, _around: Surroundings) -> Json:
    _storable(value, 0)
    problem = None if spec.schema_ is None else value_problem(spec.schema_, value)
    if problem is not None:
        raise Refused(sentence(problem), "schema")
    return value


def _storable(value: Json, depth: int) -> None:
    """Refuse what PostgreSQL's jsonb cannot hold."""
    if depth > 50:
        raise Refused("This is nested more than 50 levels deep.", "too_deep")
    match value:
        case dict():
            for key, inner in value.items():
                texts.plain_text(key, lines=True)
                _storable(inner, depth + 1)
        case list() | tuple():
            for inner in value:
                _storable(inner, depth + 1)
        case str():
            texts.plain_text(value, lines=True)
        case float() | Decimal():
            numbers.exact_decimal(value)


def _check_instance(spec: f.InstanceField, value: Json, around: Surroundings) -> str:
    return _referred(value, around, lambda r, text: r.instance_problem(spec, text))


def _check_user(_spec: f.UserField, value: Json, around: Surroundings) -> str:
    return _referred(value, around, lambda r, text: r.user_problem(text))


def _check_team(_spec: f.TeamField, value: Json, around: Surroundings) -> str:
    return _referred(value, around, lambda r, text: r.team_problem(text))


def _referred(
    value: Json, around: Surroundings, ask: Callable[[References, str], str | None]
) -> str:
    text = texts.plain_text(value).strip()
    if not text or len(text) > 255:
        raise Refused("This must have 1 to 255 characters.", "format")
    problem = None if around.references is None else ask(around.references, text)
    if problem:
        raise Refused(sentence(problem), "reference")
    return text


def _as_is(_spec: f.BaseField, text: str) -> str:
    return text


def _trimmed(_spec: f.BaseField, text: str) -> str:
    return text.strip()


BY_TYPE: Final[Mapping[str, ValueType]] = {
    "string": ValueType(_as_is, texts.check_string),
    "textarea": ValueType(_as_is, texts.check_textarea),
    "integer": ValueType(numbers.parse_integer, numbers.check_integer),
    "number": ValueType(numbers.parse_number, numbers.check_number),
    "percentage": ValueType(numbers.parse_number, numbers.check_percentage),
    "boolean": ValueType(_parse_boolean, _check_boolean),
    "date": ValueType(_trimmed, moments.check_date),
    "datetime": ValueType(_trimmed, moments.check_datetime),
    "time": ValueType(_trimmed, moments.check_time),
    "selection": ValueType(choices.parse_selection, choices.check_selection),
    "multiselect": ValueType(_as_is, choices.check_multiselect),
    "secret": ValueType(_as_is, texts.check_secret),
    "json": ValueType(_parse_json, _check_json),
    "instance": ValueType(_trimmed, _check_instance),
    "user": ValueType(_trimmed, _check_user),
    "team": ValueType(_trimmed, _check_team),
}
