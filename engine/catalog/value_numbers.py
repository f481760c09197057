"""Numbers, exact: integers of 64 bits, decimals, percentages."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final

from engine.catalog import fields as f
from engine.catalog.refusal import Refused, Surroundings
from engine.catalog.scalars import LARGEST_INTEGER, SMALLEST_INTEGER, describe
from engine.errors import quoted

Json = Any

LARGEST_EXPONENT: Final = 100
"""Powers of ten that a decimal may reach either way: keeps exact arithmetic cheap."""
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)


def parse_integer(_spec: f.IntegerField, text: str) -> int:
    """Read a whole number; raises Refused."""
    value = text.strip()
    if not _INTEGER.fullmatch(value):
        raise Refused(f"{quoted(text)} is not a whole number.", "wrong_type")
    return int(value)


def check_integer(spec: f.IntegerField, value: Json, _around: Surroundings) -> int:
    """Return the value of a integer field as it is stored; raises Refused."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(f"This must be a whole number, not {describe(value)}.", "wrong_type")
    if not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
        raise Refused("The number is beyond 64 bits.", "too_large")
    _bounds(value, spec.min_value, spec.max_value)
    _step(value, spec.min_value, spec.step)
    return value


def parse_decimal(text: str) -> Decimal:
    """Read an exact decimal; raises Refused."""
    value = text.strip()
    if len(value) > 200 or not _DECIMAL.fullmatch(value):
        raise Refused(f"{quoted(text)} is not a number.", "wrong_type")
    try:
        return bounded(Decimal(value))
    except InvalidOperation:
        raise Refused(f"{quoted(text)} is not a number.", "wrong_type") from None


def parse_number(_spec: f.BaseField, text: str) -> Decimal:
    """Read an exact decimal; raises Refused."""
    return parse_decimal(text)


def bounded(number: Decimal) -> Decimal:
    """Return a decimal of bearable size; raises Refused."""
    if not number.is_finite():
        raise Refused("This must be a finite number.", "not_finite")
    sizes = (number.adjusted(), int(number.as_tuple().exponent))
    if number and max(map(abs, sizes)) > LARGEST_EXPONENT:
        raise Refused("The number is too large or too fine.", "too_large")
    return number


def exact_decimal(value: Json) -> Decimal:
    """Return a number as a decimal; raises Refused."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise Refused(f"This must be a number, not {describe(value)}.", "wrong_type")
    if isinstance(value, int) and abs(value) > 10**LARGEST_EXPONENT:
        raise Refused("The number is too large or too fine.", "too_large")
    return bounded(value if isinstance(value, Decimal) else Decimal(str(value)))


def check_number(spec: f.NumberField, value: Json, _around: Surroundings) -> Decimal:
    """Return the value of a number field as it is stored; raises Refused."""
    number = exact_decimal(value)
    _bounds(number, spec.min_value, spec.max_value)
    _step(number, spec.min_value, spec.step)
    if spec.precision is not None and number:
        digits = -int(number.normalize().as_tuple().exponent)
        if digits > spec.precision:
            raise Refused(f"At most {spec.precision} digits may follow the point.", "precision")
    return number


def check_percentage(spec: f.PercentageField, value: Json, _around: Surroundings) -> Decimal:
    """Return the value of a percentage field as it is stored; raises Refused."""
    number = exact_decimal(value)
    low = Decimal(0) if spec.min_value is None else spec.min_value
    high = Decimal(100) if spec.max_value is None else spec.max_value
    _bounds(number, low, high)
    _step(number, spec.min_value, spec.step)
    return number


def _bounds(value: Any, low: Any, high: Any) -> None:
    if low is not None and value < low:
        raise Refused(f"This must be at least {low}{_up_to(high)}.", "too_small")
    if high is not None and value > high:
        raise Refused(f"This must be at most {high}{_from(low)}.", "too_large")


def _up_to(high: Any) -> str:
    return "" if high is None else f" and at most {high}"


def _from(low: Any) -> str:
    return "" if low is None else f" and at least {low}"


def _step(value: int | Decimal, low: int | Decimal | None, step: int | Decimal | None) -> None:
    if step is None:
        return
    base = Fraction(low or 0)
    if ((Fraction(value) - base) / Fraction(step)).denominator != 1:
        raise Refused(f"This must be a multiple of {step}, counted from {low or 0}.", "step")
