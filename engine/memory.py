"""What outlives a try to do something outside, so that the next try knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Memory(Protocol):
    """Kept with the work, fenced: a step's context is one, an outbox item has one. JSON inside."""

    @property
    def external(self) -> Mapping[str, Any]:
        """What was remembered."""

    async def remember(self, external: Mapping[str, Any]) -> None:
        """Merge into `external`, durably; raises LeaseLost where the work is not ours any more."""

    async def check_lease(self) -> None:
        """Raise LeaseLost where the work is not ours any more."""


@dataclass(slots=True)
class Unkept:
    """A memory for one try alone."""

    external: Mapping[str, Any] = field(default_factory=dict)

    async def remember(self, external: Mapping[str, Any]) -> None:
        """Merge into `external`."""
        self.external = {**self.external, **external}

    async def check_lease(self) -> None:
        """Nobody else has it."""
