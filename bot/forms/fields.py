"""THE table of field types: how each is drawn in a modal, and how what was entered is read back.

Nothing else in the project knows both sides. A row is one type: `element` draws it with what is
already known, `read` takes the entry of `state.values` and returns the value, or None where nothing
was entered. A row with `as_text` returns what was typed as it is: the engine parses it, by the same
rule as the text of a command line. Whether a value is accepted is the engine's business alone;
Slack's bounds (min_length, max_value ...) are only a first filter.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, cast

from bot.forms.choices import chosen_value, initial_option, multiselect, selection
from bot.forms.elements import (
    ACTION,
    OPTION_VALUE,
    OTHER,
    Element,
    Entry,
    Json,
    as_text,
    external_select,
    option,
    with_known,
)
from bot.messages.text import LABEL, PLACEHOLDER, cut, plain
from engine import (
    BaseField,
    DateField,
    IntegerField,
    NumberField,
    PercentageField,
    SecretField,
    SelectionField,
    StringField,
    TextareaField,
    TimeField,
)

Block = dict[str, Any]

TEXT: Final = 3000
"""Longest text that an input takes."""
BLOCK_ID: Final = 200
CHECKED: Final = "true"


@dataclass(frozen=True, slots=True)
class FieldType:
    """One row: `element(field, value)` draws, `read(field, entry)` takes back."""

    element: Callable[[Any, Json], Element]
    read: Callable[[Any, Entry], Json]
    as_text: bool = False


def input_blocks(
    field: BaseField, value: Json = None, *, prefix: str = "", controls: bool = False
) -> list[Block]:
    """Return the blocks that ask for `field`, filled with `value` (typed, or text as entered).

    `prefix` keeps the block ids of a bundle's components apart; `controls`: other fields depend on
    this one, so a change is told at once.
    """
    custom = isinstance(field, SelectionField) and field.allow_custom
    block: Block = {
        "type": "input",
        "block_id": block_id(field.name, prefix),
        "label": plain(field.title, LABEL),
        "element": FIELD_TYPES[field.type].element(field, value),
        "optional": custom or not field.required or field.type == "boolean",
    }
    if controls:
        block["dispatch_action"] = True
    if field.help_text:
        block["hint"] = plain(field.help_text, LABEL)
    if not custom:
        return [block]
    return [block, _other_block(cast("SelectionField", field), value, prefix, controls=controls)]


def read_field(field: BaseField, values: Mapping[str, Any], *, prefix: str = "") -> Json:
    """Return what was entered for `field` in `state.values`; None where nothing was."""
    if isinstance(field, SelectionField) and field.allow_custom:
        typed = _entry(values, block_id(field.name, prefix) + _OTHER_SUFFIX)
        if typed.get("value"):
            return typed["value"]
    entry = _entry(values, block_id(field.name, prefix))
    return FIELD_TYPES[field.type].read(field, entry) if entry else None


def is_text(field: BaseField) -> bool:
    """Tell whether `read_field` gives text that the engine has still to parse."""
    return FIELD_TYPES[field.type].as_text


def block_id(name: str, prefix: str = "") -> str:
    """Return the id of a field's block: the same in every drawing of the form, so values stay."""
    whole = f"{prefix}:{name}" if prefix else f"field:{name}"
    if len(whole) <= BLOCK_ID:
        return whole
    return f"field#{hashlib.sha256(whole.encode()).hexdigest()[:32]}"


# Text


def _text_input(field: BaseField, value: Json) -> Element:
    element: Element = {"type": "plain_text_input", "action_id": ACTION}
    if isinstance(field, TextareaField):
        element["multiline"] = True
    least = getattr(field, "min_length", None)
    most = getattr(field, "max_length", None)
    if least and least <= TEXT:
        element["min_length"] = least
    if most and most <= TEXT:
        element["max_length"] = most
    return _typed(field, element, None if isinstance(field, SecretField) else value, most)


def _string(field: StringField, value: Json) -> Element:
    kind = {"email": "email_text_input", "url": "url_text_input"}.get(field.format or "")
    if kind is None:
        return _text_input(field, value)
    return _typed(field, {"type": kind, "action_id": ACTION}, value)


def _json(field: BaseField, value: Json) -> Element:
    text = value
    if value is not None and not isinstance(value, str):
        text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain_number)
    return _typed(field, {"type": "plain_text_input", "action_id": ACTION, "multiline": True}, text)


def _typed(field: BaseField, element: Element, value: Json, most: int | None = None) -> Element:
    """Add the placeholder and what is already known; what Slack could not hold is left out."""
    if field.placeholder:
        element["placeholder"] = plain(field.placeholder, PLACEHOLDER)
    text = "" if value is None else as_text(value)
    if text and len(text) <= min(most or TEXT, TEXT):
        element["initial_value"] = text
    return element


def _other_block(field: SelectionField, value: Json, prefix: str, *, controls: bool) -> Block:
    chosen = initial_option(field, value) is not None
    element: Element = {"type": "plain_text_input", "action_id": OTHER}
    text = None if chosen or value is None else as_text(value)
    if text and len(text) <= TEXT:
        element["initial_value"] = text
    block: Block = {
        "type": "input",
        "block_id": block_id(field.name, prefix) + _OTHER_SUFFIX,
        "label": plain(f"{cut(field.title, LABEL - 10)}: other", LABEL),
        "element": element,
        "optional": True,
    }
    if controls:
        block["dispatch_action"] = True
    return block


_OTHER_SUFFIX: Final = f":{OTHER}"


# Numbers


