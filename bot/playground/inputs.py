"""What is typed into a surface: state.values in Slack's shapes, and the checks of Slack's client.

The state of a surface maps (block_id, action_id) to the entry that Slack sends: text and numbers
as strings, options as whole objects, nothing chosen as None or an empty list.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bot.playground.limits import all_options, elements_in, read_number
from bot.playground.refusals import JsonObject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

State = dict[tuple[str, str], JsonObject]
"""(block_id, action_id) -> the entry of state.values."""

VALUE_KEYS: Mapping[str, tuple[str, str]] = {
    "plain_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "checkboxes": ("selected_options", "initial_options"),
    "multi_static_select": ("selected_options", "initial_options"),
    "multi_external_select": ("selected_options", "initial_options"),
    "users_select": ("selected_user", "initial_user"),
    "channels_select": ("selected_channel", "initial_channel"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
}
"""Element type -> the key of its value in state and actions, the key of its initial value."""


class Untypable(ValueError):
    """A person cannot do this in Slack's client: there is no such option, or no such element."""


def initial_state(blocks: list[JsonObject]) -> State:
    """Return the state of a surface that nobody has touched."""
    return {
        (block["block_id"], element["action_id"]): _initial_entry(element)
        for block, element in elements_in(blocks)
        if element["type"] in VALUE_KEYS
    }


def carry_over(old: State, blocks: list[JsonObject]) -> State:
    """Return the state after an update.

    What was there stays where block_id and action_id (and the type) are the same, an emptied field
    too: a new initial value there is ignored.
    """
    fresh = initial_state(blocks)
    return {
        place: old[place] if _same_type(old.get(place), entry) else entry
        for place, entry in fresh.items()
    }


def _same_type(old: JsonObject | None, new: JsonObject) -> bool:
    return old is not None and old["type"] == new["type"]


def state_values(state: State) -> JsonObject | list[object]:
    """Return `state.values`; Slack sends an empty one as a list."""
    values: JsonObject = {}
    for (block_id, action_id), entry in state.items():
        values.setdefault(block_id, {})[action_id] = entry
    return values or []


def entry_of(element: JsonObject, given: object, offered: list[JsonObject]) -> JsonObject:
    """Return the state entry of what a person typed or chose.

    `given` is text for text fields, an option's value (or the option) for selects, a list of them
    for multiple choice, an id for people and channels, None or "" for nothing. `offered` are the
    options that an external select last showed.

    Raises:
        Untypable: no option has that value.
    """
    key, _ = VALUE_KEYS[element["type"]]
    if key == "selected_options":
        choices = given if isinstance(given, list) else [given]
        value: Any = [_option(element, choice, offered) for choice in choices if choice]
    elif given is None or given == "":
        value = [] if _is_list(key) else None
    elif key == "selected_option":
        value = _option(element, given, offered)
    elif key == "selected_date_time":
        value = int(str(given))
    else:
        value = given if _is_list(key) else str(given)
    return {"type": element["type"], key: value}


def chosen_options(element: JsonObject, entry: JsonObject) -> list[JsonObject]:
    """Return the options that an element began with or holds now: they can be chosen again."""
    one = [element.get("initial_option"), entry.get("selected_option")]
    some = [*element.get("initial_options", []), *entry.get("selected_options", [])]
    return [option for option in [*one, *some] if option is not None]


def _option(element: JsonObject, given: object, offered: list[JsonObject]) -> JsonObject:
    options = [*all_options(element), *offered]
    for option in options:
        if given in (option, option["value"], option["text"]["text"]):
            return option
    known = ", ".join(option["value"] for option in options) or "none"
    raise Untypable(f"{element['type']} has no option {given!r}; its options are: {known}")


def _initial_entry(element: JsonObject) -> JsonObject:
    key, initial = VALUE_KEYS[element["type"]]
    return {"type": element["type"], key: element.get(initial, [] if _is_list(key) else None)}


def _is_list(key: str) -> bool:
    return key in {
        "selected_options",
        "selected_users",
        "selected_channels",
        "selected_conversations",
    }


# The checks of Slack's client before it sends a form


def client_errors(blocks: list[JsonObject], state: State) -> dict[str, str]:
    """Return block_id -> sentence for every input that Slack's client would not let through."""
    errors: dict[str, str] = {}
    for block in blocks:
        if block["type"] != "input":
            continue
        element = block["element"]
        key, _ = VALUE_KEYS[element["type"]]
        value = state[block["block_id"], element["action_id"]][key]
        error = _error_of(element, value, required=not block.get("optional", False))
        if error is not None:
            errors[block["block_id"]] = error
    return errors


def _error_of(element: JsonObject, value: Any, *, required: bool) -> str | None:
    if value is None or value in ("", []):
        return "Please complete this required field." if required else None
    check = _CHECKS.get(element["type"])
    return check(element, value) if check else None


def _text_error(element: JsonObject, value: str) -> str | None:
    least, most = element.get("min_length", 0), element.get("max_length", 3000)
    if len(value) < least:
        return f"Please enter at least {least} characters."
    if len(value) > most:
        return f"Please enter no more than {most} characters."
    return None


def _number_error(element: JsonObject, value: str) -> str | None:
    number = read_number(value, decimals=element["is_decimal_allowed"])
    if number is None:
        kind = "number" if element["is_decimal_allowed"] else "whole number"
        return f"Please enter a {kind}."
    if "min_value" in element and number < Decimal(element["min_value"]):
        return f"Please enter a number of at least {element['min_value']}."
    if "max_value" in element and number > Decimal(element["max_value"]):
        return f"Please enter a number of at most {element['max_value']}."
    return None


def _email_error(_element: JsonObject, value: str) -> str | None:
    if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        return None
    return "Please enter a valid email address."


def _url_error(_element: JsonObject, value: str) -> str | None:
    if re.fullmatch(r"https?://[^\s/]+\S*", value):
        return None
    return "Please enter a valid URL."


def _date_error(_element: JsonObject, value: str) -> str | None:
    try:
        date.fromisoformat(value)
    except ValueError:
        return "Please enter a valid date."
    return None


def _count_error(element: JsonObject, value: list[object]) -> str | None:
    most = element.get("max_selected_items")
    if most is not None and len(value) > most:
        return f"Please choose no more than {most}."
    return None


_CHECKS: Mapping[str, Callable[[JsonObject, Any], str | None]] = {
    "plain_text_input": _text_error,
    "number_input": _number_error,
    "email_text_input": _email_error,
    "url_text_input": _url_error,
    "datepicker": _date_error,
    "multi_static_select": _count_error,
    "multi_external_select": _count_error,
    "multi_users_select": _count_error,
    "multi_channels_select": _count_error,
    "multi_conversations_select": _count_error,
}
