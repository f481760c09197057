"""How a repository is named at GitHub: `owner/name`."""

from __future__ import annotations

import re
from typing import Final

ALLOWED: Final = "owner/name"

_NAME = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


def is_repository(text: str) -> bool:
    """Whether the text is `owner/name`, and so stays below `/repos/` in an address."""
    return bool(_NAME.fullmatch(text)) and not {".", ".."} & set(text.split("/"))
