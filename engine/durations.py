"""Lengths of time as people write them in documents and on the command line."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_UNITS |= {"d": Decimal(86400), "w": Decimal(604800)}
_PARTS = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.ASCII)
_ISO = re.compile(
    r"P(?=[\dT])(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)

LONGEST = 100 * 365 * 86400
"""Seconds; a century. Longer ones are mistakes, and overflow dates."""

ALLOWED = "30s, 5m, 1h30m, 2d, an ISO 8601 duration like PT5M, or a number of seconds"
"""What a duration may be, in words for messages."""


def parse_duration(value: object) -> float:
    """Return the seconds that `30s`, `5m`, `1h30m`, `PT5M` or a number of seconds stands for.

    Raises ValueError for anything else, for negative lengths and for those above `LONGEST`.
    """
    seconds = _seconds(value)
    if seconds is None or not 0 <= seconds <= LONGEST:
        raise ValueError(f"{value!r} is not a duration; write {ALLOWED}")
    return int(seconds) if seconds == int(seconds) else float(seconds)


def format_duration(seconds: float) -> str:
    """Return seconds as `parse_duration` reads them, shortest: `90` gives `1m30s`."""
    if seconds != int(seconds):
        return f"{seconds:g}s"
    rest, parts = int(seconds), []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, int(_UNITS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _seconds(value: object) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, Decimal, float)):
        number = Decimal(str(value))
        return number if number.is_finite() else None
    if not isinstance(value, str) or len(value) > 64:
        return None
    text = value.strip()
    if re.fullmatch(r"\d+(?:\.\d+)?", text, re.ASCII):
        return Decimal(text)
    if _PARTS.fullmatch(text):
        return sum((Decimal(n) * _UNITS[unit] for n, unit in _PART.findall(text)), Decimal(0))
    if iso := _ISO.fullmatch(text):
        return sum(
            (Decimal(n) * _UNITS[unit] for unit, n in iso.groupdict().items() if n), Decimal(0)
        )
    return None
