"""Selections and multiselects: their options as Slack shows them, and the chosen ones as values.

Slack brings back an option's value, at most 150 characters of text, and its label: a longer value
goes by its place in the list.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, cast

from bot.forms.elements import (
    ACTION,
    CHECKBOXES,
    OPTION_VALUE,
    OPTIONS_ACTION,
    RADIO_BUTTONS,
    STATIC_OPTIONS,
    Element,
    Entry,
    Json,
    as_text,
    external_select,
    option,
    with_known,
)
from bot.messages.text import PLACEHOLDER, plain
from engine import BaseField, MultiselectField, Option, SelectionField

SOURCE_DOWN: Final = "pao:source-is-down"


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


def selection(field: SelectionField, value: Json) -> Element:
    """Return what asks for one of the options: buttons, a menu, or one that asks the bot."""
    initial = initial_option(field, value)
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
    return with_known(element, initial_option=initial)


def multiselect(field: MultiselectField, value: Json) -> Element:
    """Return what asks for some of the options: boxes, a menu, or one that asks the bot."""
    initial = _initial_options(field, value)
    count = len(field.choices)
    external = field.options_from is not None or count > STATIC_OPTIONS
    if not external and count <= CHECKBOXES:
        element: Element = {"type": "checkboxes", "action_id": ACTION, "options": options(field)}
        return with_known(element, initial_options=initial or None)
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
    return with_known(element, initial_options=initial or None)


def _choices(field: BaseField) -> Sequence[Option]:
    return cast("SelectionField | MultiselectField", field).choices


def _option(choice: Option, at: int) -> Element:
    fits = 0 < len(choice.text) <= OPTION_VALUE
    return option(choice.title, choice.text if fits else str(at), choice.description)


def initial_option(field: BaseField, value: Json) -> Element | None:
    """Return the option that stands for a value; of a fetched list, one made for it."""
    if value is None:
        return None
    text = as_text(value)
    for at, choice in enumerate(_choices(field)):
        if choice.text == text:
            return _option(choice, at)
    fetched = cast("SelectionField | MultiselectField", field).options_from is not None
    return option(text, text) if fetched and 0 < len(text) <= OPTION_VALUE else None


def _initial_options(field: BaseField, value: Json) -> list[Element]:
    chosen = value if isinstance(value, list | tuple) else []
    found = (initial_option(field, one) for one in chosen)
    return [one for one in found if one is not None]


def chosen_value(field: BaseField, chosen: Entry | None) -> Json:
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
