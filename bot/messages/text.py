"""Text as Slack takes it: escaped, never too long, never empty.

Lengths are in code points, as Slack counts them. Everything that comes from outside the bot passes
through `escaped`, `authored`, `plain`, `code` or `link` on its way out, so that it can neither
mention a channel, nor fake a link, nor make Slack refuse the message.

Nor is it drawn as markup. Values that people may copy (parameters, outputs, errors) stand in plain
text or code, character by character. Within a sentence that is not possible, and mrkdwn knows no
escape for its own signs: there a `*`, `_` or `~` at the edge of a word, where alone Slack would
read it as markup, becomes a sign that looks alike. Bare addresses stay text by `verbatim`.
Sources: docs.slack.dev/messaging/formatting-message-text, docs.slack.dev/reference/block-kit.
"""

import re
from datetime import datetime
from typing import Any, Final

TextObject = dict[str, Any]

SECTION: Final = 3000
HEADER: Final = 150
FIELD: Final = 2000
CONTEXT: Final = 2000
MESSAGE: Final = 4000
BUTTON: Final = 75
OPTION: Final = 75
PLACEHOLDER: Final = 150
LABEL: Final = 2000

NOTHING: Final = "–"
"""Stands where a text is empty: Slack refuses empty texts."""

_UNSPEAKABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_SPACE = re.compile(r"\s+")
_LINKABLE = re.compile(r"https?://[^\s<>|]+")
_MARKUP = re.compile(r"(?<![^\W_])[*_~]|[*_~](?![^\W_])|`")
_LOOKALIKES = str.maketrans({"*": "∗", "_": "ˍ", "~": "∼", "`": "ʼ"})


def escape(text: str) -> str:
    """Return `text` so that Slack shows it as it is: no mention, no link."""
    return speakable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def speakable(text: str) -> str:
    """Return `text` with what JSON or Slack cannot carry replaced: lone surrogates, controls."""
    return _UNSPEAKABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def cut(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`, with an ellipsis where some were left out."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def escaped(text: str, limit: int) -> str:
    """Return foreign `text` for a sentence: escaped, none of it markup, cut to `limit`."""
    literal = _MARKUP.sub(lambda sign: sign[0].translate(_LOOKALIKES), text)
    return authored(literal, limit)


def authored(text: str, limit: int) -> str:
    """Escape `text` of ours, or of the catalog's authors, whose markup counts; cut it to `limit`.

    It is never cut in the middle of an escape.
    """
    whole = escape(text)
    if len(whole) <= limit:
        return whole
    head = whole[: limit - 1]
    start = head.rfind("&")
    if start != -1 and ";" not in head[start:]:
        head = head[:start]
    return head + "…"


def one_line(text: str) -> str:
    """Return `text` with every run of white space, line ends too, as one space."""
    return _SPACE.sub(" ", text).strip()


def plain(text: str, limit: int = SECTION) -> TextObject:
    """Return a plain_text object; nothing in it is read as markup."""
    clean = speakable(text)
    return {"type": "plain_text", "text": cut(clean, limit) if clean.strip() else NOTHING}


def literal(text: str, limit: int = SECTION) -> TextObject:
    """Return a plain_text object of a value: shown as it is, words between colons too."""
    return {**plain(text, limit), "emoji": False}


def mrkdwn(markup: str, limit: int = SECTION) -> TextObject:
    """Return a mrkdwn object of text that is already safe: ours, or made by `escaped` and `code`.

    `verbatim`: Slack turns no bare word of it into a link, a channel or a mention.
    """
    return {
        "type": "mrkdwn",
        "text": _cut_markup(markup, limit) if markup.strip() else NOTHING,
        "verbatim": True,
    }


def code(text: str, limit: int = 200) -> str:
    """Return `text` as inline code; its own backticks cannot end it."""
    inner = authored(one_line(text).replace("`", "ʼ"), limit)
    return f"`{inner or NOTHING}`"


def code_block(text: str, limit: int = 2500) -> str:
    """Return `text` as a preformatted block."""
    inner = authored(text.replace("```", "ʼʼʼ").strip("\n"), limit)
    return f"```{inner or NOTHING}```"


def link(url: str | None, label: str) -> str:
    """Return a link to an http(s) address, or the bare label where the address is not one."""
    words = escaped(one_line(label).replace("|", "¦"), 200) or NOTHING
    if url is None or len(url) > 2000 or not _LINKABLE.fullmatch(url):
        return words
    return f"<{url.replace('&', '&amp;')}|{words}>"


def mention(user_id: str) -> str:
    """Return a mention of a person; of a name that is no Slack id only the name."""
    return f"<@{user_id}>" if is_slack_user(user_id) else escaped(user_id, 100)


def is_slack_user(user_id: str) -> bool:
    """Tell whether `user_id` is a Slack user's: the command line's people have others."""
    return re.fullmatch(r"[UW][A-Z0-9]{2,}", user_id) is not None


def moment(at: datetime, form: str = "{date_short_pretty} {time}") -> str:
    """Return a time that Slack shows in each reader's own zone."""
    return f"<!date^{int(at.timestamp())}^{form}|{at:%Y-%m-%d %H:%M} UTC>"


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units: `4 s`, `1 min 20 s`, `2 h 5 min`."""
    whole = max(0, round(seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, secs = divmod(rest, 60)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (secs, "s")]
    first = next((i for i, (count, _) in enumerate(units) if count), len(units) - 1)
    told = [f"{count} {unit}" for count, unit in units[first : first + 2] if count]
    return " ".join(told) or "0 s"


def _cut_markup(markup: str, limit: int) -> str:
    """Cut text with markup in it; what would be left half of a link or an escape goes as well."""
    if len(markup) <= limit:
        return markup
    head = markup[: limit - 4]
    for opening, closing in (("<", ">"), ("&", ";")):
        start = head.rfind(opening)
        if start != -1 and closing not in head[start:]:
            head = head[:start]
    if head.count("```") % 2:
        return head + "…```"
    if head.rsplit("\n", 1)[-1].count("`") % 2:
        return head + "…`"
    return head + "…"
