"""Blocks, and the rich text inside them.

Source: docs.slack.dev/reference/block-kit/blocks.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bot.playground.limits.composition import (
    IMAGE,
    URL,
    any_text,
    image_source,
    mrkdwn,
    plain,
    plain_text,
)
from bot.playground.limits.elements import Surface, elements_of
from bot.playground.limits.schema import (
    Check,
    Rule,
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
    from bot.playground.refusals import JsonObject


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


def _text_or_fields(block: JsonObject, at: str, problems: list[str]) -> None:
    if "text" not in block and "fields" not in block:
        complain(problems, "must define either `text` or `fields`", at)


def _unique_action_ids(block: JsonObject, at: str, problems: list[str]) -> None:
    counted = Counter(e["action_id"] for e in block["elements"] if "action_id" in e)
    for name, count in counted.items():
        if count > 1:
            complain(problems, f"`action_id` must be unique in its block: {name}", at)


def _block(
    name: str, required: dict[str, Check], optional: dict[str, Check], *rules: Rule
) -> Check:
    return record(
        {"type": one_of(name), **required},
        {"block_id": text(255), **optional},
        *rules,
    )


def block_types(surface: Surface) -> Check:
    """Return the check of one block on a surface."""
    return by_type(
        {
            "section": _block(
                "section",
                {},
                {
                    "text": any_text(3000),
                    "fields": array(any_text(2000), 10, 1),
                    "accessory": by_type({**elements_of("section", surface), "image": IMAGE}),
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
                                "image": IMAGE,
                                "plain_text": plain_text(3000),
                                "mrkdwn": mrkdwn(3000),
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
                {"elements": array(by_type(elements_of("actions", surface)), 25, 1)},
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
                image_source,
            ),
            "input": _block(
                "input",
                {"label": plain(2000), "element": by_type(elements_of("input", surface))},
                {"hint": plain(2000), "optional": flag(), "dispatch_action": flag()},
            ),
            "rich_text": _block("rich_text", {"elements": array(_RICH_TEXT, 1000)}, {}),
        }
    )
