"""The state machine around a dispatched run; what it must not forget stands in `external`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import ClassVar, Final

from pydantic import BaseModel

from engine.errors import StepFailed
from engine.steps.base import Outcome, StepContext
from engine.steps.github.api import GitHub, Run, refusal
from engine.steps.github.dispatches import (
    Dispatches,
    GitHubTemplate,
    begun_since,
    with_correlation,
)
from engine.steps.github.following import FIRST_POLL, follow
from engine.steps.github.limits import RateLimited
from engine.steps.github.state import State, postponed
from engine.steps.services import StepServices
from engine.steps.templates import read_template

SEARCHES: Final = (2.0, 3.0, 5.0, 10.0)
"""Seconds before each search for a run that was dispatched; the last repeats."""

LOST_ANSWER: Final = 20.0
"""Seconds of searching after which a dispatch whose answer was lost is made again."""

LATE_RUN: Final = 300.0
"""Seconds within which a run that certainly was dispatched must appear."""

SETTLED: Final = 15.0
"""Seconds after which a run that only its time tells of is taken, if it is still the only one."""


class GitHubWorkflow:
    """A GitHub Actions workflow is run to its end."""

    name: ClassVar[str] = "GitHubWorkflow"
    template_model: ClassVar[type[BaseModel]] = GitHubTemplate
    verifications: ClassVar[frozenset[str]] = frozenset({"workflow_status", "artifact_exists"})
    outputs: ClassVar[frozenset[str] | None] = None

    def __init__(self, services: StepServices) -> None:
        self._github = GitHub(services)
        self._dispatches = Dispatches(self._github)

    async def start(self, context: StepContext) -> Outcome:
        """Dispatch, unless a run of this key is under way or may be."""
        template = read_template(GitHubTemplate, context.template)
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
        template = read_template(GitHubTemplate, context.template)
        state = State.of(context)
        if state.run_id is not None:
            return await follow(self._github, context, template, state)
        if state.sent:
            return await self._search(context, template, state)
        return await self._dispatch(context, template, state)

    async def cancel(self, context: StepContext) -> None:
        """Cancel the run; one that has ended or is gone is no error. A retry begins another one."""
        try:
            await self._cancel(context, State.of(context))
        except StepFailed as error:
            await context.log(f"the run may go on, it was not cancelled: {error}\n")
            raise

    async def _cancel(self, context: StepContext, state: State) -> None:
        template = read_template(GitHubTemplate, context.template)
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
            run = await self._dispatches.dispatch(template, state.inputs)
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
            return await postponed(context, state, error, SEARCHES[-1])
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
