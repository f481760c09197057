"""THE table of field types: how each is drawn in a modal, and how what was entered is read back.

Nothing else in the project knows both sides. A row is one type: `element` draws it with what is
already known, `read` takes the entry of `state.values` and returns the value, or None where nothing
was entered. A row with `as_text` returns what was typed as it is: the engine parses it, by the same
rule as the text of a command line. Whether a value is accepted is the engine's business alone;
Slack's bounds (min_length, max_value ...) are only a first filter.

Elements are plain dictionaries: sixty fields must cost no more than writing them down.
Source of shapes and limits: docs.slack.dev/reference/block-kit/block-elements.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, cast

from bot.messages.text import LABEL, OPTION, PLACEHOLDER, cut, one_line, plain
from engine import (
    BaseField,
    DateField,
    IntegerField,
    MultiselectField,
    NumberField,
    Option,
    PercentageField,
    SecretField,
    SelectionField,
    StringField,
    TextareaField,
    TimeField,
)

Json = Any
Element = dict[str, Any]
Block = dict[str, Any]
Entry = Mapping[str, Any]

TEXT: Final = 3000
"""Longest text that an input takes."""
OPTION_VALUE: Final = 150
RADIO_BUTTONS: Final = 5
CHECKBOXES: Final = 10
STATIC_OPTIONS: Final = 100
BLOCK_ID: Final = 200
ACTION: Final = "field"
OTHER: Final = "other"
"""action_id of the text input beside a select that takes other values too."""
OPTIONS_ACTION: Final = "field_options"
"""action_id of selects whose options the bot is asked for."""
CHECKED: Final = "true"
SOURCE_DOWN: Final = "pao:source-is-down"


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


def options(field: BaseField) -> list[Element]:
    """Return every option of a selection or multiselect as Slack shows it."""
    return [_option(option, at) for at, option in enumerate(_choices(field))]


def fetched_options(choices: Iterable[Option]) -> Iterator[Element]:
    """Yield options that were fetched; one whose text Slack cannot bring back is left out."""
    for choice in choices:
        if 0 < len(choice.text) <= OPTION_VALUE:
            yield _option(choice, 0)


def source_is_down() -> Element:
    """Return what stands in a menu whose options cannot be fetched; choosing it chooses nothing."""
    return option("The source of this list is down. Please try again in a moment.", SOURCE_DOWN)


def option(text: str, value: str, description: str | None = None) -> Element:
    """Return an option object; `value` has at most 150 characters."""
    made: Element = {"text": plain(one_line(text), OPTION), "value": value}
    if description and description.strip():
        made["description"] = plain(one_line(description), OPTION)
    return made


def external_select(
    placeholder: str, initial: Element | None = None, action_id: str = OPTIONS_ACTION
) -> Element:
    """Return a select whose options the bot gives, from the first click on."""
    element: Element = {
        "type": "external_select",
        "action_id": action_id,
        "min_query_length": 0,
        "placeholder": plain(placeholder, PLACEHOLDER),
    }
    return _with(element, initial_option=initial)


def multi_select(
    placeholder: str, offered: Sequence[Element], initial: Sequence[Element] = ()
) -> Element:
    """Return a select that takes several of up to a hundred options."""
    element: Element = {
        "type": "multi_static_select",
        "action_id": ACTION,
        "placeholder": plain(placeholder, PLACEHOLDER),
        "options": list(offered),
    }
    return _with(element, initial_options=list(initial) or None)


def option_key(text: str, at: int) -> str:
    """Return what an option brings back for `text`: itself, or its place where it is too long."""
    return text if 0 < len(text) <= OPTION_VALUE else f"#{at}"


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
    text = "" if value is None else _as_text(value)
    if text and len(text) <= min(most or TEXT, TEXT):
        element["initial_value"] = text
    return element


def _other_block(field: SelectionField, value: Json, prefix: str, *, controls: bool) -> Block:
    chosen = _initial_option(field, value) is not None
    element: Element = {"type": "plain_text_input", "action_id": OTHER}
    text = None if chosen or value is None else _as_text(value)
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
        element["min_value"] = _as_text(least)
    if most is not None:
        element["max_value"] = _as_text(most)
    if field.placeholder:
        element["placeholder"] = plain(field.placeholder, PLACEHOLDER)
    if (number := _as_number(value)) is not None and _within(number, least, most, element):
        element["initial_value"] = _as_text(number)
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
    return _with(element, initial_options=[yes] if value in {True, CHECKED} else None)


def _selection(field: SelectionField, value: Json) -> Element:
    initial = _initial_option(field, value)
    count = len(field.choices)
    if field.options_from is not None or count > STATIC_OPTIONS:
        return external_select(field.placeholder or "Choose one", initial)
    if count <= RADIO_BUTTONS:
        element: Element = {"type": "radio_buttons", "action_id": ACTION, "options": options(field)}
    else:
        element = {
            "type": "static_select",
            "action_id": ACTION,
            "options": options(field),
            "placeholder": plain(field.placeholder or "Choose one", PLACEHOLDER),
        }
    return _with(element, initial_option=initial)


def _multiselect(field: MultiselectField, value: Json) -> Element:
    initial = _initial_options(field, value)
    count = len(field.choices)
    external = field.options_from is not None or count > STATIC_OPTIONS
    if not external and count <= CHECKBOXES:
        element: Element = {"type": "checkboxes", "action_id": ACTION, "options": options(field)}
        return _with(element, initial_options=initial or None)
    element = {
        "type": "multi_external_select" if external else "multi_static_select",
        "action_id": OPTIONS_ACTION if external else ACTION,
        "placeholder": plain(field.placeholder or "Choose some", PLACEHOLDER),
    }
    if external:
        element["min_query_length"] = 0
    else:
        element["options"] = options(field)
    if field.max_selections:
        element["max_selected_items"] = field.max_selections
        initial = initial[: field.max_selections]
    return _with(element, initial_options=initial or None)


def _choices(field: BaseField) -> Sequence[Option]:
    return cast("SelectionField | MultiselectField", field).choices


def _option(choice: Option, at: int) -> Element:
    fits = 0 < len(choice.text) <= OPTION_VALUE
    return option(choice.title, choice.text if fits else str(at), choice.description)


def _initial_option(field: BaseField, value: Json) -> Element | None:
    """Return the option that stands for a value; of a fetched list, one made for it."""
    if value is None:
        return None
    text = _as_text(value)
    for at, choice in enumerate(_choices(field)):
        if choice.text == text:
            return _option(choice, at)
    fetched = cast("SelectionField | MultiselectField", field).options_from is not None
    return option(text, text) if fetched and 0 < len(text) <= OPTION_VALUE else None


def _initial_options(field: BaseField, value: Json) -> list[Element]:
    chosen = value if isinstance(value, list | tuple) else []
    found = (_initial_option(field, one) for one in chosen)
    return [one for one in found if one is not None]


def _chosen(field: BaseField, chosen: Entry | None) -> Json:
    """Return the value of a chosen option: by value and label, since an index may look like one."""
    if not chosen or chosen["value"] == SOURCE_DOWN:
        return None
    given = chosen["value"]
    alike = [
        (choice, made)
        for at, choice in enumerate(_choices(field))
        if (made := _option(choice, at))["value"] == given
    ]
    for choice, made in alike:
        if made["text"]["text"] == chosen.get("text", {}).get("text"):
            return choice.value
    return alike[0][0].value if alike else given


# Dates, people, services


def _date(field: DateField, value: Json) -> Element:
    element = _picker(field, "datepicker", "Choose a day")
    return _with(element, initial_date=_iso_date(value))


def _datetime(_: BaseField, value: Json) -> Element:
    return _with({"type": "datetimepicker", "action_id": ACTION}, initial_date_time=_epoch(value))


def _time(field: TimeField, value: Json) -> Element:
    if field.with_seconds:
        return _typed(
            field.model_copy(update={"placeholder": field.placeholder or "HH:MM:SS"}),
            {"type": "plain_text_input", "action_id": ACTION},
            value,
        )
    element = _picker(field, "timepicker", "Choose a time")
    return _with(element, initial_time=value[:5] if isinstance(value, str) else None)


def _user(field: BaseField, value: Json) -> Element:
    return _with(_picker(field, "users_select", "Choose a person"), initial_user=value or None)


def _asked(field: BaseField, value: Json) -> Element:
    text = "" if value is None else _as_text(value)
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


def _with(element: Element, **initial: Json) -> Element:
    """Add what is known; Slack refuses empty initial values."""
    element.update({key: value for key, value in initial.items() if value is not None})
    return element


def _as_text(value: Json) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


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
        _selection, lambda field, entry: _chosen(field, entry.get("selected_option"))
    ),
    "multiselect": FieldType(
        _multiselect,
        lambda field, entry: (
            [
                chosen
                for one in entry.get("selected_options") or ()
                if (chosen := _chosen(field, one)) is not None
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
