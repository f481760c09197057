"""Starts runs of workflows, and finds the run that a dispatch started."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import quote

import yaml
from pydantic import AfterValidator

from engine.errors import StepFailed
from engine.foreign_json import Json, dump_json
from engine.outbound import Response
from engine.repository_names import ALLOWED, is_repository
from engine.steps.github.api import Answer, GitHub, Run, read, refusal
from engine.steps.github.limits import RateLimited, server_time
from engine.steps.templates import RenderedTemplate, RenderedText

CORRELATION_INPUT: Final = "pao_correlation_id"
"""The input that takes the correlation id where a workflow declares it."""

CREATED_MARGIN: Final = timedelta(minutes=5)
"""How much older than the dispatch a run may be made to look by the clocks of GitHub's servers."""

CLOCK_STEP: Final = timedelta(seconds=2)
"""As CREATED_MARGIN, where nothing but the time tells runs apart."""

PAGE: Final = 100
PAGES: Final = 3

LARGEST_WORKFLOW: Final = 256 << 10
"""Bytes of a workflow's file; a larger one is not looked into."""

INPUTS_KEPT: Final = 60.0
"""Seconds for which a workflow's declared inputs are not read again."""

KEPT_FILES: Final = 500

DETAILS: Final = "return_run_details"


def _owner_and_name(text: str) -> str:
    if not is_repository(text):
        raise ValueError(f"it is not `{ALLOWED}`")
    return text


class GitHubTemplate(RenderedTemplate):
    """Which workflow is dispatched. `workflow_id` is its file's name or its id."""

    repository: Annotated[str, AfterValidator(_owner_and_name)]
    workflow_id: RenderedText
    ref: RenderedText = "main"
    inputs: dict[str, Json] | None = None
    correlation_input: str | None = None

    @property
    def path(self) -> str:
        """The workflow's path in the API, below the repository."""
        return f"/actions/workflows/{quote(self.workflow_id.rpartition('/')[2], safe='')}"

    @property
    def branch(self) -> str:
        """The ref as runs name it."""
        return self.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


@dataclass(frozen=True, slots=True)
class Workflow:
    """What is to be known before a dispatch: the correlation's input, and the server's time."""

    correlation_input: str | None
    now: datetime


class _Workflow(Answer):
    path: str | None = None


class _File(Answer):
    content: str = ""
    encoding: str = ""


class _Runs(Answer):
    workflow_runs: tuple[Run, ...] = ()


class _Details(Answer):
    workflow_run_id: int
    html_url: str | None = None
    run_url: str | None = None


