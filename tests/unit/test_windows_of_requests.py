"""Windows: when a request may run, read from its parameters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.requests.windows import passed, window_of

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
MOMENTS = st.timedeltas(timedelta(), timedelta(days=36500)).map(lambda since: EPOCH + since)
LENGTHS = st.timedeltas(timedelta(seconds=1), timedelta(days=365))
OFFSETS = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))


@given(MOMENTS, LENGTHS, OFFSETS)
def test_what_was_written_is_read_whatever_its_offset(
    start: datetime, length: timedelta, offset: timezone
) -> None:
    written = {
        "start": start.astimezone(offset).isoformat(),
        "end": (start + length).astimezone(offset).isoformat(),
    }
    window = window_of({"maintenance_window": written})
    assert window is not None
    assert (window.starts, window.ends) == (start, start + length)


@given(MOMENTS, MOMENTS, LENGTHS, LENGTHS)
def test_a_window_has_passed_from_its_end_on_and_from_then_alone(
    now: datetime, start: datetime, length: timedelta, grace: timedelta
) -> None:
    assert (passed(now, start, start + length, grace) is None) == (now < start + length)
    assert (passed(now, start, None, grace) is None) == (now < start + grace)
    assert passed(now, None, None, grace) is None


@pytest.mark.parametrize("written", ["soon", 5, {}, {"end": "2030-01-01T00:00:00Z"}, [], True])
def test_what_is_no_time_is_refused_in_words(written: Any) -> None:
    with pytest.raises(ValueError, match="maintenance window"):
        window_of({"maintenance_window": written})
