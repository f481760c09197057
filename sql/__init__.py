"""The SQL of PAO as data: `migrations/` in numbered order, `functions/`, and named `queries/`.

Nothing here is logic in Python; `engine.store` reads the files.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

ROOT: Traversable = files(__name__)
"""The folder that holds `migrations`, `functions` and `queries`."""
