r"""Rows as the text that COPY FROM STDIN takes, made where there is time for it.

The format is PostgreSQL's "text": a line a row, columns separated by tabs, `\N` for NULL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Json:
    """A value for a JSONB column."""

    value: Any


Value = str | bool | Json | Sequence[str] | None
"""A value of a column; a sequence of texts is for a TEXT[] column."""


def copy_line(values: Sequence[Value]) -> bytes:
    """Return one row."""
    return f"{copy_text(values)}\n".encode()


def copy_text(values: Sequence[Value]) -> str:
    """Return columns that stand beside each other."""
    return "\t".join(map(_column, values))


def json_text(value: Any) -> str:
    """Return a JSON text, the same for equal values; NUL and lone surrogates must be out."""
    return _ENCODER.encode(value)


def _column(value: Value) -> str:
    match value:
        case None:
            return "\\N"
        case str():
            return value.translate(_ESCAPES) if _SPECIAL.search(value) else value
        case bool():
            return "t" if value else "f"
        case Json():
            return json_text(value.value).replace("\\", "\\\\")  # the others it escapes itself
    return f"{{{','.join(map(_element, value))}}}".translate(_ESCAPES)


def _element(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _number(value: Any) -> int | float:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return int(value) if value == value.to_integral_value() else float(value)


_ENCODER = json.JSONEncoder(default=_number, allow_nan=False, sort_keys=True, separators=(",", ":"))
