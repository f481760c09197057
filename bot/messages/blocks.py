"""The blocks that messages and views are built of. Texts that come in are already safe markup."""

from collections.abc import Sequence
from typing import Any, Final

from bot.messages.text import (
    BUTTON,
    CONTEXT,
    FIELD,
    HEADER,
    SECTION,
    cut,
    escaped,
    literal,
    mrkdwn,
    one_line,
    plain,
    speakable,
)

Block = dict[str, Any]
Message = tuple[str, list[Block]]
"""What notifications show, and what the message shows."""

MESSAGE_BLOCKS: Final = 50
VIEW_BLOCKS: Final = 100


def section(markup: str, *, accessory: Block | None = None, block_id: str | None = None) -> Block:
    """Return a paragraph, with a button or a menu beside it if given."""
    block: Block = {"type": "section", "text": mrkdwn(markup)}
    if accessory is not None:
        block["accessory"] = accessory
    if block_id is not None:
        block["block_id"] = block_id
    return block


def paragraphs(lines: Sequence[str]) -> list[Block]:
    """Return lines, as many to a paragraph as fit."""
    packed: list[str] = []
    for line in lines:
        if packed and len(packed[-1]) + len(line) < SECTION - 10:
            packed[-1] += f"\n{line}"
        else:
            packed.append(line)
    return [section(text) for text in packed]


def columns(texts: Sequence[str]) -> list[Block]:
    """Return short texts in two columns, ten to a block."""
    return [
        {"type": "section", "fields": [mrkdwn(text, FIELD) for text in texts[at : at + 10]]}
        for at in range(0, len(texts), 10)
    ]


def table(rows: Sequence[tuple[str, str]]) -> list[Block]:
    """Return (label, value) in two columns, five to a block; a value is shown character by character."""
    cells = [
        cell
        for label, value in rows
        for cell in (mrkdwn(f"*{escaped(one_line(label), 200)}*", FIELD), literal(value, FIELD))
    ]
    return [{"type": "section", "fields": cells[at : at + 10]} for at in range(0, len(cells), 10)]


def header(text: str) -> Block:
    """Return a heading in large letters; plain text."""
    return {"type": "header", "text": plain(one_line(text), HEADER)}


def context(*markups: str) -> Block:
    """Return a line in small letters."""
    return {"type": "context", "elements": [mrkdwn(text, CONTEXT) for text in markups[:10]]}


def divider() -> Block:
    """Return a line across."""
    return {"type": "divider"}


def button(
    text: str,
    action_id: str,
    value: str = "",
    *,
    style: str | None = None,
    url: str | None = None,
    confirm: Block | None = None,
) -> Block:
    """Return a button. `value` is what the click brings back, at most 2000 characters."""
    element: Block = {"type": "button", "text": plain(text, BUTTON), "action_id": action_id}
    if value:
        element["value"] = cut(speakable(value), 2000)
    if style is not None:
        element["style"] = style
    if url is not None:
        element["url"] = url
    if confirm is not None:
        element["confirm"] = confirm
    return element


def actions(*elements: Block) -> list[Block]:
    """Return a row of buttons; nothing where there is none."""
    return [{"type": "actions", "elements": list(elements[:25])}] if elements else []


def confirmation(title: str, text: str, confirm: str, deny: str = "Go back") -> Block:
    """Return the question that Slack asks before it sends a click; plain text."""
    return {
        "title": plain(title, 100),
        "text": plain(text, 300),
        "confirm": plain(confirm, 30),
        "deny": plain(deny, 30),
    }


def modal(
    title: str,
    blocks: Sequence[Block],
    *,
    callback_id: str,
    submit: str | None = None,
    close: str = "Close",
    private_metadata: str = "",
    notify_on_close: bool = False,
) -> Block:
    """Return a modal view."""
    view: Block = {
        "type": "modal",
        "callback_id": callback_id,
        "title": plain(one_line(title), 24),
        "close": plain(close, 24),
        "blocks": list(blocks[:VIEW_BLOCKS]),
    }
    if submit is not None:
        view["submit"] = plain(submit, 24)
    if private_metadata:
        view["private_metadata"] = private_metadata
    if notify_on_close:
        view["notify_on_close"] = True
    return view
