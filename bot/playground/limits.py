"""What Slack refuses: the table of Block Kit's shapes and limits.

Source: docs.slack.dev/reference/block-kit (blocks, elements, composition objects, views), and what
Slack's servers were seen to refuse. Anything that is not written here is refused, so that what
works in the playground works in Slack.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Literal

from bot.playground.refusals import JsonObject, Refused
from bot.playground.schema import (
    Check,
    array,
    by_type,
    complain,
    flag,
    integer,
    one_of,
    record,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Surface = Literal["message", "modal", "home"]

MESSAGE_TEXT = 40_000
MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
VIEW_BYTES = 250_000
OPTIONS = 100


# Composition objects


def plain(longest: int) -> Check:
    """Take a plain_text object."""
    return by_type({"plain_text": _plain_text(longest)})


def any_text(longest: int) -> Check:
    """Take a plain_text or mrkdwn object."""
    return by_type({"plain_text": _plain_text(longest), "mrkdwn": _mrkdwn(longest)})


def _plain_text(longest: int) -> Check:
    return record({"type": one_of("plain_text"), "text": text(longest)}, {"emoji": flag()})


def _mrkdwn(longest: int) -> Check:
    return record({"type": one_of("mrkdwn"), "text": text(longest)}, {"verbatim": flag()})


URL = text(3000, pattern=r"(?s)(https?|mailto|slack):.+")

CONFIRM = record(
    {
        "title": plain(100),
        "text": any_text(300),
        "confirm": plain(30),
        "deny": plain(30),
    },
    {"style": one_of("primary", "danger")},
)

_OPTION = record({"text": plain(75), "value": text(150)}, {"description": plain(75)})
_RICH_OPTION = record({"text": any_text(75), "value": text(150)}, {"description": any_text(75)})
_MENU_OPTION = record(
    {"text": plain(75), "value": text(150)}, {"description": plain(75), "url": URL}
)
_OPTION_GROUP = record({"label": plain(75), "options": array(_OPTION, OPTIONS, 1)}, {})
_DISPATCH = record(
    {"trigger_actions_on": array(one_of("on_enter_pressed", "on_character_entered"), 2, 1)}, {}
)
_FILTER = record(
    {},
    {
        "include": array(one_of("im", "mpim", "private", "public"), 4, 1),
        "exclude_external_shared_channels": flag(),
        "exclude_bot_users": flag(),
    },
)


# Rules between the fields of one object


def _options_or_groups(element: JsonObject, at: str, problems: list[str]) -> None:
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


def _text_or_fields(block: JsonObject, at: str, problems: list[str]) -> None:
    if "text" not in block and "fields" not in block:
        complain(problems, "must define either `text` or `fields`", at)


def _unique_action_ids(block: JsonObject, at: str, problems: list[str]) -> None:
    counted = Counter(e["action_id"] for e in block["elements"] if "action_id" in e)
    for name, count in counted.items():
        if count > 1:
            complain(problems, f"`action_id` must be unique in its block: {name}", at)


def _image_source(image: JsonObject, at: str, problems: list[str]) -> None:
    if ("image_url" in image) == ("slack_file" in image):
        complain(problems, "must define either `image_url` or `slack_file`", at)


def _submit_for_inputs(view: JsonObject, at: str, problems: list[str]) -> None:
    if "submit" not in view and any(block["type"] == "input" for block in view["blocks"]):
        complain(problems, "missing required field: submit", at)


def _day(value: object, at: str, problems: list[str]) -> None:
    try:
        date.fromisoformat(value if isinstance(value, str) and len(value) == 10 else "")
    except ValueError:
        complain(problems, "must be a date as YYYY-MM-DD", at)


# Elements


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
_TYPED = {**_FOCUS, "placeholder": plain(150), "dispatch_action_config": _DISPATCH}
_MANY = {**_SELECT, "max_selected_items": integer(1)}
_STATIC = {
    "options": array(_OPTION, OPTIONS, 1),
    "option_groups": array(_OPTION_GROUP, OPTIONS, 1),
}
_IDS = array(text(255), OPTIONS, 1)
_ONE_OPTION = {"initial_option": _OPTION}
_SOME_OPTIONS = {"initial_options": array(_OPTION, OPTIONS, 1)}
_RESPONSE_URL = {"response_url_enabled": flag()}
_CONVERSATIONS = {"default_to_current_conversation": flag(), "filter": _FILTER}
_QUERY = {"min_query_length": integer(0, 75)}

_IMAGE = record(
    {"type": one_of("image"), "alt_text": text(2000)},
    {"image_url": URL, "slack_file": record({}, {"id": text(255), "url": URL})},
    _image_source,
)


def _named(name: str, required: dict[str, Check]) -> dict[str, Check]:
    return {"type": one_of(name), **required}


def _elements() -> dict[str, Element]:
    everywhere = "section actions input"
    modal_only: tuple[Surface, ...] = ("modal",)

    def element(
        name: str,
        blocks: str,
        optional: dict[str, Check],
        *rules: object,
        required: dict[str, Check] | None = None,
        surfaces: tuple[Surface, ...] = ("message", "modal", "home"),
    ) -> tuple[str, Element]:
        check = record(_named(name, required or {}), optional, *rules)  # type: ignore[arg-type]
        return name, Element(check, blocks, surfaces)

    return dict(
        [
            element(
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
            element(
                "overflow",
                "section actions",
                {**_ACTION, "confirm": CONFIRM},
                required={"options": array(_MENU_OPTION, 5, 1)},
            ),
            element(
                "checkboxes",
                everywhere,
                {**_CHOICE, "initial_options": array(_RICH_OPTION, 10, 1)},
                _initial_among_options,
                required={"options": array(_RICH_OPTION, 10, 1)},
            ),
            element(
                "radio_buttons",
                everywhere,
                {**_CHOICE, "initial_option": _RICH_OPTION},
                _initial_among_options,
                required={"options": array(_RICH_OPTION, 10, 1)},
            ),
            element("datepicker", everywhere, {**_SELECT, "initial_date": _day}),
            element(
                "timepicker",
                everywhere,
                {
                    **_SELECT,
                    "initial_time": text(5, 5, r"([01]\d|2[0-3]):[0-5]\d"),
                    "timezone": text(255),
                },
            ),
            element(
                "datetimepicker",
                "actions input",
                {**_CHOICE, "initial_date_time": integer(10**9, 10**10 - 1)},
                surfaces=("message", "modal"),
            ),
            element(
                "static_select",
                everywhere,
                {**_SELECT, **_STATIC, **_ONE_OPTION},
                _options_or_groups,
                _initial_among_options,
            ),
            element("external_select", everywhere, {**_SELECT, **_QUERY, **_ONE_OPTION}),
            element("users_select", everywhere, {**_SELECT, "initial_user": text(255)}),
            element(
                "conversations_select",
                everywhere,
                {**_SELECT, **_RESPONSE_URL, **_CONVERSATIONS, "initial_conversation": text(255)},
            ),
            element(
                "channels_select",
                everywhere,
                {**_SELECT, **_RESPONSE_URL, "initial_channel": text(255)},
            ),
            element(
                "multi_static_select",
                "section input",
                {**_MANY, **_STATIC, **_SOME_OPTIONS},
                _options_or_groups,
                _initial_among_options,
                _no_more_than_selectable,
            ),
            element(
                "multi_external_select",
                "section input",
                {**_MANY, **_QUERY, **_SOME_OPTIONS},
                _no_more_than_selectable,
            ),
            element(
                "multi_users_select",
                "section input",
                {**_MANY, "initial_users": _IDS},
                _no_more_than_selectable,
            ),
            element(
                "multi_conversations_select",
                "section input",
                {**_MANY, **_CONVERSATIONS, "initial_conversations": _IDS},
                _no_more_than_selectable,
            ),
            element(
                "multi_channels_select",
                "section input",
                {**_MANY, "initial_channels": _IDS},
                _no_more_than_selectable,
            ),
            element(
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
            element(
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
                surfaces=modal_only,
            ),
            element(
                "email_text_input",
                "input",
                {**_TYPED, "initial_value": text(3000)},
                surfaces=modal_only,
            ),
            element(
                "url_text_input",
                "input",
                {**_TYPED, "initial_value": text(3000)},
                surfaces=modal_only,
            ),
        ]
    )


ELEMENTS = _elements()
"""Every block element that the playground knows, by its type."""


def _elements_of(block: str, surface: Surface) -> dict[str, Check]:
    return {
        name: element.check
        for name, element in ELEMENTS.items()
        if block in element.blocks.split() and surface in element.surfaces
    }


# Rich text: what a message written by an app may hold


_STYLE = record({}, {name: flag() for name in ("bold", "italic", "strike", "code")})
_INLINE = by_type(
    {
        "text": record({"type": one_of("text"), "text": text(3000)}, {"style": _STYLE}),
        "link": record({"type": one_of("link"), "url": URL}, {"text": text(3000), "style": _STYLE}),
        "emoji": record({"type": one_of("emoji"), "name": text(255)}, {"style": _STYLE}),
        "user": record({"type": one_of("user"), "user_id": text(255)}, {"style": _STYLE}),
        "channel": record({"type": one_of("channel"), "channel_id": text(255)}, {"style": _STYLE}),
    }
)


def _rich(name: str, of: Check, **optional: Check) -> Check:
    return record({"type": one_of(name), "elements": array(of, 1000)}, optional)


_RICH_SECTION = _rich("rich_text_section", _INLINE)
_RICH_TEXT = by_type(
    {
        "rich_text_section": _RICH_SECTION,
        "rich_text_list": record(
            {
                "type": one_of("rich_text_list"),
                "style": one_of("bullet", "ordered"),
                "elements": array(by_type({"rich_text_section": _RICH_SECTION}), 1000),
            },
            {"indent": integer(0, 8), "offset": integer(0), "border": integer(0, 1)},
        ),
        "rich_text_preformatted": _rich("rich_text_preformatted", _INLINE, border=integer(0, 1)),
        "rich_text_quote": _rich("rich_text_quote", _INLINE, border=integer(0, 1)),
    }
)


# Blocks


def _block(
    name: str, required: dict[str, Check], optional: dict[str, Check], *rules: object
) -> Check:
    return record(
        _named(name, required),
        {"block_id": text(255), **optional},
        *rules,  # type: ignore[arg-type]
    )


def _block_types(surface: Surface) -> Check:
    return by_type(
        {
            "section": _block(
                "section",
                {},
                {
                    "text": any_text(3000),
                    "fields": array(any_text(2000), 10, 1),
                    "accessory": by_type({**_elements_of("section", surface), "image": _IMAGE}),
                    "expand": flag(),
                },
                _text_or_fields,
            ),
            "header": _block("header", {"text": plain(150)}, {}),
            "divider": _block("divider", {}, {}),
            "context": _block(
                "context",
                {
                    "elements": array(
                        by_type(
                            {
                                "image": _IMAGE,
                                "plain_text": _plain_text(3000),
                                "mrkdwn": _mrkdwn(3000),
                            }
                        ),
                        10,
                        1,
                    )
                },
                {},
            ),
            "actions": _block(
                "actions",
                {"elements": array(by_type(_elements_of("actions", surface)), 25, 1)},
                {},
                _unique_action_ids,
            ),
            "image": _block(
                "image",
                {"alt_text": text(2000)},
                {
                    "image_url": URL,
                    "slack_file": record({}, {"id": text(255), "url": URL}),
                    "title": plain(2000),
                },
                _image_source,
            ),
            "input": _block(
                "input",
                {"label": plain(2000), "element": by_type(_elements_of("input", surface))},
                {"hint": plain(2000), "optional": flag(), "dispatch_action": flag()},
            ),
            "rich_text": _block("rich_text", {"elements": array(_RICH_TEXT, 1000)}, {}),
        }
    )


_BLOCKS: dict[Surface, Check] = {
    "message": array(_block_types("message"), MESSAGE_BLOCKS),
    "modal": array(_block_types("modal"), VIEW_BLOCKS),
    "home": array(_block_types("home"), VIEW_BLOCKS),
}

_VIEW_COMMON: dict[str, Check] = {
    "private_metadata": text(3000, 0),
    "callback_id": text(255, 0),
    "external_id": text(255, 0),
}

_VIEWS: dict[str, Check] = {
    "modal": record(
        {"type": one_of("modal"), "title": plain(24), "blocks": _BLOCKS["modal"]},
        {
            **_VIEW_COMMON,
            "submit": plain(24),
            "close": plain(24),
            "clear_on_close": flag(),
            "notify_on_close": flag(),
        },
        _submit_for_inputs,
    ),
    "home": record({"type": one_of("home"), "blocks": _BLOCKS["home"]}, _VIEW_COMMON),
}

_SUGGESTIONS = record(
    {},
    {
        "options": array(_OPTION, OPTIONS),
        "option_groups": array(_OPTION_GROUP, OPTIONS),
    },
    _options_or_groups,
)


# What the methods ask


def check_blocks(blocks: object) -> None:
    """Judge the blocks of a message; raises Refused(`invalid_blocks`)."""
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise Refused("invalid_blocks_format")
    problems: list[str] = []
    _BLOCKS["message"](blocks, "/blocks", problems)
    problems = problems or _over_the_surface(blocks, "/blocks")
    if problems:
        raise Refused("invalid_blocks", problems)


def check_text(message_text: object) -> None:
    """Judge a message's text; raises Refused(`msg_too_long`)."""
    if not isinstance(message_text, str):
        raise Refused("invalid_arguments", ["must provide a string [json-pointer:/text]"])
    if len(message_text) > MESSAGE_TEXT:
        raise Refused("msg_too_long")


