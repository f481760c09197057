"""Judgements on a workflow's run: how it ended, and what it left."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import BaseModel

from engine.errors import StepFailed
from engine.steps.base import Completed, StepContext
from engine.steps.github.api import GitHub, Run
from engine.steps.services import StepServices
from engine.verifications.base import Verdict
from engine.verifications.properties import Names, Properties

INTERVAL: Final = 30.0
"""Seconds between two looks at a run that was started again."""


class StatusProperties(Properties):
    """`workflow_status`: the conclusions that are expected."""

    expected_status: Names = ("success",)


class WorkflowStatus:
    """The run ended as expected; a run that somebody started again is waited for."""

    name: ClassVar[str] = "workflow_status"
    model: ClassVar[type[BaseModel]] = StatusProperties

    def __init__(self, services: StepServices) -> None:
        self._github = GitHub(services)

    async def check(
        self, _: StepContext, properties: StatusProperties, result: Completed
    ) -> Verdict:
        """Compare the conclusion; where it does not fit, ask whether there is another by now.

        A question without an answer, or one that a limit holds back, is asked again.
        """
        expected, evidence = list(properties.expected_status), result.evidence
        conclusion = str(evidence.get("conclusion"))
        if conclusion in expected:
            return Verdict(True, expected, conclusion)
        path = f"/actions/runs/{evidence.get('run_id')}"
        try:
            run = await self._github.get(Run, str(evidence.get("repository")), path)
        except StepFailed as error:
            if error.kind == "permanent":
                raise
            again_in = max(INTERVAL, error.retry_after or 0.0)
            return Verdict(False, expected, conclusion, error.message, again_in=again_in)
        if run.status != "completed":
            reason = f"the run was started again and is {run.status}"
            return Verdict(False, expected, run.status, reason, again_in=INTERVAL)
        reason = f"the run ended with {run.conclusion}, not {' or '.join(expected)}"
        fits = run.conclusion in expected
        return Verdict(fits, expected, run.conclusion, "" if fits else reason)


class ArtifactProperties(Properties):
    """`artifact_exists`: one name or a list."""

    name: Names


class ArtifactExists:
    """The run left the named artifacts."""

    name: ClassVar[str] = "artifact_exists"
    model: ClassVar[type[BaseModel]] = ArtifactProperties

    def __init__(self, _: StepServices) -> None:
        """Nothing is needed: the names are in the evidence."""

    async def check(
        self, _: StepContext, properties: ArtifactProperties, result: Completed
    ) -> Verdict:
        """Look the names up in the evidence."""
        there = [str(name) for name in result.evidence.get("artifacts") or ()]
        missing = [name for name in properties.name if name not in there]
        reason = f"the run has no artifact {', '.join(missing)}" if missing else ""
        return Verdict(not missing, list(properties.name), there, reason)