class Dispatches:
    """Dispatches and their runs. Remembers what the server and its workflows can do."""

    def __init__(self, github: GitHub) -> None:
        self._github = github
        self._without_details = False
        self._inputs: dict[tuple[str, str, str], tuple[float, bool]] = {}

    async def look(self, template: GitHubTemplate) -> Workflow:
        """Return what a dispatch needs to know; StepFailed where the workflow is not there."""
        response = await self._github.call("GET", template.repository, template.path)
        if error := refusal(response):
            raise error
        name = template.correlation_input
        if name is None and await self._declares(template, read(_Workflow, response).path):
            name = CORRELATION_INPUT
        return Workflow(name, server_time(response))

    async def dispatch(
        self, template: GitHubTemplate, correlation: Mapping[str, str]
    ) -> Run | None:
        """Start a run; None where the server does not say which.

        StepFailed of the kind unknown: a run may have started.
        """
        body: dict[str, Json] = {
            "ref": template.ref,
            "inputs": {**as_inputs(template.inputs or {}), **correlation},
        }
        response = await self._post(template, body)
        if error := _refused(response):
            raise error
        try:
            details = read(_Details, response)
        except StepFailed:
            return None
        return Run(id=details.workflow_run_id, html_url=details.html_url)

    async def runs_since(self, template: GitHubTemplate, since: datetime) -> list[Run]:
        """Return the dispatched runs of a workflow that may have begun after `since`."""
        created = (since - CREATED_MARGIN).strftime("%Y-%m-%dT%H:%M:%SZ")
        query = f"event=workflow_dispatch&created={quote(f'>={created}')}&per_page={PAGE}"
        found: list[Run] = []
        for page in range(1, PAGES + 1):
            path = f"{template.path}/runs?{query}&page={page}"
            runs = (await self._github.get(_Runs, template.repository, path)).workflow_runs
            found += runs
            if len(runs) < PAGE:
                break
        return found

    async def _post(self, template: GitHubTemplate, body: Mapping[str, Json]) -> Response:
        """Dispatch, once more without the key that older servers refuse (and do nothing for)."""
        path = f"{template.path}/dispatches"
        if not self._without_details:
            asked = {**body, DETAILS: True}
            response = await self._github.call("POST", template.repository, path, body=asked)
            if response.status not in {400, 422} or DETAILS not in response.text:
                return response
            self._without_details = True
        return await self._github.call("POST", template.repository, path, body=dict(body))

    async def _declares(self, template: GitHubTemplate, path: str | None) -> bool:
        """Whether the workflow's file has the correlation's input; unreadable: it has not."""
        key = (template.repository, template.workflow_id, template.ref)
        expires, declared = self._inputs.get(key, (0.0, False))
        if expires > time.monotonic():
            return declared
        if path is None:
            return False
        try:
            where = f"/contents/{quote(path)}?ref={quote(template.ref, safe='')}"
            file = await self._github.get(_File, template.repository, where)
        except RateLimited:
            raise
        except StepFailed:
            return False
        declared = await asyncio.to_thread(_declares, file.content, file.encoding)
        if len(self._inputs) >= KEPT_FILES:
            self._inputs.clear()
        self._inputs[key] = (time.monotonic() + INPUTS_KEPT, declared)
        return declared


def correlation_id(key: str, dispatch: int) -> str:
    """Return the id of the n-th dispatch under an idempotency key; no one is part of another."""
    return f"pao-{hashlib.sha256(f'{key}:{dispatch}'.encode()).hexdigest()[:24]}"


def with_correlation(runs: Sequence[Run], correlation: str) -> Run | None:
    """Return the run whose title shows the correlation id."""
    titles = ((run, f"{run.display_title or ''} {run.name or ''}") for run in runs)
    return next((run for run, title in titles if correlation in title), None)


def begun_since(runs: Sequence[Run], since: datetime, branch: str) -> list[Run]:
    """Return the runs that the dispatch may have started, told apart by nothing but time."""
    earliest = since - CLOCK_STEP
    return [
        run
        for run in runs
        if run.head_branch in {None, branch}
        and (run.created_at is None or run.created_at >= earliest)
    ]


def as_inputs(inputs: Mapping[str, Json]) -> dict[str, str]:
    """Return inputs as GitHub takes them: texts; what is not given is left to its default."""
    return {name: _input(value) for name, value in inputs.items() if value is not None}


def _input(value: Json) -> str:
    if isinstance(value, str):
        return value
    return dump_json(value)


def _refused(response: Response) -> StepFailed | None:
    """Return why nothing was started. A gateway without an answer does not know that."""
    error = refusal(response)
    if error is not None and response.status in {502, 504}:
        error.kind = "unknown"
    return error


def _declares(content: str, encoding: str) -> bool:
    try:
        text = base64.b64decode(content) if encoding == "base64" else content.encode()
        if len(text) > LARGEST_WORKFLOW:
            return False
        document = yaml.safe_load(text)
    except (binascii.Error, ValueError, yaml.YAMLError, RecursionError):
        return False
    # YAML 1.1 reads the key `on` as a boolean.
    events = _at(document, "on") or _at(document, True)
    return CORRELATION_INPUT in (_at(_at(events, "workflow_dispatch"), "inputs") or {})


def _at(value: Any, key: object) -> Any:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else None
