"""The state machine around a dispatched run; what it must not forget stands in `external`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, ClassVar, Final

from pydantic import BaseModel

from engine.errors import StepFailed
from engine.steps.base import Completed, Json, Outcome, StepContext, Waiting
from engine.steps.github.api import Answer, GitHub, RateLimited, Run, read, refusal
from engine.steps.github.artifacts import artifacts_of, read_outputs
from engine.steps.github.dispatches import (
    Dispatches,
    GitHubTemplate,
    begun_since,
    correlation_id,
    with_correlation,
)
from engine.steps.outputs import take_outputs
from engine.steps.services import StepServices
from engine.steps.templates import read_template

KEPT: Final = "github"
"""The key of `external` that the state stands under."""

FIRST_POLL: Final = 5.0
LONGEST_POLL: Final = 60.0
"""Seconds between two looks at a run, growing by half."""

SEARCHES: Final = (2.0, 3.0, 5.0, 10.0)
"""Seconds before each search for a run that was dispatched; the last repeats."""

LOST_ANSWER: Final = 20.0
"""Seconds of searching after which a dispatch whose answer was lost is made again."""

LATE_RUN: Final = 300.0
"""Seconds within which a run that certainly was dispatched must appear."""

SETTLED: Final = 15.0
"""Seconds after which a run that only its time tells of is taken, if it is still the only one."""

LONGEST_ABSENCE: Final = 5
"""How many refusals in a row (the run is not there) end the step."""

RETRIED: Final = frozenset({"failure", "timed_out"})
"""Conclusions after which another run may do better; the others were decided by somebody."""

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


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


class _Job(Answer):
    name: str = ""
    conclusion: str | None = None
    html_url: str | None = None


class _Jobs(Answer):
    jobs: tuple[_Job, ...] = ()


class GitHubWorkflow:
    """A GitHub Actions workflow is run to its end."""

    name: ClassVar[str] = "GitHubWorkflow"
    template_model: ClassVar[type[BaseModel]] = GitHubTemplate
    verifications: ClassVar[frozenset[str]] = frozenset({"workflow_status", "artifact_exists"})
    outputs: ClassVar[frozenset[str] | None] = None

    def __init__(self, services: StepServices) -> None:
        self._github = GitHub(services.outbound, services.github)
        self._dispatches = Dispatches(self._github)

    async def start(self, context: StepContext) -> Outcome:
        """Dispatch, unless a run of this key is under way or may be."""
        template = _template(context)
        state = State.of(context)
        if state.concluded:
            state = State(state.key, dispatch=state.dispatch + 1)
        if state.run_id is not None:
            return state.wait(0)
        if state.sent:
            return await self._after_lost_answer(
                context, replace(state, lost=True), "the worker was lost"
            )
        return await self._dispatch(context, template, state)

    async def poll(self, context: StepContext) -> Outcome:
        """Go on: dispatch what a limit held back, find the run, or follow it."""
        template = _template(context)
        state = State.of(context)
        if state.run_id is not None:
            return await self._follow(context, template, state)
        if state.sent:
            return await self._search(context, template, state)
        return await self._dispatch(context, template, state)

    async def cancel(self, context: StepContext) -> None:
        """Cancel the run; one that has ended or is gone is no error. A retry begins another one."""
        template = _template(context)
        state = State.of(context)
        if state.run_id is None and state.sent:
            run = await self._find(template, state)
            state = state if run is None else state.found(run)
        if state.run_id is None:
            return
        path = f"/actions/runs/{state.run_id}/cancel"
        response = await self._github.call("POST", template.repository, path)
        error = refusal(response)
        if error is not None and response.status not in {404, 409}:
            raise error
        await context.remember(replace(state, concluded=True).kept)

    # Dispatch

    async def _dispatch(
        self, context: StepContext, template: GitHubTemplate, state: State
    ) -> Outcome:
        try:
            workflow = await self._dispatches.look(template)
            state = replace(
                state,
                correlation_input=workflow.correlation_input,
                since=workflow.now.isoformat(),
                sent=True,
                lost=False,
                waited=0.0,
            )
            await context.remember(state.kept)
            await context.check_lease()
            await context.log(f"dispatching {template.workflow_id} of {template.repository}\n")
            run = await self._dispatches.dispatch(template, _correlation(state))
        except RateLimited as limit:
            await context.log(f"{limit.message}\n")
            return replace(state, sent=False).wait(limit.wait)
        except StepFailed as error:
            if error.kind == "unknown" and state.sent:
                state = replace(state, lost=True)
                return await self._after_lost_answer(context, state, error.message)
            await context.remember(replace(state, sent=False).kept)
            raise
        if run is None:
            return state.wait(SEARCHES[0])
        state = state.found(run)
        await context.remember(state.kept)
        await context.remember_job(str(run.id), state.url)
        return state.wait(FIRST_POLL)

    async def _after_lost_answer(self, context: StepContext, state: State, why: str) -> Outcome:
        if state.correlation_input is None:
            raise StepFailed(
                "outcome_unknown",
                f"Outcome unknown: the workflow may have been started, but {why}",
                kind="permanent",
                do="Look at the workflow's runs, then resolve or retry the step. A workflow with"
                " the input `pao_correlation_id` in its run-name would be found",
            )
        await context.log(f"{why}; searching for the run {state.correlation}\n")
        return state.wait(SEARCHES[0])

    # Search

    async def _search(
        self, context: StepContext, template: GitHubTemplate, state: State
    ) -> Outcome:
        try:
            run = await self._find(template, state)
        except StepFailed as error:
            return await _postponed(context, state, error, SEARCHES[-1])
        if run is not None:
            await context.log(f"found the run {run.id}\n")
            return state.found(run).wait(0)
        if state.lost and state.waited >= LOST_ANSWER:
            await context.log("no such run: dispatching again\n")
            return await self._dispatch(context, template, state)
        if state.waited >= LATE_RUN:
            raise StepFailed(
                "run_not_found",
                f"The workflow was started, but no run appeared within {LATE_RUN:g} s",
                kind="permanent",
                do="Show the input `pao_correlation_id` in the workflow's run-name",
            )
        state = replace(state, polls=state.polls + 1)
        delay = SEARCHES[min(state.polls, len(SEARCHES) - 1)]
        return replace(state, waited=state.waited + delay).wait(delay)

    async def _find(self, template: GitHubTemplate, state: State) -> Run | None:
        """Return the dispatched run, None where it is not there yet.

        Without a correlation two candidates are an error: none of them is taken by guess.
        """
        since = datetime.fromisoformat(str(state.since))
        runs = await self._dispatches.runs_since(template, since)
        if state.correlation_input is not None:
            return with_correlation(runs, state.correlation)
        candidates = begun_since(runs, since, template.branch)
        if len(candidates) > 1:
            raise StepFailed(
                "ambiguous_run",
                "The workflow was started by others at the same time, and its run cannot be told"
                f" from theirs: {', '.join(str(run.id) for run in candidates[:10])}",
                details={"candidates": [run.html_url or run.id for run in candidates[:10]]},
                kind="permanent",
                do="Show an input in the workflow's run-name and name it in `correlation_input`",
            )
        return candidates[0] if candidates and state.waited >= SETTLED else None

    # Follow

    async def _follow(
        self, context: StepContext, template: GitHubTemplate, state: State
    ) -> Outcome:
        """Look at the run. Whatever goes wrong with that only postpones the next look."""
        delay = min(LONGEST_POLL, FIRST_POLL * 1.5 ** min(state.polls, 20))
        state = replace(state, polls=state.polls + 1)
        headers = {"if-none-match": state.etag} if state.etag else {}
        path = f"/actions/runs/{state.run_id}"
        try:
            response = await self._github.call("GET", template.repository, path, headers=headers)
            if response.status == 304:
                return replace(state, refusals=0).wait(delay)
            if error := refusal(response):
                raise error
            run = read(Run, response)
            state = replace(state.found(run), refusals=0)
            if run.status == "completed":
                return await self._concluded(context, template, state, run)
        except StepFailed as error:
            if error.error_type in _FINAL:
                raise
            if error.kind == "permanent":
                state = replace(state, refusals=state.refusals + 1)
            if state.refusals >= LONGEST_ABSENCE:
                raise _vanished(state, error) from error
            return await _postponed(context, replace(state, etag=None), error, delay)
        return replace(state, etag=response.headers.get("etag")).wait(delay)

    async def _concluded(
        self, context: StepContext, template: GitHubTemplate, state: State, run: Run
    ) -> Outcome:
        conclusion = str(run.conclusion)
        await context.log(f"the run {run.id} ended: {conclusion}\n")
        if conclusion != "success" and not _is_expected(context.config, conclusion):
            job = await self._failed_job(template, run)
            await context.remember(replace(state, concluded=True).kept)
            raise _failed(run, conclusion, job)
        artifacts = await artifacts_of(self._github, template.repository, run.id)
        own = await read_outputs(self._github, template.repository, artifacts)
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

    async def _failed_job(self, template: GitHubTemplate, run: Run) -> _Job | None:
        """Return the run's first failed job; not knowing it is no reason to wait."""
        path = f"/actions/runs/{run.id}/jobs?filter=latest&per_page=100"
        try:
            jobs = (await self._github.get(_Jobs, template.repository, path)).jobs
        except StepFailed:
            return None
        return next((job for job in jobs if job.conclusion not in _PASSED), None)


_PASSED: Final = frozenset({None, "success", "skipped", "neutral"})

_FINAL: Final = frozenset({"workflow_failed", "outputs_unusable", "output_missing"})
"""Errors of the run itself, not of a look at it."""


def _template(context: StepContext) -> GitHubTemplate:
    template = read_template(GitHubTemplate, context.template)
    if not _REPOSITORY.fullmatch(template.repository) or ".." in template.repository:
        raise StepFailed(
            "invalid_template",
            "The step's template cannot be used: repository is not `owner/name`",
            kind="permanent",
        )
    return template


def _correlation(state: State) -> dict[str, str]:
    return {state.correlation_input: state.correlation} if state.correlation_input else {}


async def _postponed(
    context: StepContext, state: State, error: StepFailed, delay: float
) -> Waiting:
    """Wait after a question that had no answer, or a refusal by a limit."""
    if error.error_type == "ambiguous_run":
        raise error
    await context.log(f"{error.message}; asking again\n")
    return state.wait(max(delay, error.retry_after or 0.0))


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
