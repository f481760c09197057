"""Whether a field is asked: its condition over the values of the other fields.

Comparisons are typed: `true` is not 1, "2" is not 2; integers and decimals compare by value. A
field that takes several values meets a comparison when one of them does. A field that is itself
not asked makes `value` and `not_value` both false.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from engine.catalog.fields import BaseField, Condition


def holds(condition: Condition, values: Mapping[str, Any], dropped: frozenset[str]) -> bool:
    """Whether the condition is true of `values`; what is absent there is None."""
    if condition.all is not None:
        return all(holds(part, values, dropped) for part in condition.all)
    if condition.any is not None:
        return any(holds(part, values, dropped) for part in condition.any)
    if condition.not_ is not None:
        return not holds(condition.not_, values, dropped)
    name = condition.field or ""
    if name in dropped:
        return False
    if "value" in condition.model_fields_set:
        return _equals(values.get(name), condition.value)
    return not _equals(values.get(name), condition.not_value)


def dropped_fields(fields: Sequence[BaseField], values: Mapping[str, Any]) -> frozenset[str]:
    """Return the fields whose condition is false, looking through conditions on dropped fields.

    Fields whose conditions run in a circle are dropped; validation refuses such documents.
    """
    conditions = {field.name: field.conditional for field in fields if field.conditional}
    decided: dict[str, bool] = {}

    def is_dropped(name: str, above: frozenset[str]) -> bool:
        if name not in decided:
            condition = conditions.get(name)
            decided[name] = condition is not None and (
                name in above
                or not holds(
                    condition,
                    values,
                    frozenset(
                        other for other in condition.names() if is_dropped(other, above | {name})
                    ),
                )
            )
        return decided[name]

    return frozenset(name for name in conditions if is_dropped(name, frozenset()))


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of one type: `1` and `True` are not, `1` and `1.0` are."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if any(isinstance(value, Decimal) and value.is_nan() for value in (one, other)):
        return False  # a signalling NaN would raise
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _equals(actual: Any, wanted: Any) -> bool:
    choices = wanted if isinstance(wanted, list) else [wanted]
    if isinstance(actual, list):
        return same(actual, wanted) or any(same(a, choice) for a in actual for choice in choices)
    return any(same(actual, choice) for choice in choices)
