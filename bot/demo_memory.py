"""What the demo's cloud has, kept in one file, so that it outlives a restart of the demo.

The engine goes on with what was under way when its process died; it can only do so where the other
side still knows its operations and tickets. The file is replaced as a whole; one that is missing or
cannot be read is an empty cloud.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)

Json = dict[str, Any]


class Memory:
    """One JSON file; without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> Json:
        """Return what was kept; nothing where there is no file or it is not ours."""
        if self._path is None:
            return {}
        try:
            kept = json.loads(self._path.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError) as error:
            log.warning("demo_cloud_forgot", error=str(error))
            return {}
        return kept if isinstance(kept, dict) else {}

    def keep(self, state: Mapping[str, Any]) -> None:
        """Replace the file. A disk that takes nothing is logged: the cloud goes on without."""
        if self._path is None:
            return
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(state), "utf-8")
            new.replace(self._path)
        except OSError as error:
            log.warning("demo_cloud_not_kept", error=str(error))
