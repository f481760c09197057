"""A worker that dies at every point where something is said or kept, and one that goes on after it.

    for life in lives(template):
        await life.carry(step)
        assert ...                       # what happened outside, with a death at `life.dies_at`

A life ends once a step is carried through without reaching its death: then every boundary was tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.steps.base import Completed, Outcome, StepType, Waiting
from tests.support.steps import Context

TURNS = 60


class Death(BaseException):
    """The worker's process is gone."""


@dataclass
class Mortal(Context):
    """A context that kills its worker at its `dies_at`-th boundary, before or after it is kept."""

    dies_at: int = 0
    boundary: int = 0

    def _pass(self) -> None:
        self.boundary += 1
        if self.boundary == self.dies_at:
            raise Death

    async def remember(self, external: Mapping[str, Any]) -> None:
        self._pass()
        await super().remember(external)
        self._pass()

    async def check_lease(self) -> None:
        await super().check_lease()
        self._pass()

    async def log(self, text: str) -> None:
        await super().log(text)
        self._pass()

    async def remember_job(self, job_id: str | None, job_url: str | None) -> None:
        await super().remember_job(job_id, job_url)
        self._pass()

    def keep(self, outcome: Outcome) -> None:
        """Write a turn's outcome down, as the engine does."""
        self._pass()
        if isinstance(outcome, Waiting):
            self.external = {**self.external, **outcome.external}


@dataclass
class Life:
    """One step carried through, with one death on the way."""

    dies_at: int
    context: Mortal
    has_died: bool = field(default=False)

    async def carry(self, step: StepType) -> Completed:
        """Take turns until the step is done; a death repeats its phase as another attempt."""
        phase = "start"
        for _ in range(TURNS):
            try:
                turn = step.start if phase == "start" else step.poll
                outcome = await turn(self.context)
                self.context.keep(outcome)
            except Death:
                self.has_died = True
                self.context.attempt_number += 1
                continue
            if isinstance(outcome, Completed):
                return outcome
            phase = "poll"
        raise AssertionError(f"it waits for ever after a death at boundary {self.dies_at}")


def lives(template: Mapping[str, Any]) -> Iterator[Life]:
    """Give lives that die one boundary later each, until one is not long enough to die."""
    dies_at = 0
    while True:
        dies_at += 1
        key = f"key-{dies_at}"
        life = Life(dies_at, Mortal(template, idempotency_key=key, dies_at=dies_at))
        yield life
        if not life.has_died:
            return
