"""Windows: when a request may run, from `--at` and from its `maintenance_window` parameter.

The parameter is a time, or `{start, end}`. No step is due before it; after its end, or WINDOW_GRACE
after its start where it names no end, the window has passed. A time without an offset is UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from engine.errors import quoted

PARAMETER: Final = "maintenance_window"


@dataclass(frozen=True, slots=True)
class Window:
    """When a request may run; `ends` None: nothing says when it must not any more."""

    starts: datetime
    ends: datetime | None = None


def window_of(parameters: Mapping[str, Any]) -> Window | None:
    """Return the window that the parameters ask for, None for none; ValueError says what is wrong."""
    written = parameters.get(PARAMETER)
    if written is None:
        return None
    if not isinstance(written, Mapping):
        return Window(_moment(written))
    starts = _moment(written.get("start"))
    ends = None if written.get("end") is None else _moment(written["end"])
    if ends is not None and ends <= starts:
        raise ValueError(f"the maintenance window ends at {ends}, before it begins")
    return Window(starts, ends)


def passed(
    now: datetime, starts: datetime | None, ends: datetime | None, grace: timedelta
) -> str | None:
    """Return why a window is over, None where it is still to come or open."""
    if ends is not None:
        return f"the maintenance window ended at {_words(ends)}" if now >= ends else None
    if starts is not None and now >= starts + grace:
        return f"the maintenance window began at {_words(starts)} and has passed"
    return None


def _moment(written: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(written)
    except (TypeError, ValueError):
        raise ValueError(f"the maintenance window {quoted(written)} is not a time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _words(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
