"""Days, moments and times of day within their bounds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any, TypeVar

from engine.catalog import fields as f
from engine.catalog.moments import parse_date, parse_moment, parse_time
from engine.catalog.refusal import Refused, Surroundings, sentence
from engine.catalog.scalars import describe

Json = Any


def check_date(spec: f.DateField, value: Json, around: Surroundings) -> str:
    """Return the value of a date field as it is stored; raises Refused."""
    read = lambda text: parse_date(text, around.clock, spec.format)  # noqa: E731
    day = _moment(value, date, read)
    _between(day, spec.min_date, spec.max_date, read, date.isoformat)
    return day.isoformat()


def check_datetime(spec: f.DatetimeField, value: Json, around: Surroundings) -> str:
    """Return the value of a datetime field as it is stored; raises Refused."""
    read = lambda text: parse_moment(text, around.clock, spec.timezone)  # noqa: E731
    moment = _moment(value.isoformat() if isinstance(value, datetime) else value, datetime, read)
    show = lambda at: at.isoformat(timespec="seconds")  # noqa: E731
    _between(moment, spec.min_datetime, spec.max_datetime, read, show)
    return moment.isoformat(timespec="seconds")


def check_time(spec: f.TimeField, value: Json, _around: Surroundings) -> str:
    """Return the value of a time field as it is stored; raises Refused."""
    read = lambda text: parse_time(text, with_seconds=spec.with_seconds)  # noqa: E731
    digits = "seconds" if spec.with_seconds else "minutes"
    moment = _moment(value, time, read)
    _between(moment, spec.min_time, spec.max_time, read, lambda at: at.isoformat(digits))
    return moment.isoformat(digits)


M = TypeVar("M", date, datetime, time)


def _moment(value: Json, kind: type[M], read: Callable[[str], M]) -> M:
    if isinstance(value, kind):
        return value
    if not isinstance(value, str):
        raise Refused(f"This must be a text, not {describe(value)}.", "wrong_type")
    try:
        return read(value)
    except ValueError as error:
        raise Refused(sentence(str(error)), "format") from None


def _between(
    moment: M, low: str | None, high: str | None, read: Callable[[str], M], show: Callable[[M], str]
) -> None:
    if low is not None and moment < read(low):
        raise Refused(f"This must not be before {show(read(low))}.", "too_small")
    if high is not None and moment > read(high):
        raise Refused(f"This must not be after {show(read(high))}.", "too_large")
