"""The garbage collector of a process that lives long.

Its passes over all that was ever imported took a seventh of the processor time of a step: each step
makes a few hundred objects, nearly all of which die by their reference counts alone.
"""

from __future__ import annotations

import gc
from typing import Final

OBJECTS_PER_PASS: Final = 5_000
"""New objects that live before the youngest are looked at; Python's own is 700. A few megabytes."""


def spare_what_lives() -> None:
    """Look no more at the objects that live now, and at new ones less often; for a whole process.

    Called when all is started: what was made until then stays to the end.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_PER_PASS, *gc.get_threshold()[1:])
