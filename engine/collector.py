"""The memory of a process that lives long: its garbage collector, and the blocks it gives back.

Its passes over all that was ever imported took a seventh of the processor time of a step: each step
makes a few hundred objects, nearly all of which die by their reference counts alone.

Python looks at its oldest objects only once those that came to them are a quarter of their number at
the last look. What lived at the start is counted there, also when frozen: circles that happened to
live through two passes stayed for hours. A look at what is not frozen takes a millisecond or two.

glibc takes large blocks from the system one by one and gives them back, until the first is freed:
from then on it cuts blocks of that size from its heap as well, which grows by what lies between them.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Final

OBJECTS_PER_PASS: Final = 5_000
"""New objects that live before the youngest are looked at; Python's own is 700. A few megabytes."""

PASSES_BEFORE_OLDER: Final = (4, 1)
"""Passes over a generation before the next one has its own; Python's own are (10, 10)."""

LARGE_BLOCK: Final = 128 * 1024
"""Bytes from which on a block is given back to the system; what glibc begins with."""

_M_MMAP_THRESHOLD: Final = -3
"""The parameter's number in glibc's <malloc.h>."""


def spare_what_lives() -> None:
    """Look no more at the objects that live now, and at new ones less often; for a whole process.

    Called when all is started: what was made until then stays to the end.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # a look at nothing: the oldest objects are counted anew
    gc.set_threshold(OBJECTS_PER_PASS, *PASSES_BEFORE_OLDER)
    _give_large_blocks_back()


def _give_large_blocks_back() -> None:
    """Hold glibc to its first limit of a large block; other C libraries have no such limit."""
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK)
