"""The verification `output_in_range`: a number among a step's outputs lies between two others."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from pydantic import BaseModel

from engine.steps.base import Completed, StepContext
from engine.steps.services import StepServices
from engine.verifications.base import Verdict
from engine.verifications.properties import Properties


class RangeProperties(Properties):
    """Which output, and its bounds, both included."""

    output: str
    min: Decimal | None = None
    max: Decimal | None = None


class OutputInRange:
    """Judges what is there; one that must wait for something returns `again_in` too."""

    name: ClassVar[str] = "output_in_range"
    model: ClassVar[type[BaseModel]] = RangeProperties

    def __init__(self, services: StepServices) -> None:
        """The outputs are in the result."""

    async def check(
        self, _: StepContext, properties: RangeProperties, result: Completed
    ) -> Verdict:
        """Compare; what is no number is not in the range."""
        actual = result.outputs.get(properties.output)
        bounds = {"min": _shown(properties.min), "max": _shown(properties.max)}
        is_number = isinstance(actual, int | float | Decimal) and not isinstance(actual, bool)
        if not is_number:
            return Verdict(False, bounds, actual, f"{properties.output} is no number")
        number = Decimal(str(actual))
        below = properties.min is not None and number < properties.min
        above = properties.max is not None and number > properties.max
        reason = f"{properties.output} is {number}" if below or above else ""
        return Verdict(not (below or above), bounds, actual, reason)


def _shown(bound: Decimal | None) -> str | None:
    return None if bound is None else str(bound)
