r"""Rows as the text that COPY FROM STDIN takes, made where there is time for it.

The format is PostgreSQL's "text": a line a row, columns separated by tabs, `\N` for NULL.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Json:
    """A value for a JSONB column."""

    value: Any


def copy_line(values: Sequence[str | bool | Json | Sequence[str] | None]) -> bytes:
    """Return one row; a sequence of texts is for a TEXT[] column."""
    return ("\t".join(map(_column, values)) + "\n").encode()


def json_text(value: Any) -> str:
    """Return a JSON text, the same for equal values; NUL and lone surrogates must be out."""
    return json.dumps(
        value, default=_number, allow_nan=False, sort_keys=True, separators=(",", ":")
    )


def _column(value: str | bool | Json | Sequence[str] | None) -> str:
    match value:
        case None:
            return "\\N"
        case bool():
            return "t" if value else "f"
        case str():
            return value.translate(_ESCAPES)
        case Json():
            return json_text(value.value).translate(_ESCAPES)
    return f"{{{','.join(map(_element, value))}}}".translate(_ESCAPES)


def _element(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _number(value: Any) -> int | float:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return int(value) if value == value.to_integral_value() else float(value)
