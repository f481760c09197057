"""What a verification is: a judgement on what a step reported, or on what it asks of the outside world."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from engine.steps.base import Completed, Json, StepContext


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verification's answer, kept as step_attempts.verification_result {type, expected, actual, verified}.

    `again_in` (seconds) says "not yet": the step stays in `verifying` and is asked again then.
    """

    verified: bool
    expected: Json
    actual: Json
    reason: str = ""
    again_in: float | None = None
    details: Mapping[str, Json] = field(default_factory=dict)


class Verification(Protocol):
    """One kind of verification, stateless between calls."""

    name: ClassVar[str]
    model: ClassVar[type[BaseModel]]
    """Its properties in a document, `type` included."""

    async def check(self, context: StepContext, properties: Any, result: Completed) -> Verdict:
        """Judge `result`, the outcome of the attempt. Raises StepFailed where it cannot be judged."""
