"""The filters and tests of templates: pure functions over plain data, each bounded.

They are Jinja's where the name is Jinja's, with these differences: `default` also stands in for
None, `int` refuses what is not a number unless a default is given, `round` to no digits gives an
integer, `tojson` escapes nothing for HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any, Final
from urllib.parse import quote

from engine.errors import TemplateError
from engine.templates.text import json_text, named, text_of

LARGEST_TEXT: Final = 256 * 1024
"""Characters that one text may grow to."""
LARGEST_NUMBER: Final = 10**100
MOST_DIGITS: Final = 50

_ROUNDING: Final = {"common": ROUND_HALF_EVEN, "ceil": ROUND_CEILING, "floor": ROUND_FLOOR}


def bounded_text(text: str) -> str:
    """Return the text; raises TemplateError when it is too long."""
    if len(text) > LARGEST_TEXT:
        raise TemplateError("The text is too long", f"at most {LARGEST_TEXT} characters are made")
    return text


def is_number(value: Any) -> bool:
    """Whether arithmetic is defined for the value."""
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def exact(number: Any) -> int | Decimal:
    """Return a number as int or Decimal, so that arithmetic is exact; raises TemplateError."""
    if not is_number(number):
        raise TemplateError(f"{named(number)} is not a number", "only numbers are calculated with")
    result = Decimal(repr(number)) if isinstance(number, float) else number
    if isinstance(result, Decimal) and not result.is_finite():
        raise TemplateError(f"{number} is not a number to calculate with")
    if abs(result) > LARGEST_NUMBER:
        raise TemplateError("A number is too large to calculate with")
    return result


def _items(value: Any, name: str) -> Sequence[Any]:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, Mapping):
        return list(value)
    raise TemplateError(f"{name} needs a list", f"it was given {named(value)}")


def _default(value: Any, fallback: Any = "") -> Any:
    return fallback if value is None else value


def _join(value: Any, separator: Any = "") -> str:
    parts = [text_of(item) for item in _items(value, "join")]
    glue = text_of(separator)
    if sum(map(len, parts)) + len(glue) * len(parts) > LARGEST_TEXT:
        raise TemplateError("The text is too long", f"at most {LARGEST_TEXT} characters are made")
    return glue.join(parts)


def _replace(value: Any, old: Any, new: Any) -> str:
    text, sought, instead = text_of(value), text_of(old), text_of(new)
    if len(text) + text.count(sought) * len(instead) > LARGEST_TEXT:
        raise TemplateError("The text is too long", f"at most {LARGEST_TEXT} characters are made")
    return text.replace(sought, instead)


def _round(value: Any, digits: Any = 0, method: Any = "common") -> int | Decimal:
    if method not in _ROUNDING:
        raise TemplateError(
            f"round knows no method {named(method)}", f"it knows {', '.join(_ROUNDING)}"
        )
    if not isinstance(digits, int) or not 0 <= digits <= MOST_DIGITS:
        raise TemplateError("round needs a number of digits", f"from 0 to {MOST_DIGITS}")
    number = Decimal(exact(value))
    shifted = number.scaleb(digits).to_integral_value(_ROUNDING[method])
    return int(shifted) if digits == 0 else shifted.scaleb(-digits)


def _int(value: Any, fallback: Any = None) -> Any:
    try:
        if isinstance(value, str):
            return int(exact(Decimal(value.strip()))) if len(value) <= MOST_DIGITS else int("")
        return int(value) if isinstance(value, bool) else int(exact(value))
    except (ValueError, ArithmeticError, TemplateError):
        if fallback is not None:
            return fallback
        raise TemplateError(f"{named(value)} is not a number") from None


def _first(value: Any) -> Any:
    items = _items(value, "first")
    return items[0] if items else None


def _last(value: Any) -> Any:
    items = _items(value, "last")
    return items[-1] if items else None


def _sort(value: Any, reverse: Any = False) -> list[Any]:
    try:
        return sorted(_items(value, "sort"), reverse=bool(reverse))
    except TypeError:
        raise TemplateError("sort needs entries of one kind", "texts, or numbers") from None


def _unique(value: Any) -> list[Any]:
    found = {json_text(item): item for item in reversed(_items(value, "unique"))}
    return list(reversed(found.values()))


def _length(value: Any) -> int:
    return 0 if value is None else len(_items(value, "length"))


FILTERS: Final[Mapping[str, tuple[Callable[..., Any], int, int]]] = {
    "default": (_default, 0, 1),
    "join": (_join, 0, 1),
    "replace": (_replace, 2, 2),
    "length": (_length, 0, 0),
    "lower": (lambda value: text_of(value).lower(), 0, 0),
    "upper": (lambda value: bounded_text(text_of(value).upper()), 0, 0),
    "trim": (lambda value: text_of(value).strip(), 0, 0),
    "title": (lambda value: bounded_text(text_of(value).title()), 0, 0),
    "round": (_round, 0, 2),
    "int": (_int, 0, 1),
    "first": (_first, 0, 0),
    "last": (_last, 0, 0),
    "sort": (_sort, 0, 1),
    "unique": (_unique, 0, 0),
    "tojson": (lambda value: bounded_text(json_text(value)), 0, 0),
    "urlencode": (lambda value: bounded_text(quote(text_of(value), safe="")), 0, 0),
}
"""Name to function, fewest and most arguments beside the value."""

TESTS: Final[Mapping[str, tuple[Callable[..., bool], int]]] = {
    "none": (lambda value: value is None, 0),
    "true": (lambda value: value is True, 0),
    "false": (lambda value: value is False, 0),
    "string": (lambda value: isinstance(value, str), 0),
    "number": (is_number, 0),
    "integer": (lambda value: is_number(value) and isinstance(value, int), 0),
    "boolean": (lambda value: isinstance(value, bool), 0),
    "mapping": (lambda value: isinstance(value, Mapping), 0),
    "sequence": (lambda value: isinstance(value, (list, tuple, str)), 0),
    "even": (lambda value: exact(value) % 2 == 0, 0),
    "odd": (lambda value: exact(value) % 2 == 1, 0),
    "defined": (lambda value: value is not None, 0),
    "undefined": (lambda value: value is None, 0),
}
"""Name to function and number of arguments."""
