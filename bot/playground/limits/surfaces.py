"""Messages, modals and the App Home: what the methods of the Web API ask about a whole payload.

Source: docs.slack.dev/reference/views and docs.slack.dev/reference/methods/chat.postMessage.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Literal

from bot.playground.limits.blocks import block_types
from bot.playground.limits.composition import OPTION, OPTION_GROUP, OPTIONS, plain
from bot.playground.limits.elements import Surface, elements_in, options_or_groups
from bot.playground.limits.schema import (
    Check,
    array,
    by_type,
    complain,
    flag,
    one_of,
    record,
    text,
)
from bot.playground.refusals import Refused

if TYPE_CHECKING:
    from bot.playground.refusals import JsonObject

MESSAGE_TEXT = 40_000
MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
VIEW_BYTES = 250_000


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


# The shapes


def _submit_for_inputs(view: JsonObject, at: str, problems: list[str]) -> None:
    if "submit" not in view and any(block["type"] == "input" for block in view["blocks"]):
        complain(problems, "missing required field: submit", at)


_BLOCKS: dict[Surface, Check] = {
    "message": array(block_types("message"), MESSAGE_BLOCKS),
    "modal": array(block_types("modal"), VIEW_BLOCKS),
    "home": array(block_types("home"), VIEW_BLOCKS),
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
        "options": array(OPTION, OPTIONS),
        "option_groups": array(OPTION_GROUP, OPTIONS),
    },
    options_or_groups,
)
