"""Block Kit's elements as the forms use them, and how a value stands in one.

Elements are plain dictionaries: sixty fields must cost no more than writing them down.
Source of shapes and limits: docs.slack.dev/reference/block-kit/block-elements.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from bot.messages.text import OPTION, PLACEHOLDER, one_line, plain

Json = Any
Element = dict[str, Any]
Entry = Mapping[str, Any]

OPTION_VALUE: Final = 150
RADIO_BUTTONS: Final = 5
CHECKBOXES: Final = 10
STATIC_OPTIONS: Final = 100
ACTION: Final = "field"
OTHER: Final = "other"
"""action_id of the text input beside a select that takes other values too."""
OPTIONS_ACTION: Final = "field_options"
"""action_id of selects whose options the bot is asked for."""


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
    return with_known(element, initial_option=initial)


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
    return with_known(element, initial_options=list(initial) or None)


def option_key(text: str, at: int) -> str:
    """Return what an option brings back for `text`: itself, or its place where it is too long."""
    return text if 0 < len(text) <= OPTION_VALUE else f"#{at}"


def with_known(element: Element, **initial: Json) -> Element:
    """Add what is known; Slack refuses empty initial values."""
    element.update({key: value for key, value in initial.items() if value is not None})
    return element


def as_text(value: Json) -> str:
    """Return a value as a text input holds it."""
    if isinstance(value, bool):
        return str(value).lower()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
