"""Plain scalars by YAML's 1.2 core schema: what a bare word is.

Only `true` and `false` are booleans, so `no`, `on`, `22:30` and dates stay text. Whole numbers are
integers, all others exact decimals. https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from engine.catalog.scalars import LARGEST_INTEGER, SMALLEST_INTEGER

_WORDS: Final[Mapping[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMERIC_START: Final = frozenset("0123456789+-.")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

LONGEST_NUMBER: Final = 400
LARGEST_EXPONENT: Final = 300


class BadNumber(ValueError):
    """A number that cannot be kept; `code` is the finding's."""

    def __init__(self, code: str, message: str) -> None:
        """Take the code and the sentence."""
        super().__init__(message)
        self.code = code


def resolve(text: str) -> Any:
    """Return the value of a plain scalar; raises BadNumber."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC_START:
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text, 10)
    if _FLOAT.fullmatch(text):
        return _decimal(text)
    if _BASED.fullmatch(text):
        return _integer(text[2:], 8 if text[1] == "o" else 16)
    if _ENDLESS.fullmatch(text):
        raise BadNumber("not-finite", f"{text} is not a number that can be kept")
    return text


def _integer(digits: str, base: int) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise BadNumber("number-too-large", "the number is beyond 64 bits")
    number = int(digits, base)
    if not SMALLEST_INTEGER <= number <= LARGEST_INTEGER:
        raise BadNumber("number-too-large", f"the number {number} is beyond 64 bits")
    return number


def _decimal(text: str) -> Decimal:
    if len(text) > LONGEST_NUMBER:
        raise BadNumber("number-too-large", "the number has too many digits")
    number = Decimal(text)
    if number and abs(number.adjusted()) > LARGEST_EXPONENT:
        raise BadNumber("number-too-large", f"the number {text} is too large or too fine")
    return number
