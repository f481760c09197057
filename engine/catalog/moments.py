"""Days, moments and times of day, as documents and people write them.

`Clock` says when now is and where the person lives, so that `today+90d` and a date and time
without an offset mean what the person means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.durations import parse_duration

Day = TypeVar("Day", date, datetime)

ALLOWED_DATE: Final = "YYYY-MM-DD, today, or today+90d"
ALLOWED_DATETIME: Final = "YYYY-MM-DDTHH:MM with an offset such as +02:00 or Z, now, or now+2h"

_RELATIVE_DAY = re.compile(r"today(?:\s*([+-])\s*(\d{1,5})d)?", re.ASCII)
_RELATIVE = re.compile(r"(now|today)(?:\s*([+-])\s*(\S+))?", re.ASCII)
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_ISO_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?", re.ASCII
)
_TIME = re.compile(r"(\d{2}):(\d{2})(?::(\d{2}))?", re.ASCII)
_DATE_PARTS: Final = {"YYYY": r"(?P<y>\d{4})", "MM": r"(?P<m>\d{2})", "DD": r"(?P<d>\d{2})"}
_DATE_FORMAT = re.compile(r"(YYYY|MM|DD)([-./])(YYYY|MM|DD)\2(YYYY|MM|DD)")


@dataclass(frozen=True, slots=True)
class Clock:
    """What now is, and the IANA zone of the person who gives a value (None: the machine's)."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    user_zone: str | None = None

    def zone(self, name: str | None) -> ZoneInfo | None:
        """Return the zone that a field's `timezone` names; None is the machine's own."""
        if name == "system":
            return None
        wanted = self.user_zone if name in (None, "user") else name
        return known_zone(wanted) if wanted else None

    def today(self) -> date:
        """The person's day."""
        return self.now.astimezone(self.zone("user")).date()


def known_zone(name: str) -> ZoneInfo:
    """Return an IANA zone; raises ValueError when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}") from None


def is_date_format(text: str) -> bool:
    """Whether `text` tells how a date looks: year, month and day once each."""
    match = _DATE_FORMAT.fullmatch(text)
    return match is not None and {match[1], match[3], match[4]} == set(_DATE_PARTS)


def parse_date(text: str, clock: Clock, date_format: str | None = None) -> date:
    """Read a day; raises ValueError that says what is allowed."""
    value = text.strip()
    if relative := _RELATIVE_DAY.fullmatch(value):
        days = int(relative[2] or 0) * (-1 if relative[1] == "-" else 1)
        return _shifted(clock.today(), timedelta(days=days))
    if date_format and (day := _formatted(value, date_format)):
        return day
    if not _ISO_DATE.fullmatch(value):
        raise ValueError(_not_a_date(text, date_format))
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{text!r} is not a day of the calendar") from None


def parse_moment(text: str, clock: Clock, zone_name: str | None = None) -> datetime:
    """Read a date and time; one without an offset is of the named zone. Raises ValueError."""
    value = text.strip()
    zone = clock.zone(zone_name)
    if relative := _RELATIVE.fullmatch(value):
        start = clock.now.astimezone(zone).replace(microsecond=0)
        if relative[1] == "today":
            start = start.replace(hour=0, minute=0, second=0)
        distance = timedelta(seconds=parse_duration(relative[3]) if relative[3] else 0)
        return _shifted(start, -distance if relative[2] == "-" else distance)
    if not _ISO_MOMENT.fullmatch(value):
        raise ValueError(f"{text!r} is not a date and time; write {ALLOWED_DATETIME}")
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone) if zone else moment.astimezone()
        return moment.astimezone(zone) if zone else moment
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a moment of the calendar") from None


def parse_time(text: str, *, with_seconds: bool) -> time:
    """Read a time of day; raises ValueError that says what is allowed."""
    match = _TIME.fullmatch(text.strip())
    wanted = "HH:MM:SS" if with_seconds else "HH:MM"
    if match is None or (match[3] is not None) != with_seconds:
        raise ValueError(f"{text!r} is not a time of day; write {wanted}, from 00:00 to 23:59")
    try:
        return time(int(match[1]), int(match[2]), int(match[3] or 0))
    except ValueError:
        raise ValueError(f"{text!r} is not a time of the day; write {wanted}") from None


def _formatted(value: str, date_format: str) -> date | None:
    pattern = re.sub("YYYY|MM|DD", lambda m: _DATE_PARTS[m[0]], re.escape(date_format))
    match = re.fullmatch(pattern, value, re.ASCII)
    if match is None:
        return None
    try:
        return date(int(match["y"]), int(match["m"]), int(match["d"]))
    except ValueError:
        return None


def _shifted(start: Day, distance: timedelta) -> Day:
    try:
        return start + distance
    except OverflowError:
        raise ValueError("the date is too far away") from None


def _not_a_date(text: str, date_format: str | None) -> str:
    form = f" or {date_format}" if date_format else ""
    return f"{text!r} is not a date; write {ALLOWED_DATE}{form}"
