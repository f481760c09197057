"""What the demo's cloud and its workspace have, in a file each, so that it outlives a restart.

The engine goes on with what was under way when its process died; it can only do so where the other
side still knows its operations and tickets, and the messages that the bot posted. A file is
replaced as a whole; one that is missing or cannot be read is an empty cloud or workspace.
"""

from __future__ import annotations

import json
import os
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
            log.warning("demo_forgot", error=str(error))
            return {}
        return kept if isinstance(kept, dict) else {}

    def keep(self, state: Mapping[str, Any]) -> None:
        """Replace the file. A disk that takes nothing is logged: the demo goes on without."""
        if self._path is None:
            return
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            with open(new, "w", encoding="utf-8", opener=_private) as file:
                json.dump(state, file)
            new.replace(self._path)
        except OSError as error:
            log.warning("demo_not_kept", error=str(error))


def _private(path: str, flags: int) -> int:
    """Make a file that nobody else on the machine reads: it holds what was asked for, and by whom."""
    return os.open(path, flags | os.O_EXCL, 0o600)
