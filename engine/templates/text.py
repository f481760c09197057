"""Values as text: how a template writes a value into the text around it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.errors import LONGEST_QUOTE


def text_of(value: Any) -> str:
    """Return what stands in the text for a value: nothing for None, JSON for lists and mappings."""
    match value:
        case str():
            return value
        case None:
            return ""
        case Decimal():
            return format(value, "f")
        case list() | tuple() | Mapping():
            return json_text(value)
        case _:
            return str(value)


def named(value: Any) -> str:
    """Return a value as an error names it, a long one by its length alone.

    It may be a secret, and redaction, which comes later, finds no part of one.
    """
    text = text_of(value)
    return repr(text) if len(text) <= LONGEST_QUOTE else f"a value of {len(text)} characters"


def json_text(value: Any) -> str:
    """Return a value as JSON, decimals digit for digit; raises ValueError for what is not JSON."""
    match value:
        case Decimal():
            if not value.is_finite():
                raise ValueError(f"{value} is not JSON")
            return format(value, "f")
        case list() | tuple():
            return f"[{', '.join(map(json_text, value))}]"
        case Mapping():
            pairs = (f"{json.dumps(str(key))}: {json_text(inner)}" for key, inner in value.items())
            return f"{{{', '.join(pairs)}}}"
        case None | bool() | int() | float() | str():
            return json.dumps(value, allow_nan=False, ensure_ascii=False)
        case _:
            raise ValueError(f"a {type(value).__name__} is not JSON")
