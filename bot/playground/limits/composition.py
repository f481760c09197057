"""Composition objects: texts, confirmations, options, pictures.

Source: docs.slack.dev/reference/block-kit/composition-objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.playground.limits.schema import Check, array, by_type, complain, flag, one_of, record, text

if TYPE_CHECKING:
    from bot.playground.refusals import JsonObject

OPTIONS = 100


def plain(longest: int) -> Check:
    """Take a plain_text object."""
    return by_type({"plain_text": plain_text(longest)})


def any_text(longest: int) -> Check:
    """Take a plain_text or mrkdwn object."""
    return by_type({"plain_text": plain_text(longest), "mrkdwn": mrkdwn(longest)})


def plain_text(longest: int) -> Check:
    """Take a plain_text object whose type is known."""
    return record({"type": one_of("plain_text"), "text": text(longest)}, {"emoji": flag()})


def mrkdwn(longest: int) -> Check:
    """Take a mrkdwn object whose type is known."""
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

OPTION = record({"text": plain(75), "value": text(150)}, {"description": plain(75)})
RICH_OPTION = record({"text": any_text(75), "value": text(150)}, {"description": any_text(75)})
MENU_OPTION = record(
    {"text": plain(75), "value": text(150)}, {"description": plain(75), "url": URL}
)
OPTION_GROUP = record({"label": plain(75), "options": array(OPTION, OPTIONS, 1)}, {})
DISPATCH = record(
    {"trigger_actions_on": array(one_of("on_enter_pressed", "on_character_entered"), 2, 1)}, {}
)
FILTER = record(
    {},
    {
        "include": array(one_of("im", "mpim", "private", "public"), 4, 1),
        "exclude_external_shared_channels": flag(),
        "exclude_bot_users": flag(),
    },
)


def image_source(image: JsonObject, at: str, problems: list[str]) -> None:
    """Hold that a picture has one source."""
    if ("image_url" in image) == ("slack_file" in image):
        complain(problems, "must define either `image_url` or `slack_file`", at)


IMAGE = record(
    {"type": one_of("image"), "alt_text": text(2000)},
    {"image_url": URL, "slack_file": record({}, {"id": text(255), "url": URL})},
    image_source,
)
