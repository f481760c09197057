"""A run, looked at until it has ended, and what its end means for the step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from engine.errors import StepFailed
from engine.steps.base import Completed, Outcome, StepContext
from engine.steps.github.api import Answer, GitHub, Run, read, refusal
from engine.steps.github.artifacts import artifacts_of, read_outputs
from engine.steps.github.dispatches import GitHubTemplate
from engine.steps.github.state import State, postponed
from engine.steps.outputs import take_outputs

FIRST_POLL: Final = 5.0
LONGEST_POLL: Final = 60.0
"""Seconds between two looks at a run, growing by half."""

LONGEST_ABSENCE: Final = 5
"""How many refusals in a row (the run is not there) end the step."""

RETRIED: Final = frozenset({"failure", "timed_out"})
"""Conclusions after which another run may do better; the others were decided by somebody."""

_PASSED: Final = frozenset({None, "success", "skipped", "neutral"})

_FINAL: Final = frozenset({"workflow_failed", "outputs_unusable", "output_missing"})
"""Errors of the run itself, not of a look at it."""


class _Job(Answer):
    name: str = ""
    conclusion: str | None = None
    html_url: str | None = None


class _Jobs(Answer):
    jobs: tuple[_Job, ...] = ()


async def follow(
    github: GitHub, context: StepContext, template: GitHubTemplate, state: State
) -> Outcome:
    """Look at the run. Whatever goes wrong with that only postpones the next look."""
    delay = min(LONGEST_POLL, FIRST_POLL * 1.5 ** min(state.polls, 20))
    state = replace(state, polls=state.polls + 1)
    headers = {"if-none-match": state.etag} if state.etag else {}
    path = f"/actions/runs/{state.run_id}"
    try:
        response = await github.call("GET", template.repository, path, headers=headers)
        if response.status == 304:
            return replace(state, refusals=0).wait(delay)
        if error := refusal(response):
            raise error
        run = read(Run, response)
        state = replace(state.found(run), refusals=0)
        if run.status == "completed":
            return await _concluded(github, context, template, state, run)
    except StepFailed as error:
        if error.error_type in _FINAL:
            raise
        if error.kind == "permanent":
            state = replace(state, refusals=state.refusals + 1)
        if state.refusals >= LONGEST_ABSENCE:
            raise _vanished(state, error) from error
        return await postponed(context, replace(state, etag=None), error, delay)
    return replace(state, etag=response.headers.get("etag")).wait(delay)


async def _concluded(
    github: GitHub, context: StepContext, template: GitHubTemplate, state: State, run: Run
) -> Outcome:
    conclusion = str(run.conclusion)
    await context.log(f"the run {run.id} ended: {conclusion}\n")
    if conclusion != "success" and not _is_expected(context.config, conclusion):
        job = await _failed_job(github, template, run)
        await context.remember(replace(state, concluded=True).kept)
        raise _failed(run, conclusion, job)
    artifacts = await artifacts_of(github, template.repository, run.id)
    own = await read_outputs(github, template.repository, artifacts)
    names = [artifact.name for artifact in artifacts]
    document = {
        "run_id": run.id,
        "url": run.html_url,
        "conclusion": conclusion,
        "artifacts": names,
        **own,
    }
    taken = take_outputs(context.config, document)
    await context.remember(replace(state, concluded=True).kept)
    return Completed(
        outputs={name: output.value for name, output in taken.items()},
        evidence={
            "repository": template.repository,
            "run_id": run.id,
            "run_attempt": run.run_attempt,
            "conclusion": conclusion,
            "url": run.html_url,
            "artifacts": names,
        },
    )


async def _failed_job(github: GitHub, template: GitHubTemplate, run: Run) -> _Job | None:
    """Return the run's first failed job; not knowing it is no reason to wait."""
    path = f"/actions/runs/{run.id}/jobs?filter=latest&per_page=100"
    try:
        jobs = (await github.get(_Jobs, template.repository, path)).jobs
    except StepFailed:
        return None
    return next((job for job in jobs if job.conclusion not in _PASSED), None)


def _is_expected(config: Mapping[str, Any], conclusion: str) -> bool:
    """Whether a workflow_status verification expects this conclusion, or is still a template."""
    verifications = config.get("verification") or ()
    for one in verifications if isinstance(verifications, list | tuple) else [verifications]:
        if isinstance(one, Mapping) and one.get("type") == "workflow_status":
            expected = one.get("expected_status", ())
            several = expected if isinstance(expected, list | tuple) else [expected]
            if any(word == conclusion or "{" in str(word) for word in several):
                return True
    return False


def _failed(run: Run, conclusion: str, job: _Job | None) -> StepFailed:
    where = f" in the job {job.name!r}" if job else ""
    return StepFailed(
        "workflow_failed",
        f"The workflow's run {run.id} ended with {conclusion}{where}",
        details={
            "conclusion": conclusion,
            "run_url": run.html_url,
            "run_attempt": run.run_attempt,
            **({"job": job.name, "job_url": job.html_url} if job else {}),
        },
        kind="unknown" if conclusion in RETRIED else "permanent",
        do=f"Read the log at {(job.html_url if job else None) or run.html_url}",
    )


def _vanished(state: State, error: StepFailed) -> StepFailed:
    return StepFailed(
        "run_vanished",
        f"The workflow's run {state.run_id} cannot be seen any more: {error.message}",
        kind="permanent",
        do="Look whether the run, the workflow or the token's rights were removed",
    )
