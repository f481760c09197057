"""The garbage collector of a process that lives long.

Its passes over all that was ever imported took a seventh of the processor time of a step: each step
makes a few hundred objects, nearly all of which die by their reference counts alone.

Python looks at its oldest objects only once those that came to them are a quarter of their number at
the last look. What lived at the start is counted there, also when frozen: circles that happened to
live through two passes stayed for hours. A look at what is not frozen takes a millisecond or two.
"""

from __future__ import annotations

import gc
from typing import Final

OBJECTS_PER_PASS: Final = 5_000
"""New objects that live before the youngest are looked at; Python's own is 700. A few megabytes."""

PASSES_BEFORE_OLDER: Final = (4, 1)
"""Passes over a generation before the next one has its own; Python's own are (10, 10)."""


def spare_what_lives() -> None:
    """Look no more at the objects that live now, and at new ones less often; for a whole process.

    Called when all is started: what was made until then stays to the end.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # a look at nothing: the oldest objects are counted anew
    gc.set_threshold(OBJECTS_PER_PASS, *PASSES_BEFORE_OLDER)
