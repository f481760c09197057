"""What all the public types share: words, JSON, pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

Json = Any
T = TypeVar("T")
Kind = Literal["CatalogItem", "CatalogBundle", "UpdateItem", "UpgradeItem"]
Source = Literal["slack", "cli"]
RequestType = Literal["create", "update", "upgrade", "decommission"]

SECRET_DOTS = "••••••••"
"""What stands wherever a secret would be shown."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `next_cursor` is None on the last."""

    items: Sequence[T]
    next_cursor: str | None = None
