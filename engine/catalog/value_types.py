"""Each field type's own rules: text to value, and whether a value is allowed.

`parse_text` reads what a person typed on the command line (or what Slack hands over as text);
`check_value` judges a value and returns what is stored. Both refuse with `Refused`, whose sentence
is for the person: what is wrong and what is allowed. `BY_TYPE` is the table; a new type is one row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

from engine.catalog import fields as f
from engine.catalog.conditions import same
from engine.catalog.moments import Clock, parse_date, parse_moment, parse_time
from engine.catalog.regexps import compile_pattern
from engine.catalog.scalars import LARGEST_INTEGER, SMALLEST_INTEGER, describe
from engine.catalog.suggest import did_you_mean
from engine.catalog.value_schema import value_problem

Json = Any
F = TypeVar("F", bound=f.BaseField)

LONGEST_TEXT: Final = 100_000
"""Characters of any value given as text."""
LARGEST_EXPONENT: Final = 100
"""Powers of ten that a decimal may reach either way: keeps exact arithmetic cheap."""

_TRUE: Final = frozenset({"true", "yes", "y", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "n", "off", "0"})
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_MAILBOX = re.compile(r"[^@\s\"(),:;<>\[\\\]]{1,64}")


class Refused(Exception):
    """A value is not allowed; the message is for the person who gave it."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class References(Protocol):
    """What the check must ask of the world; None means that the thing exists and may be chosen."""

    def instance_problem(self, field: f.InstanceField, instance_id: str) -> str | None:
        """Say why the person cannot choose this instance."""

    def user_problem(self, user_id: str) -> str | None:
        """Say why there is no such person."""

    def team_problem(self, team: str) -> str | None:
        """Say why there is no such team."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a value is judged by beside its field.

    `options` holds the fetched options of fields with `options_from`; `narrowed` the values that
    `access.limits` leaves to the person, by field.
    """

    clock: Clock = field(default_factory=Clock)
    references: References | None = None
    options: Mapping[str, Sequence[f.Option]] = field(default_factory=dict)
    narrowed: Mapping[str, Sequence[Json]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ValueType:
    """One row of the table."""

    parse: Callable[[Any, str], Json]
    check: Callable[[Any, Json, Surroundings], Json]


def parse_text(spec: f.BaseField, text: str | Sequence[str]) -> Json:
    """Read a value from text by the field's type; several texts are a list's entries.

    Raises Refused. Text that means nothing was given (empty) is None.
    """
    texts = [text] if isinstance(text, str) else list(text)
    if sum(map(len, texts)) > LONGEST_TEXT:
        raise Refused(f"This is too long; at most {LONGEST_TEXT} characters are taken.", "too_long")
    if isinstance(spec, f.MultiselectField):
        return _parse_list(spec, texts)
    if len(texts) > 1:
        raise Refused("This takes one value, and several were given.", "wrong_type")
    if not texts or not texts[0].strip():
        return None
    return BY_TYPE[spec.type].parse(spec, texts[0])


def check_value(spec: f.BaseField, value: Json, around: Surroundings) -> Json:
    """Return the value as it is stored; raises Refused."""
    return BY_TYPE[spec.type].check(spec, value, around)


# Texts


def _text(value: Json, *, lines: bool = False) -> str:
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


def _check_string(spec: f.StringField, value: Json, _around: Surroundings) -> str:
    text = _text(value)
    _length(text, spec.min_length, spec.max_length)
    if spec.format is not None and not _FORMATS[spec.format](text):
        raise Refused(f"This must be {_FORMAT_WORDS[spec.format]}.", "format")
    if spec.regexp is not None and not compile_pattern(spec.regexp).matches(text):
        raise Refused(f"This must match the pattern {spec.regexp} as a whole.", "pattern")
    return text


def _check_textarea(spec: f.TextareaField, value: Json, _around: Surroundings) -> str:
    text = _text(value, lines=True)
    _length(text, spec.min_length, spec.max_length)
    return text


def _check_secret(spec: f.SecretField, value: Json, _around: Surroundings) -> str:
    text = _text(value, lines=True)
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


# Numbers


def _parse_integer(_spec: f.IntegerField, text: str) -> int:
    value = text.strip()
    if not _INTEGER.fullmatch(value):
        raise Refused(f"{_short(text)} is not a whole number.", "wrong_type")
    return int(value)


def _check_integer(spec: f.IntegerField, value: Json, _around: Surroundings) -> int:
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
        raise Refused(f"{_short(text)} is not a number.", "wrong_type")
    try:
        return _bounded(Decimal(value))
    except InvalidOperation:
        raise Refused(f"{_short(text)} is not a number.", "wrong_type") from None


def _parse_number(_spec: f.BaseField, text: str) -> Decimal:
    return parse_decimal(text)


def _bounded(number: Decimal) -> Decimal:
    if not number.is_finite():
        raise Refused("This must be a finite number.", "not_finite")
    sizes = (number.adjusted(), int(number.as_tuple().exponent))
    if number and max(map(abs, sizes)) > LARGEST_EXPONENT:
        raise Refused("The number is too large or too fine.", "too_large")
    return number


def _decimal(value: Json) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise Refused(f"This must be a number, not {describe(value)}.", "wrong_type")
    if isinstance(value, int) and abs(value) > 10**LARGEST_EXPONENT:
        raise Refused("The number is too large or too fine.", "too_large")
    return _bounded(value if isinstance(value, Decimal) else Decimal(str(value)))


def _check_number(spec: f.NumberField, value: Json, _around: Surroundings) -> Decimal:
    number = _decimal(value)
    _bounds(number, spec.min_value, spec.max_value)
    _step(number, spec.min_value, spec.step)
    if spec.precision is not None and number:
        digits = -int(number.normalize().as_tuple().exponent)
        if digits > spec.precision:
            raise Refused(f"At most {spec.precision} digits may follow the point.", "precision")
    return number


def _check_percentage(spec: f.PercentageField, value: Json, _around: Surroundings) -> Decimal:
    number = _decimal(value)
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


# Yes and no


def _parse_boolean(_spec: f.BooleanField, text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise Refused(f"{_short(text)} is neither yes nor no; write true or false.", "wrong_type")
    return word in _TRUE


def _check_boolean(_spec: f.BooleanField, value: Json, _around: Surroundings) -> bool:
    if not isinstance(value, bool):
        raise Refused(f"This must be true or false, not {describe(value)}.", "wrong_type")
    return value


# Days and times


def _check_date(spec: f.DateField, value: Json, around: Surroundings) -> str:
    read = lambda text: parse_date(text, around.clock, spec.format)  # noqa: E731
    day = _moment(value, date, read)
    _between(day, spec.min_date, spec.max_date, read, date.isoformat)
    return day.isoformat()


def _check_datetime(spec: f.DatetimeField, value: Json, around: Surroundings) -> str:
    read = lambda text: parse_moment(text, around.clock, spec.timezone)  # noqa: E731
    moment = _moment(value.isoformat() if isinstance(value, datetime) else value, datetime, read)
    show = lambda at: at.isoformat(timespec="seconds")  # noqa: E731
    _between(moment, spec.min_datetime, spec.max_datetime, read, show)
    return moment.isoformat(timespec="seconds")


def _check_time(spec: f.TimeField, value: Json, _around: Surroundings) -> str:
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
        raise Refused(_sentence(str(error)), "format") from None


def _between(
    moment: M, low: str | None, high: str | None, read: Callable[[str], M], show: Callable[[M], str]
) -> None:
    if low is not None and moment < read(low):
        raise Refused(f"This must not be before {show(read(low))}.", "too_small")
    if high is not None and moment > read(high):
        raise Refused(f"This must not be after {show(read(high))}.", "too_large")


# Choices


def allowed_options(
    spec: f.SelectionField | f.MultiselectField, around: Surroundings
) -> Sequence[f.Option] | None:
    """Return the options that may be chosen; None where a source decides that was not asked."""
    if spec.options_from is not None and spec.name not in around.options:
        return None
    options = around.options.get(spec.name, spec.choices)
    narrowed = around.narrowed.get(spec.name)
    if narrowed is None:
        return options
    return [o for o in options if any(same(o.value, value) for value in narrowed)]


def _parse_selection(spec: f.SelectionField, text: str) -> Json:
    typed = {option.text: option.value for option in spec.choices}
    return typed.get(text, typed.get(text.strip(), text.strip()))


def _parse_list(spec: f.MultiselectField, texts: Sequence[str]) -> Json:
    typed = {option.text: option.value for option in spec.choices}
    found: list[Json] = []
    for text in texts:
        parts = [text] if text in typed else [part.strip() for part in text.split(",")]
        found += [typed.get(part, part) for part in parts if part]
    return found or None


def _check_selection(spec: f.SelectionField, value: Json, around: Surroundings) -> Json:
    return _chosen(value, allowed_options(spec, around), custom=spec.allow_custom)


def _check_multiselect(spec: f.MultiselectField, value: Json, around: Surroundings) -> list[Json]:
    if not isinstance(value, (list, tuple)):
        raise Refused(f"This must be a list, not {describe(value)}.", "wrong_type")
    if len(value) > 1000:
        raise Refused("At most 1000 options can be chosen.", "too_many")
    options = allowed_options(spec, around)
    chosen = [_chosen(entry, options, custom=False) for entry in value]
    if len({f.option_text(entry) for entry in chosen}) < len(chosen):
        raise Refused("An option is chosen twice.", "twice")
    if spec.min_selections is not None and len(chosen) < spec.min_selections:
        raise Refused(f"Choose at least {spec.min_selections}.", "too_few")
    if spec.max_selections is not None and len(chosen) > spec.max_selections:
        raise Refused(f"Choose at most {spec.max_selections}.", "too_many")
    return chosen


def _chosen(value: Json, options: Sequence[f.Option] | None, *, custom: bool) -> Json:
    if isinstance(value, (dict, list)) or value is None:
        raise Refused(f"This must be one of the options, not {describe(value)}.", "wrong_type")
    for option in options or ():
        if same(option.value, value):
            return option.value
    if options is None or custom:
        return _text(value) if isinstance(value, str) else value
    raise Refused(_not_an_option(value, options), "not_an_option")


def _not_an_option(value: Json, options: Sequence[f.Option]) -> str:
    texts = [option.text for option in options]
    shown = ", ".join(texts[:20]) + (f" and {len(texts) - 20} more" if len(texts) > 20 else "")
    hint = did_you_mean(f.option_text(value), texts)
    return f"{_short(f.option_text(value))} is not an option. Allowed: {shown or 'none'}.{hint}"


# The rest


def _parse_json(_spec: f.JsonField, text: str) -> Json:
    try:
        return json.loads(text, parse_float=_json_number, parse_constant=_no_constant)
    except Refused:
        raise
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise Refused(f"This is not JSON: {why}.", "wrong_type") from None


def _json_number(text: str) -> Decimal:
    return _bounded(Decimal(text)) if len(text) <= 400 else parse_decimal(text)


def _no_constant(name: str) -> Json:
    raise Refused(f"{name} is not JSON.", "not_finite")


def _check_json(spec: f.JsonField, value: Json, _around: Surroundings) -> Json:
    _storable(value, 0)
    problem = None if spec.schema_ is None else value_problem(spec.schema_, value)
    if problem is not None:
        raise Refused(_sentence(problem), "schema")
    return value


def _storable(value: Json, depth: int) -> None:
    """Refuse what PostgreSQL's jsonb cannot hold."""
    if depth > 50:
        raise Refused("This is nested more than 50 levels deep.", "too_deep")
    match value:
        case dict():
            for key, inner in value.items():
                _text(key, lines=True)
                _storable(inner, depth + 1)
        case list() | tuple():
            for inner in value:
                _storable(inner, depth + 1)
        case str():
            _text(value, lines=True)
        case float() | Decimal():
            _decimal(value)


def _check_instance(spec: f.InstanceField, value: Json, around: Surroundings) -> str:
    return _referred(value, around, lambda r, text: r.instance_problem(spec, text))


def _check_user(_spec: f.UserField, value: Json, around: Surroundings) -> str:
    return _referred(value, around, lambda r, text: r.user_problem(text))


def _check_team(_spec: f.TeamField, value: Json, around: Surroundings) -> str:
    return _referred(value, around, lambda r, text: r.team_problem(text))


def _referred(
    value: Json, around: Surroundings, ask: Callable[[References, str], str | None]
) -> str:
    text = _text(value).strip()
    if not text or len(text) > 255:
        raise Refused("This must have 1 to 255 characters.", "format")
    problem = None if around.references is None else ask(around.references, text)
    if problem:
        raise Refused(_sentence(problem), "reference")
    return text


def _as_is(_spec: f.BaseField, text: str) -> str:
    return text


def _trimmed(_spec: f.BaseField, text: str) -> str:
    return text.strip()


BY_TYPE: Final[Mapping[str, ValueType]] = {
    "string": ValueType(_as_is, _check_string),
    "textarea": ValueType(_as_is, _check_textarea),
    "integer": ValueType(_parse_integer, _check_integer),
    "number": ValueType(_parse_number, _check_number),
    "percentage": ValueType(_parse_number, _check_percentage),
    "boolean": ValueType(_parse_boolean, _check_boolean),
    "date": ValueType(_trimmed, _check_date),
    "datetime": ValueType(_trimmed, _check_datetime),
    "time": ValueType(_trimmed, _check_time),
    "selection": ValueType(_parse_selection, _check_selection),
    "multiselect": ValueType(_as_is, _check_multiselect),
    "secret": ValueType(_as_is, _check_secret),
    "json": ValueType(_parse_json, _check_json),
    "instance": ValueType(_trimmed, _check_instance),
    "user": ValueType(_trimmed, _check_user),
    "team": ValueType(_trimmed, _check_team),
}


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