def _number(field: IntegerField | NumberField | PercentageField, value: Json) -> Element:
    element: Element = {
        "type": "number_input",
        "action_id": ACTION,
        "is_decimal_allowed": not isinstance(field, IntegerField),
    }
    percent = isinstance(field, PercentageField)
    least = field.min_value if field.min_value is not None else (0 if percent else None)
    most = field.max_value if field.max_value is not None else (100 if percent else None)
    if least is not None:
        element["min_value"] = as_text(least)
    if most is not None:
        element["max_value"] = as_text(most)
    if field.placeholder:
        element["placeholder"] = plain(field.placeholder, PLACEHOLDER)
    if (number := _as_number(value)) is not None and _within(number, least, most, element):
        element["initial_value"] = as_text(number)
    return element


def _as_number(value: Json) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value).strip())
    except ArithmeticError:
        return None
    return number if number.is_finite() else None


def _within(
    number: Decimal, least: int | Decimal | None, most: int | Decimal | None, element: Element
) -> bool:
    """Tell whether Slack takes the number as an initial value."""
    whole = element["is_decimal_allowed"] or number == number.to_integral_value()
    return whole and (least is None or number >= least) and (most is None or number <= most)


# Choices


def _checkbox(field: BaseField, value: Json) -> Element:
    yes = option(field.placeholder or "Yes", CHECKED)
    element: Element = {"type": "checkboxes", "action_id": ACTION, "options": [yes]}
    return with_known(element, initial_options=[yes] if value in {True, CHECKED} else None)


# Dates, people, services


def _date(field: DateField, value: Json) -> Element:
    element = _picker(field, "datepicker", "Choose a day")
    return with_known(element, initial_date=_iso_date(value))


def _datetime(_: BaseField, value: Json) -> Element:
    return with_known(
        {"type": "datetimepicker", "action_id": ACTION}, initial_date_time=_epoch(value)
    )


def _time(field: TimeField, value: Json) -> Element:
    if field.with_seconds:
        return _typed(
            field.model_copy(update={"placeholder": field.placeholder or "HH:MM:SS"}),
            {"type": "plain_text_input", "action_id": ACTION},
            value,
        )
    element = _picker(field, "timepicker", "Choose a time")
    return with_known(element, initial_time=value[:5] if isinstance(value, str) else None)


def _user(field: BaseField, value: Json) -> Element:
    return with_known(_picker(field, "users_select", "Choose a person"), initial_user=value or None)


def _asked(field: BaseField, value: Json) -> Element:
    text = "" if value is None else as_text(value)
    initial = option(text, text) if 0 < len(text) <= OPTION_VALUE else None
    words = "Choose a team" if field.type == "team" else "Choose a service"
    return external_select(field.placeholder or words, initial)


def _picker(field: BaseField, kind: str, words: str) -> Element:
    placeholder = plain(field.placeholder or words, PLACEHOLDER)
    return {"type": kind, "action_id": ACTION, "placeholder": placeholder}


def _iso_date(value: Json) -> str | None:
    try:
        return date.fromisoformat(value).isoformat() if isinstance(value, str) else None
    except ValueError:
        return None


def _epoch(value: Json) -> int | None:
    """Return seconds since 1970 where Slack takes them: ten digits."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    seconds = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    return seconds if 10**9 <= seconds < 10**10 else None


def _iso_moment(entry: Entry) -> str | None:
    seconds = entry.get("selected_date_time")
    return datetime.fromtimestamp(int(seconds), UTC).isoformat() if seconds else None


# Shared


def _plain_number(value: Json) -> int | float:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return int(value) if value == value.to_integral_value() else float(value)


def _entry(values: Mapping[str, Any], block: str) -> Entry:
    """Return the one entry of a block; empty where nothing was entered."""
    return next(iter(values.get(block, {}).values()), {})


def _value(_: BaseField, entry: Entry) -> Json:
    return entry.get("value") or None


def _picked(key: str) -> Callable[[BaseField, Entry], Json]:
    return lambda _, entry: entry.get(key) or None


FIELD_TYPES: Final[Mapping[str, FieldType]] = {
    "string": FieldType(_string, _value),
    "textarea": FieldType(_text_input, _value),
    "integer": FieldType(_number, _value, as_text=True),
    "number": FieldType(_number, _value, as_text=True),
    "percentage": FieldType(_number, _value, as_text=True),
    "boolean": FieldType(_checkbox, lambda _, entry: bool(entry.get("selected_options"))),
    "date": FieldType(_date, _picked("selected_date")),
    "datetime": FieldType(_datetime, lambda _, entry: _iso_moment(entry)),
    "time": FieldType(
        _time, lambda _, entry: entry.get("selected_time") or entry.get("value") or None
    ),
    "selection": FieldType(
        selection, lambda field, entry: chosen_value(field, entry.get("selected_option"))
    ),
    "multiselect": FieldType(
        multiselect,
        lambda field, entry: (
            [
                chosen
                for one in entry.get("selected_options") or ()
                if (chosen := chosen_value(field, one)) is not None
            ]
            or None
        ),
    ),
    "secret": FieldType(_text_input, _value),
    "json": FieldType(_json, _value, as_text=True),
    "instance": FieldType(
        _asked, lambda _, entry: (entry.get("selected_option") or {}).get("value")
    ),
    "user": FieldType(_user, _picked("selected_user")),
    "team": FieldType(_asked, lambda _, entry: (entry.get("selected_option") or {}).get("value")),
}
"""Every type of the catalog. A new type is one row here and one model in the catalog."""
