"""Texts, as string, textarea and secret fields take them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from engine.catalog import fields as f
from engine.catalog.refusal import Refused, Surroundings
from engine.catalog.scalars import describe
from engine.regexps import compile_pattern

Json = Any

LONGEST_TEXT: Final = 100_000
"""Characters of any value given as text."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_MAILBOX = re.compile(r"[^@\s\"(),:;<>\[\\\]]{1,64}")


def plain_text(value: Json, *, lines: bool = False) -> str:
    """Return a text of line feeds and no control characters; raises Refused."""
    if not isinstance(value, str):
        raise Refused(f"This must be a text, not {describe(value)}.", "wrong_type")
    if len(value) > LONGEST_TEXT:
        raise Refused(f"This is too long; at most {LONGEST_TEXT} characters are taken.", "too_long")
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    if _CONTROL.search(text):
        raise Refused("This holds control characters; remove them.", "control_character")
    if not lines and "\n" in text:
        raise Refused("This must be one line.", "several_lines")
    return text


def _length(text: str, shortest: int | None, longest: int | None) -> None:
    if shortest is not None and len(text) < shortest:
        raise Refused(f"At least {_count(shortest)} are needed; this has {len(text)}.", "too_short")
    if longest is not None and len(text) > longest:
        raise Refused(f"At most {_count(longest)} are allowed; this has {len(text)}.", "too_long")


def _count(number: int) -> str:
    return f"{number} character" + "s" * (number != 1)


def check_string(spec: f.StringField, value: Json, _around: Surroundings) -> str:
    """Return the value of a string field as it is stored; raises Refused."""
    text = plain_text(value)
    _length(text, spec.min_length, spec.max_length)
    if spec.format is not None and not _FORMATS[spec.format](text):
        raise Refused(f"This must be {_FORMAT_WORDS[spec.format]}.", "format")
    if spec.regexp is not None and not compile_pattern(spec.regexp).matches(text):
        raise Refused(f"This must match the pattern {spec.regexp} as a whole.", "pattern")
    return text


def check_textarea(spec: f.TextareaField, value: Json, _around: Surroundings) -> str:
    """Return the value of a textarea field as it is stored; raises Refused."""
    text = plain_text(value, lines=True)
    _length(text, spec.min_length, spec.max_length)
    return text


def check_secret(spec: f.SecretField, value: Json, _around: Surroundings) -> str:
    """Return the value of a secret field as it is stored; raises Refused."""
    text = plain_text(value, lines=True)
    _length(text, spec.min_length, None)
    return text


def _is_hostname(text: str) -> bool:
    labels = text.removesuffix(".").split(".")
    return len(text) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def _is_email(text: str) -> bool:
    name, at, host = text.rpartition("@")
    dots = not (name.startswith(".") or name.endswith(".") or ".." in name)
    return bool(at) and dots and bool(_MAILBOX.fullmatch(name)) and _is_hostname(host)


def _is_url(text: str) -> bool:
    if any(c.isspace() for c in text):
        return False
    try:
        parts = urlsplit(text)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port_is_good


_FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    "email": _is_email,
    "url": _is_url,
    "hostname": _is_hostname,
}
_FORMAT_WORDS: Final[Mapping[str, str]] = {
    "email": "an e-mail address, like name@example.com",
    "url": "an address that begins with https:// or http://",
    "hostname": "a host name, like db.example.com",
}
