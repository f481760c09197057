"""JSON from outside (HTTP answers, Terraform's output), made safe to keep and to look into.

PostgreSQL's jsonb knows no NUL, no lone surrogate, no NaN, and numbers only up to a size; recursion
breaks on deep documents. So: NUL and lone surrogates become U+FFFD, numbers that are not finite or
too large become text, and a document nested deeper than `DEPTH` is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Json = Any

DEPTH = 100
"""Levels of lists and objects; deeper ones are refused."""

DIGITS = 1000
"""Longest number, written out, that stays a number."""

_OBJECTS = (dict, Mapping)
"""A dict is told much sooner by itself than as a Mapping."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse_json(text: str | bytes) -> Json:
    """Return the value of a JSON text, safe to store; fractions as Decimal.

    Raises ValueError with a reason for what is no JSON or is nested too deeply.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig", "replace")
    try:
        value = json.loads(
            text, parse_float=_fraction, parse_int=_integer, parse_constant=lambda word: word
        )
    except RecursionError:
        raise ValueError(f"nested more than {DEPTH} levels deep") from None
    return clean(value)


def clean(value: Json, depth: int = DEPTH) -> Json:
    """Return `value` without anything that jsonb refuses; ValueError when nested too deeply."""
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, int):
        return value  # with texts nearly all there is, and quicker to tell than what is a mapping
    if isinstance(value, _OBJECTS):
        _check(depth)
        return {clean_text(str(key)): clean(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        _check(depth)
        return [clean(item, depth - 1) for item in value]
    if isinstance(value, float):
        return _fraction(repr(value))
    return value


def clean_text(text: str) -> str:
    """Return `text` with U+FFFD for each NUL and lone surrogate."""
    if text.isascii() and "\x00" not in text:
        return text  # nearly always, and much quicker than the pattern
    return _UNSTORABLE.sub("�", text)


def size_of(value: Json) -> int:
    """Return how many bytes `value` takes as JSON text."""
    return len(dump_json(value))


def dump_json(value: Json) -> str:
    """Return JSON text in ASCII; decimals are written as the numbers they are."""
    return _ENCODER.encode(value)


def _check(depth: int) -> None:
    if depth <= 0:
        raise ValueError(f"nested more than {DEPTH} levels deep")


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= DIGITS else text


def _fraction(text: str) -> Decimal | str:
    number = Decimal(text)
    too_long = not number.is_finite() or abs(number.adjusted()) > DIGITS or len(text) > DIGITS
    return text if too_long else number


def _plain(value: object) -> int | float:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return int(value) if value == value.to_integral_value() else float(value)


_ENCODER = json.JSONEncoder(allow_nan=False, default=_plain)
