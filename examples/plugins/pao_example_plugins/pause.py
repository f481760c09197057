"""The step type `Pause`: nothing happens for a while."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from engine.steps.base import Completed, Outcome, StepContext, Waiting
from engine.steps.services import StepServices
from engine.steps.templates import RenderedTemplate, Seconds, read_template

PIECE = 60.0
"""Seconds waited at once; after each the log says how much is left."""


class PauseTemplate(RenderedTemplate):
    """How long."""

    duration: Seconds


class Pause:
    """Waits by `Waiting`: the engine comes back with `poll`, whatever was restarted meanwhile."""

    name: ClassVar[str] = "Pause"
    template_model: ClassVar[type[BaseModel]] = PauseTemplate
    verifications: ClassVar[frozenset[str]] = frozenset({"output_in_range"})
    outputs: ClassVar[frozenset[str] | None] = frozenset({"waited"})

    def __init__(self, services: StepServices) -> None:
        """Nothing of the outside is needed."""

    async def start(self, context: StepContext) -> Outcome:
        """Begin to wait."""
        return await self._go_on(context, 0.0)

    async def poll(self, context: StepContext) -> Outcome:
        """Wait for the next piece. What was waited stands in `external`, so a crash loses nothing."""
        return await self._go_on(context, float(context.external["waited"]))

    async def cancel(self, context: StepContext) -> None:
        """Nothing runs outside."""

    async def _go_on(self, context: StepContext, waited: float) -> Outcome:
        left = read_template(PauseTemplate, context.template).duration - waited
        if left <= 0:
            return Completed(outputs={"waited": waited})
        await context.log(f"{left:g} s are left\n")
        piece = min(left, PIECE)
        return Waiting(piece, {"waited": waited + piece})