def check_message(body: JsonObject) -> tuple[str | None, list[JsonObject] | None]:
    """Return text and blocks of a message to be written, None for what is not given.

    Raises:
        Refused: `no_text`, `msg_too_long`, `invalid_blocks` or `invalid_blocks_format`.
    """
    message_text, blocks = body.get("text"), body.get("blocks")
    if not message_text and not blocks:
        raise Refused("no_text")
    if message_text is not None:
        check_text(message_text)
    if blocks is not None:
        check_blocks(blocks)
    return message_text, blocks


def check_view(view: object, surface: Literal["modal", "home"]) -> None:
    """Judge a view; raises Refused(`view_too_large` or `invalid_arguments`)."""
    if len(json.dumps(view, ensure_ascii=False).encode()) > VIEW_BYTES:
        raise Refused("view_too_large")
    problems: list[str] = []
    by_type({surface: _VIEWS[surface]})(view, "/view", problems)
    if not problems and isinstance(view, dict):
        problems = _over_the_surface(view["blocks"], "/view/blocks")
    if problems:
        raise Refused("invalid_arguments", problems)


def check_suggestions(answer: object) -> None:
    """Judge an app's answer to block_suggestion; raises Refused(`invalid_arguments`)."""
    problems: list[str] = []
    _SUGGESTIONS(answer, "", problems)
    if problems:
        raise Refused("invalid_arguments", problems)


def check_field_errors(errors: object, view: JsonObject) -> None:
    """Judge the `errors` of a response_action: keyed by input blocks of this very view."""
    inputs = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
    problems: list[str] = []
    if not isinstance(errors, dict) or not errors:
        complain(problems, "must provide an object", "/errors")
        raise Refused("invalid_arguments", problems)
    for block_id, message in errors.items():
        if block_id not in inputs:
            complain(problems, f"no input block has the block_id: {block_id}", "/errors")
        text(3000)(message, f"/errors/{block_id}", problems)
    if problems:
        raise Refused("invalid_arguments", problems)


def _over_the_surface(blocks: list[JsonObject], at: str) -> list[str]:
    problems: list[str] = []
    counted = Counter(block["block_id"] for block in blocks if "block_id" in block)
    for name, count in counted.items():
        if count > 1:
            complain(problems, f"`block_id` must be unique: {name}", at)
    if sum(bool(element.get("focus_on_load")) for _, element in elements_in(blocks)) > 1:
        complain(problems, "only one element may have focus_on_load", at)
    return problems


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
