"""Looking ahead: what a step type may see of the engine when it says what it would change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import StepFailed
from engine.execution.script import Rehearsed
from engine.execution.step_facts import StepFacts
from engine.requests.tickets import effect_key
from engine.store.claimed import ClaimedRequest
from engine.store.requests import StepRow


@dataclass(slots=True)
class LookAhead(StepFacts):
    """What a step type sees of the engine when it looks ahead (engine.steps.base.StepContext).

    What it says is dropped, what it remembers goes with it, and it may do nothing outside.
    """

    request: ClaimedRequest
    step: Rehearsed
    work_dir: Path
    external: Mapping[str, Any] = field(default_factory=dict)
    attempt_number: int = 1
    earlier_idempotency_keys: Sequence[str] = ()

    @property
    def record(self) -> StepRow:
        """The step, as it was planned."""
        return self.step.row

    @property
    def idempotency_key(self) -> str:
        """The key that the first attempt would have."""
        return effect_key(self.request.id, self.step_id, 1)

    @property
    def template(self) -> Mapping[str, Any]:
        """The template, rendered, secrets in clear."""
        return dict(self.step.template.shown) if self.step.template else {}

    async def remember(self, external: Mapping[str, Any]) -> None:
        """Merge into `external`, which nobody keeps."""
        self.external = {**self.external, **external}

    async def check_lease(self) -> None:
        """Raise StepFailed: there is no lease, so nothing may be done."""
        raise StepFailed("only_rehearsed", "A rehearsal does nothing outside", kind="permanent")

    async def log(self, text: str) -> None:
        """Drop it."""

    def redacted(self, text: str) -> str:
        """Return `text` with secrets as dots."""
        return self.step.redactor.text(text)

    async def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Drop it."""

    async def remember_job(self, job_id: str | None, job_url: str | None) -> None:
        """Drop it."""
