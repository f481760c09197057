"""GitHub's REST API: one call, its limits heeded before it and learnt after it, answers in a shape.

Pinned to the version 2022-11-28 of the API, whose dispatch knows `return_run_details`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.errors import StepFailed
from engine.foreign_json import Json, dump_json
from engine.outbound import Response, failure_of
from engine.steps.github.limits import heeding
from engine.steps.github.tokens import Tokens
from engine.steps.services import StepServices

API_VERSION: Final = "2022-11-28"

CALL_TIMEOUT: Final = 30.0
"""Seconds for one call."""

Shape = TypeVar("Shape", bound=BaseModel)


class Answer(BaseModel):
    """Base of the shapes of answers: what is not named is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Run(Answer):
    """A workflow's run. `status` and `conclusion` are words that GitHub may add to."""

    id: int
    status: str | None = None
    conclusion: str | None = None
    html_url: str | None = None
    display_title: str | None = None
    name: str | None = None
    head_branch: str | None = None
    created_at: datetime | None = None
    run_attempt: int = 1


class GitHub:
    """The API of the server that the settings name."""

    def __init__(self, services: StepServices) -> None:
        self.outbound = services.outbound
        self.url = services.github.api_url.rstrip("/")
        self._budgets = services.budgets
        self._tokens = Tokens(services)

    async def call(
        self,
        method: str,
        repository: str,
        path: str,
        *,
        body: Json = None,
        headers: Mapping[str, str] | None = None,
        follow: bool = True,
    ) -> Response:
        """Call `/repos/{repository}{path}`; the answer is any but 401 of an old token and a limit.

        Raises RateLimited, and StepFailed where there is no answer.
        """
        response = await self._send(method, repository, path, body, headers, follow=follow)
        if response.status == 401 and self._tokens.forget(repository):
            response = await self._send(method, repository, path, body, headers, follow=follow)
        return response

    async def get(self, shape: type[Shape], repository: str, path: str) -> Shape:
        """Return what stands at a path; raises StepFailed for every status but 2xx."""
        response = await self.call("GET", repository, path)
        if error := refusal(response):
            raise error
        return read(shape, response)

    async def _send(
        self,
        method: str,
        repository: str,
        path: str,
        body: Json,
        headers: Mapping[str, str] | None,
        *,
        follow: bool,
    ) -> Response:
        token = await self._tokens.token(repository)
        asked = {
            "accept": "application/vnd.github+json",
            "x-github-api-version": API_VERSION,
            "authorization": f"Bearer {token}",
            **({} if body is None else {"content-type": "application/json"}),
            **(headers or {}),
        }
        return await heeding(
            self._budgets,
            self._tokens.budget(repository),
            lambda: self.outbound.request(
                method,
                f"{self.url}/repos/{repository}{path}",
                headers=asked,
                body=None if body is None else dump_json(body).encode(),
                timeout=CALL_TIMEOUT,
                guarded=False,
                follow=follow,
            ),
        )


def read(shape: type[Shape], response: Response) -> Shape:
    """Return an answer in its shape; StepFailed (unknown) where it has another."""
    try:
        return shape.model_validate(response.json())
    except (ValidationError, ValueError) as error:
        raise StepFailed(
            "invalid_answer",
            f"{response.url.partition('?')[0]} answered {response.status} with something else"
            f" than a {shape.__name__.lower()}",
        ) from error


def refusal(response: Response) -> StepFailed | None:
    """Return the error that a status means, in GitHub's words and with a hint; None for 2xx."""
    error = failure_of(response)
    if error is None:
        return None
    said = _message(response)
    if said:
        error = StepFailed(
            error.error_type,
            f"{error.message}: {said}",
            details=error.details,
            kind=error.kind,
            retry_after=error.retry_after,
        )
    error.do = _HINTS.get(response.status, "")
    return error


def _message(response: Response) -> str:
    try:
        answer = response.json()
    except ValueError:
        return ""
    said = answer.get("message") if isinstance(answer, dict) else None
    return said if isinstance(said, str) else ""


_HINTS: Final = {
    401: "Check GITHUB_TOKEN, or GITHUB_APP_ID and GITHUB_APP_KEY",
    403: "Give the token the permission `actions: write` on the repository",
    404: "Check the names, and whether the token may see the repository",
    422: "Check ref and inputs against the workflow's file",
}
