"""What must not be forgotten of a dispatched run, as it is kept in `external`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Final

from engine.errors import StepFailed
from engine.steps.base import Json, StepContext, Waiting
from engine.steps.github.api import Run
from engine.steps.github.dispatches import correlation_id

KEPT: Final = "github"
"""The key of `external` that the state stands under."""


@dataclass(frozen=True, slots=True)
class State:
    """How far a step's run is; JSON, as it is kept.

    `key`: the idempotency key it belongs to. `dispatch`: which run under that key. `sent`: a
    dispatch may have left. `lost`: whether it arrived is not known. `since`: GitHub's time before
    it. `waited`: seconds of searching. `concluded`: the run's end was seen by an attempt.
    """

    key: str
    dispatch: int = 1
    correlation_input: str | None = None
    sent: bool = False
    lost: bool = False
    since: str | None = None
    waited: float = 0.0
    run_id: int | None = None
    url: str | None = None
    etag: str | None = None
    polls: int = 0
    refusals: int = 0
    concluded: bool = False

    @classmethod
    def of(cls, context: StepContext) -> State:
        """Return what was kept under the present idempotency key, else a beginning."""
        kept = context.external.get(KEPT)
        if not isinstance(kept, Mapping) or kept.get("key") != context.idempotency_key:
            return cls(context.idempotency_key)
        return cls(**{one.name: kept[one.name] for one in fields(cls) if one.name in kept})

    @property
    def correlation(self) -> str:
        """The id that the run shows in its title."""
        return correlation_id(self.key, self.dispatch)

    @property
    def inputs(self) -> dict[str, str]:
        """The inputs that carry it; none where the workflow takes none."""
        return {self.correlation_input: self.correlation} if self.correlation_input else {}

    @property
    def kept(self) -> dict[str, Json]:
        """What is remembered."""
        return {KEPT: asdict(self)}

    def found(self, run: Run) -> State:
        """The state once the run is known."""
        return replace(self, run_id=run.id, url=run.html_url or self.url, lost=False)

    def wait(self, delay: float) -> Waiting:
        """The wait for the next look."""
        job = None if self.run_id is None else str(self.run_id)
        return Waiting(delay, self.kept, job_id=job, job_url=self.url)


async def postponed(context: StepContext, state: State, error: StepFailed, delay: float) -> Waiting:
    """Wait after a question that had no answer, or a refusal by a limit."""
    if error.error_type == "ambiguous_run":
        raise error
    await context.log(f"{error.message}; asking again\n")
    return state.wait(max(delay, error.retry_after or 0.0))
