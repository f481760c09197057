"""A process whose clock is wrong: what the engine and its schedulers read of the time of day is shifted.

The database's clock and monotonic time stay right, as on a machine with a wrong date.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

SHIFTED = ("apscheduler", "engine", "procrastinate", "tzlocal")
"""Packages whose clock is wrong; they are imported already."""


def shift_clock(by: dt.timedelta) -> None:
    """Let this process's clock be wrong from now on."""
    right_time, right_datetime = time.time, dt.datetime

    class Kind(type(right_datetime)):  # type: ignore[misc]
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, right_datetime)

    class Shifted(right_datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return right_datetime.now(tz) + by

        @classmethod
        def utcnow(cls) -> Any:
            return right_datetime.now(dt.UTC).replace(tzinfo=None) + by

    wrong_time: Callable[[], float] = lambda: right_time() + by.total_seconds()  # noqa: E731
    time.time = wrong_time
    wrong_module = SimpleNamespace(**vars(dt) | {"datetime": Shifted})
    wrong = {id(right_datetime): Shifted, id(dt): wrong_module, id(right_time): wrong_time}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in SHIFTED:
            for attribute, value in list(vars(module).items()):
                if id(value) in wrong:
                    setattr(module, attribute, wrong[id(value)])
