"""Block elements: what each may hold, and which blocks and surfaces take it.

Source: docs.slack.dev/reference/block-kit/block-elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Literal

from bot.playground.limits.composition import (
    CONFIRM,
    DISPATCH,
    FILTER,
    MENU_OPTION,
    OPTION,
    OPTION_GROUP,
    OPTIONS,
    RICH_OPTION,
    URL,
    plain,
)
from bot.playground.limits.schema import (
    Check,
    Rule,
    array,
    complain,
    flag,
    integer,
    one_of,
    record,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.playground.refusals import JsonObject

Surface = Literal["message", "modal", "home"]


def elements_in(blocks: list[JsonObject]) -> Iterator[tuple[JsonObject, JsonObject]]:
    """Yield (block, element) for every interactive element of checked blocks."""
    for block in blocks:
        held = [block.get("element"), block.get("accessory")]
        if block["type"] == "actions":
            held += block["elements"]
        for element in held:
            if element is not None and element["type"] in ELEMENTS:
                yield block, element


def all_options(element: JsonObject) -> list[JsonObject]:
    """Return the options that an element carries, those in groups too."""
    grouped = [option for group in element.get("option_groups", []) for option in group["options"]]
    return [*element.get("options", []), *grouped]


def read_number(value: str, *, decimals: bool) -> Decimal | None:
    """Read a number as Slack's number_input takes it, or return None."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    if not number.is_finite() or (not decimals and number != number.to_integral_value()):
        return None
    return number


# Rules between the fields of one element


def options_or_groups(element: JsonObject, at: str, problems: list[str]) -> None:
    """Hold that there are options or groups of them, not both."""
    if ("options" in element) == ("option_groups" in element):
        complain(problems, "must define either `options` or `option_groups`", at)


def _initial_among_options(element: JsonObject, at: str, problems: list[str]) -> None:
    options = all_options(element)
    chosen = [element["initial_option"]] if "initial_option" in element else []
    for option in [*chosen, *element.get("initial_options", [])]:
        if option not in options:
            complain(problems, "initial option must match one of the options exactly", at)


def _no_more_than_selectable(element: JsonObject, at: str, problems: list[str]) -> None:
    limit = element.get("max_selected_items")
    for name, value in element.items():
        if name.startswith("initial_") and limit is not None and len(value) > limit:
            complain(problems, f"no more than {limit} items allowed", f"{at}/{name}")


def _text_bounds(element: JsonObject, at: str, problems: list[str]) -> None:
    least, most = element.get("min_length", 0), element.get("max_length", 3000)
    if least > most:
        complain(problems, "min_length must not be greater than max_length", at)
    if len(element.get("initial_value", "")) > most:
        complain(problems, f"must be less than {most + 1} characters", f"{at}/initial_value")


def _number_bounds(element: JsonObject, at: str, problems: list[str]) -> None:
    numbers: dict[str, Decimal] = {}
    for name in ("min_value", "max_value", "initial_value"):
        if name in element:
            number = read_number(element[name], decimals=element["is_decimal_allowed"])
            if number is None:
                complain(problems, "must be a number as a string", f"{at}/{name}")
                return
            numbers[name] = number
    low = numbers.get("min_value", Decimal("-Infinity"))
    high = numbers.get("max_value", Decimal("Infinity"))
    if low > high:
        complain(problems, "min_value must not be greater than max_value", at)
    elif not low <= numbers.get("initial_value", low if low.is_finite() else high) <= high:
        complain(problems, "must be within min_value and max_value", f"{at}/initial_value")


def _day(value: object, at: str, problems: list[str]) -> None:
    try:
        date.fromisoformat(value if isinstance(value, str) and len(value) == 10 else "")
    except ValueError:
        complain(problems, "must be a date as YYYY-MM-DD", at)


# The table


@dataclass(frozen=True, slots=True)
class Element:
    """One block element: its shape, the blocks and the surfaces that take it."""

    check: Check
    blocks: str
    surfaces: tuple[Surface, ...] = ("message", "modal", "home")


_ACTION = {"action_id": text(255)}
_FOCUS = {**_ACTION, "focus_on_load": flag()}
_CHOICE = {**_FOCUS, "confirm": CONFIRM}
_SELECT = {**_CHOICE, "placeholder": plain(150)}
_TYPED = {**_FOCUS, "placeholder": plain(150), "dispatch_action_config": DISPATCH}
_MANY = {**_SELECT, "max_selected_items": integer(1)}
_STATIC = {
    "options": array(OPTION, OPTIONS, 1),
    "option_groups": array(OPTION_GROUP, OPTIONS, 1),
}
_IDS = array(text(255), OPTIONS, 1)
_ONE_OPTION = {"initial_option": OPTION}
_SOME_OPTIONS = {"initial_options": array(OPTION, OPTIONS, 1)}
_RESPONSE_URL = {"response_url_enabled": flag()}
_CONVERSATIONS = {"default_to_current_conversation": flag(), "filter": FILTER}
_QUERY = {"min_query_length": integer(0, 75)}

