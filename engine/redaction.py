"""Secrets taken out of whatever is kept or shown, by their value and in every form they take.

A secret that went into a command comes back as it was, inside JSON (escaped, maybe twice), in a
URL, in base64 (at any of three alignments, alone or as one half of `user:password`), or split
over lines. Redaction runs before anything is cut to a length, since half a secret is not found.

Values shorter than `SHORTEST` are left: blanking every "5432" would make logs unreadable, and who
guesses them needs no log.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

from engine.results import SECRET_DOTS, Json

SHORTEST = 4
"""Characters; shorter secrets are not looked for."""


class Redactor:
    """Replaces the given values by dots. Immutable; cheap when there are none."""

    __slots__ = ("_longest", "_pattern", "values")

    def __init__(self, values: Iterable[str] = ()) -> None:
        """Take the secrets in clear; parts of several lines are looked for line by line too."""
        self.values = tuple(values)
        forms: set[str] = set()
        for value in self.values:
            if len(value) >= SHORTEST:
                forms.update(_forms(value))
        self._longest = max(map(len, forms), default=0)
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """Return `text` with dots for every form of every secret."""
        return text if self._pattern is None else self._pattern.sub(SECRET_DOTS, text)

    def json(self, value: Json) -> Json:
        """Return a JSON value with its texts, keys included, redacted.

        A number that is a secret, written out, becomes dots too.
        """
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.json(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(item) for item in value]
        if value is None or isinstance(value, bool):
            return value
        return SECRET_DOTS if self._pattern.fullmatch(str(value)) else value

    def holds_secret(self, value: Json) -> bool:
        """Whether a JSON value holds a secret anywhere: such an output is stored encrypted."""
        return self._pattern is not None and bool(self.json(value) != value)

    def stream(self) -> RedactedStream:
        """Return a redactor for a text that comes in pieces."""
        return RedactedStream(self)

    def _unfinished(self, text: str) -> int:
        """Return how much of the end of `text` may be the beginning of a secret."""
        return min(len(text), max(0, self._longest - 1))

    def _cut(self, text: str) -> int:
        """Return where `text` may be cut: what is before can be redacted without what follows."""
        cut = len(text) - self._unfinished(text)
        if self._pattern is not None:
            for match in self._pattern.finditer(text):
                if match.start() < cut < match.end():
                    return match.start()
        return cut


NOTHING_SECRET = Redactor()
"""What there is to redact before any secret is known."""


class RedactedStream:
    """Redacts pieces as they come, holding back what may be the beginning of a secret."""

    __slots__ = ("_held", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take the next piece; return what can be shown already."""
        text = self._held + piece
        cut = self._redactor._cut(text)  # noqa: SLF001 - one idea in two classes
        self._held = text[cut:]
        return self._redactor.text(text[:cut])

    def redact_by(self, redactor: Redactor) -> None:
        """Redact by other secrets what was not shown yet."""
        self._redactor = redactor

    def end(self) -> str:
        """Return what was held back."""
        text, self._held = self._held, ""
        return self._redactor.text(text)


def _forms(secret: str) -> Iterator[str]:
    """Yield every text that gives the secret away."""
    parts = [secret, *(line for line in map(str.strip, secret.splitlines()))]
    for part in parts:
        if len(part) >= SHORTEST:
            yield part
            yield from _escaped(part)
    for data in {text.encode("utf-8", "replace") for text in (secret, secret.strip())}:
        if len(data) >= SHORTEST:
            yield from _encoded(data)


def _escaped(text: str) -> Iterator[str]:
    """Yield the secret as JSON, URLs, HTML and Python's repr write it."""
    for as_ascii in (True, False):
        once = json.dumps(text, ensure_ascii=as_ascii)[1:-1]
        yield once
        yield json.dumps(once, ensure_ascii=as_ascii)[1:-1]
    # Go's encoder, and so Terraform's, escapes these three beyond what JSON asks for.
    yield _go_json(text)
    yield html.escape(text)
    yield repr(text)[1:-1]
    raw = text.encode("utf-8", "replace")
    for quoted in (quote(raw, safe=""), quote(raw, safe="/"), quote_plus(raw)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)


def _go_json(text: str) -> str:
    written = json.dumps(text, ensure_ascii=False)[1:-1]
    for char in "<>&":
        written = written.replace(char, f"\\u{ord(char):04x}")
    return written


def _encoded(data: bytes) -> Iterator[str]:
    """Yield the characters of base64 that depend on the secret alone, at each alignment.

    So it is found inside `user:password` of Basic authentication and inside longer texts as well.
    """
    yield base64.b64encode(data).decode("ascii").rstrip("=")
    for before in range(3):
        text = base64.b64encode(b"\0" * before + data).decode("ascii").rstrip("=")
        first = (before * 8 + 5) // 6
        whole = (before + len(data)) * 8 // 6
        piece = text[first:whole]
        if len(piece) >= SHORTEST:
            yield piece
            yield piece.replace("+", "-").replace("/", "_")
    yield data.hex()
