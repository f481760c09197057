"""GitHub's REST API: one call, its limits told apart from its refusals, answers in a shape.

Pinned to the version 2022-11-28 of the API, whose dispatch knows `return_run_details`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.config import GitHubSettings
from engine.errors import StepFailed
from engine.foreign_json import Json, dump_json
from engine.outbound import Outbound, Response, failure_of, retry_after
from engine.steps.github.tokens import Tokens

API_VERSION: Final = "2022-11-28"

CALL_TIMEOUT: Final = 30.0
"""Seconds for one call."""

SECONDARY_LIMIT: Final = 60.0
"""Seconds to wait where GitHub says that there is a limit and not for how long."""

LONGEST_WAIT: Final = 3600.0
"""Seconds; GitHub's limits are by the hour."""

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


class RateLimited(StepFailed):
    """GitHub asks to be called later; `wait` is in seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(
            "rate_limited",
            f"GitHub's limit for calls is reached; it may be called again in {wait:g} s",
            kind="transient",
            retry_after=wait,
        )
        self.wait = wait


class GitHub:
    """The API of the server that the settings name."""

    def __init__(self, outbound: Outbound, settings: GitHubSettings) -> None:
        self.outbound = outbound
        self.url = settings.api_url.rstrip("/")
        self._tokens = Tokens(outbound, settings)

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
        wait = _limit(response)
        if wait is not None:
            raise RateLimited(min(wait, LONGEST_WAIT))
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
        sent = {
            "accept": "application/vnd.github+json",
            "x-github-api-version": API_VERSION,
            "authorization": f"Bearer {token}",
            **({} if body is None else {"content-type": "application/json"}),
            **(headers or {}),
        }
        return await self.outbound.request(
            method,
            f"{self.url}/repos/{repository}{path}",
            headers=sent,
            body=None if body is None else dump_json(body).encode(),
            timeout=CALL_TIMEOUT,
            guarded=False,
            follow=follow,
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


def server_time(response: Response) -> datetime:
    """Return the time by the server's clock; ours where it does not tell."""
    try:
        told = parsedate_to_datetime(response.headers.get("date", ""))
    except ValueError:
        return datetime.now(UTC)
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def _limit(response: Response) -> float | None:
    """Return how long to wait where the answer is about a limit, None where it is not.

    GitHub's "Rate limits for the REST API": Retry-After first, then the reset of the primary
    limit, else at least a minute.
    """
    if response.status not in {403, 429}:
        return None
    asked = retry_after(response)
    if asked is not None:
        return max(asked, 1.0)
    if response.headers.get("x-ratelimit-remaining") == "0":
        reset = response.headers.get("x-ratelimit-reset", "")
        if reset.isascii() and reset.isdigit():
            return max(int(reset[:12]) - server_time(response).timestamp(), 1.0)
        return SECONDARY_LIMIT
    is_limit = response.status == 429 or "rate limit" in response.text.lower()
    return SECONDARY_LIMIT if is_limit else None


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