_EVERYWHERE: tuple[Surface, ...] = ("message", "modal", "home")
_MODAL: tuple[Surface, ...] = ("modal",)


def _row(
    name: str,
    blocks: str,
    optional: dict[str, Check],
    *rules: Rule,
    required: dict[str, Check] | None = None,
    surfaces: tuple[Surface, ...] = _EVERYWHERE,
) -> tuple[str, Element]:
    check = record({"type": one_of(name), **(required or {})}, optional, *rules)
    return name, Element(check, blocks, surfaces)


_ROWS = [
    _row(
        "button",
        "section actions",
        {
            **_ACTION,
            "confirm": CONFIRM,
            "url": URL,
            "value": text(2000),
            "style": one_of("primary", "danger"),
            "accessibility_label": text(75),
        },
        required={"text": plain(75)},
    ),
    _row(
        "overflow",
        "section actions",
        {**_ACTION, "confirm": CONFIRM},
        required={"options": array(MENU_OPTION, 5, 1)},
    ),
    _row(
        "checkboxes",
        "section actions input",
        {**_CHOICE, "initial_options": array(RICH_OPTION, 10, 1)},
        _initial_among_options,
        required={"options": array(RICH_OPTION, 10, 1)},
    ),
    _row(
        "radio_buttons",
        "section actions input",
        {**_CHOICE, "initial_option": RICH_OPTION},
        _initial_among_options,
        required={"options": array(RICH_OPTION, 10, 1)},
    ),
    _row("datepicker", "section actions input", {**_SELECT, "initial_date": _day}),
    _row(
        "timepicker",
        "section actions input",
        {
            **_SELECT,
            "initial_time": text(5, 5, r"([01]\d|2[0-3]):[0-5]\d"),
            "timezone": text(255),
        },
    ),
    _row(
        "datetimepicker",
        "actions input",
        {**_CHOICE, "initial_date_time": integer(10**9, 10**10 - 1)},
        surfaces=("message", "modal"),
    ),
    _row(
        "static_select",
        "section actions input",
        {**_SELECT, **_STATIC, **_ONE_OPTION},
        options_or_groups,
        _initial_among_options,
    ),
    _row("external_select", "section actions input", {**_SELECT, **_QUERY, **_ONE_OPTION}),
    _row("users_select", "section actions input", {**_SELECT, "initial_user": text(255)}),
    _row(
        "conversations_select",
        "section actions input",
        {**_SELECT, **_RESPONSE_URL, **_CONVERSATIONS, "initial_conversation": text(255)},
    ),
    _row(
        "channels_select",
        "section actions input",
        {**_SELECT, **_RESPONSE_URL, "initial_channel": text(255)},
    ),
    _row(
        "multi_static_select",
        "section input",
        {**_MANY, **_STATIC, **_SOME_OPTIONS},
        options_or_groups,
        _initial_among_options,
        _no_more_than_selectable,
    ),
    _row(
        "multi_external_select",
        "section input",
        {**_MANY, **_QUERY, **_SOME_OPTIONS},
        _no_more_than_selectable,
    ),
    _row(
        "multi_users_select",
        "section input",
        {**_MANY, "initial_users": _IDS},
        _no_more_than_selectable,
    ),
    _row(
        "multi_conversations_select",
        "section input",
        {**_MANY, **_CONVERSATIONS, "initial_conversations": _IDS},
        _no_more_than_selectable,
    ),
    _row(
        "multi_channels_select",
        "section input",
        {**_MANY, "initial_channels": _IDS},
        _no_more_than_selectable,
    ),
    _row(
        "plain_text_input",
        "input",
        {
            **_TYPED,
            "initial_value": text(3000),
            "multiline": flag(),
            "min_length": integer(0, 3000),
            "max_length": integer(1, 3000),
        },
        _text_bounds,
    ),
    _row(
        "number_input",
        "input",
        {
            **_TYPED,
            "initial_value": text(255),
            "min_value": text(255),
            "max_value": text(255),
        },
        _number_bounds,
        required={"is_decimal_allowed": flag()},
        surfaces=_MODAL,
    ),
    _row(
        "email_text_input",
        "input",
        {**_TYPED, "initial_value": text(3000)},
        surfaces=_MODAL,
    ),
    _row(
        "url_text_input",
        "input",
        {**_TYPED, "initial_value": text(3000)},
        surfaces=_MODAL,
    ),
]

ELEMENTS = dict(_ROWS)
"""Every block element that the playground knows, by its type."""


def elements_of(block: str, surface: Surface) -> dict[str, Check]:
    """Return the elements that a type of block takes on a surface."""
    return {
        name: element.check
        for name, element in ELEMENTS.items()
        if block in element.blocks.split() and surface in element.surfaces
    }
