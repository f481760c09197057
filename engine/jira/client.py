"""The seam to the `jira` library: off the loop, bounded, its errors sorted by kind.

The library blocks, and left alone it repeats a POST after a broken connection and waits for ever.
So: no repetition of its own, time limits, four threads that nobody else uses, each with its client
(a session is not promised to be safe across threads). A client asks for the server's kind when it
is made, since Jira Cloud searches by another address.

The text of its errors holds the request's headers, and so our password: only status, address and
Jira's own words are taken from them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

import requests
from jira import JIRA, JIRAError
from urllib3.exceptions import NewConnectionError

from engine.config import TicketSystemSettings
from engine.errors import StepFailed
from engine.foreign_json import Json, clean
from engine.jira.text import as_written, label, quoted, summary
from engine.outbound import Response, failure_of
from engine.spans import TRACEPARENT, traceparent

THREADS: Final = 4

TIMEOUT: Final = (5.0, 30.0)
"""Seconds for a connection, and between two pieces of an answer."""

CALL_SECONDS: Final = 60.0
"""Seconds for a whole call: the library's own limits stand between two pieces of an answer."""

FIELDS: Final = ("status", "created", "resolutiondate")

DONE: Final = "done"
"""Key of the status category that means the work is over, whatever the status is called."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class NewIssue:
    """An issue to be made. `label` recognises it; the other texts are the document's."""

    label: str
    project: str
    issue_type: str
    summary: str
    description: str = ""
    assignee: str | None = None
    priority: str | None = None
    labels: Sequence[str] = ()
    components: Sequence[str] = ()
    custom_fields: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue. `category` is `new`, `indeterminate` or `done`; None where nothing was read."""

    key: str
    url: str
    status: str | None = None
    category: str | None = None
    created: datetime | None = None
    resolved: datetime | None = None


class Jira:
    """The Jira that the settings name. Every call raises StepFailed.

    `call_seconds` bounds a whole call, the wait for a thread and the making of a client included.
    """

    def __init__(
        self, settings: TicketSystemSettings, *, call_seconds: float = CALL_SECONDS
    ) -> None:
        self._settings = settings
        self._call_seconds = call_seconds
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="jira")
        self._own = threading.local()

    async def find(self, labels: Sequence[str]) -> Issue | None:
        """Return the oldest issue that has one of the labels.

        Jira Cloud's index lags behind: an issue made seconds ago may not be found yet.
        """
        query = f"labels in ({', '.join(map(quoted, labels))}) ORDER BY created ASC"

        def search(client: JIRA) -> Json:
            return client.search_issues(query, maxResults=1, fields=list(FIELDS), json_result=True)

        found = await self._call(search)
        issues = found.get("issues") if isinstance(found, Mapping) else None
        if not isinstance(issues, list):
            raise _unreadable()
        return self._issue(issues[0]) if issues else None

    async def issue(self, key: str) -> Issue:
        """Return an issue as it is now."""
        return self._issue(
            await self._call(lambda client: client.issue(key, fields=",".join(FIELDS)).raw)
        )

    async def create(self, new: NewIssue) -> Issue:
        """Make an issue. StepFailed of the kind unknown: it may have been made."""
        try:
            key: str = await self._call(
                lambda client: client.create_issue(fields=_fields(client, new), prefetch=False).key,
                writes=True,
            )
        except StepFailed as error:
            if "issuetype" in error.details.get("errors", {}):
                raise await self._unknown_type(new, error) from error
            raise
        return Issue(key, self._url(key))

    async def comment(self, key: str, text: str) -> None:
        """Add a comment."""
        await self._call(lambda client: client.add_comment(key, as_written(text)), writes=True)

    async def close(self, key: str) -> bool:
        """Move an issue to a status that means done; False where no transition leads there."""

        def move(client: JIRA) -> bool:
            for one in client.transitions(key):
                if ((one.get("to") or {}).get("statusCategory") or {}).get("key") == DONE:
                    client.transition_issue(key, one["id"])
                    return True
            return False

        return await self._call(move, writes=True)

    async def _unknown_type(self, new: NewIssue, error: StepFailed) -> StepFailed:
        """Return the refusal with the issue types that the project has."""
        try:
            project = await self._call(lambda client: client.project(new.project).raw)
        except StepFailed:
            return error
        names = [str(one.get("name")) for one in project.get("issueTypes") or ()]
        return StepFailed(
            error.error_type,
            f"{error.message}; the project {new.project} has {', '.join(names) or 'no type'}",
            details={**error.details, "issue_types": names},
            kind=error.kind,
            do="Correct `issue_type`",
        )

    def _issue(self, raw: Json) -> Issue:
        try:
            key, fields = str(raw["key"]), raw.get("fields") or {}
            status = fields.get("status") or {}
            return Issue(
                clean(key),
                self._url(key),
                clean(status.get("name")),
                (status.get("statusCategory") or {}).get("key"),
                _time(fields.get("created")),
                _time(fields.get("resolutiondate")),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _unreadable() from error

    def _url(self, key: str) -> str:
        return f"{(self._settings.jira_url or '').rstrip('/')}/browse/{key}"

    async def _call(self, work: Callable[[JIRA], Result], *, writes: bool = False) -> Result:
        """Do `work` in one of our threads."""
        departure = _Departure()
        headers = {TRACEPARENT: parent} if (parent := traceparent()) else {}

        def call() -> Result:
            client = self._client()
            client._session.headers.pop(TRACEPARENT, None)  # noqa: SLF001 (no way to say it a call)
            client._session.headers.update(headers)  # noqa: SLF001
            departure.leave()
            return work(client)

        _check(self._settings)
        try:
            async with asyncio.timeout(self._call_seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except asyncio.CancelledError:
            departure.give_up()
            raise
        except TimeoutError as error:
            left = departure.give_up()
            raise StepFailed(
                "timeout",
                f"Jira did not answer within {self._call_seconds:g} s",
                kind="unknown" if writes and left else "transient",
            ) from error
        except JIRAError as error:
            raise _refused(error, writes=writes and departure.has_left) from error
        except requests.exceptions.JSONDecodeError as error:
            raise StepFailed("invalid_answer", "Jira's answer is no JSON") from error
        except requests.RequestException as error:
            if isinstance(error, ValueError):
                raise _bad_address(error) from error
            unknown = writes and departure.has_left and not _sent_nothing(error)
            raise StepFailed(
                "connection_lost",
                f"Jira cannot be reached: {_reason(error)}",
                kind="unknown" if unknown else "transient",
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StepFailed("invalid_answer", f"Jira's answer cannot be read: {error}") from error

    def _client(self) -> JIRA:
        """Return this thread's client."""
        client: JIRA | None = getattr(self._own, "client", None)
        if client is None:
            settings = self._settings
            by_name = settings.jira_user is not None
            client = JIRA(
                server=str(settings.jira_url),
                basic_auth=(str(settings.jira_user), str(settings.jira_token)) if by_name else None,
                token_auth=None if by_name else settings.jira_token,
                timeout=TIMEOUT,
                max_retries=0,
                get_server_info=True,
                logging=False,
            )
            # The library would read the definitions of all fields before the first search.
            client._fields_cache_value.update({name: name for name in FIELDS})  # noqa: SLF001
            self._own.client = client
        return client


class _Departure:
    """Whether a call has left its thread: not any more once whoever waited for it has given it up.

    A client may take longer to make than the call may; what is tried again must not leave late.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_given_up = False
        self.has_left = False

    def leave(self) -> None:
        """Leave, or raise where that is no longer wanted."""
        with self._lock:
            if self._is_given_up:
                raise asyncio.CancelledError
            self.has_left = True

    def give_up(self) -> bool:
        """Hold back what has not left; return whether it has."""
        with self._lock:
            self._is_given_up = True
            return self.has_left


def _unreadable() -> StepFailed:
    return StepFailed("invalid_answer", "Jira answered with something else than issues")


def _check(settings: TicketSystemSettings) -> None:
    missing = [
        name
        for name, value in (("JIRA_URL", settings.jira_url), ("JIRA_TOKEN", settings.jira_token))
        if not value
    ]
    if missing:
        raise StepFailed(
            "not_configured",
            f"Jira cannot be called: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'}"
            " not set",
            kind="permanent",
            do="Set it and restart",
        )


def _bad_address(error: ValueError) -> StepFailed:
    return StepFailed(
        "not_configured", f"JIRA_URL is no address: {error}", kind="permanent", do="Correct it"
    )


def _fields(client: JIRA, new: NewIssue) -> dict[str, Json]:
    """Return an issue's fields as the API takes them."""
    by_account = client.deploymentType == "Cloud"
    labels = [label(one) for one in (*new.labels, new.label)]
    fields: dict[str, Json] = {
        **_plain(new.custom_fields),
        "project": {"key": new.project},
        "issuetype": {"name": new.issue_type},
        "summary": summary(new.summary),
        "labels": [one for one in dict.fromkeys(labels) if one],
    }
    if new.description:
        fields["description"] = as_written(new.description)
    if new.assignee:
        fields["assignee"] = {"accountId" if by_account else "name": new.assignee}
    if new.priority:
        fields["priority"] = {"name": new.priority}
    if new.components:
        fields["components"] = [{"name": one} for one in new.components]
    return fields


def _plain(value: Any) -> Any:
    """Return JSON that the library's own writer takes: decimals as numbers."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return int(value) if value == int(value) else float(value)


def _refused(error: JIRAError, *, writes: bool) -> StepFailed:
    """Return what a status means. A server that broke off a creation may have made the issue."""
    answer = error.response
    if answer is None:
        kind = "unknown" if writes else "transient"
        return StepFailed("invalid_answer", clean(str(error.text)), kind=kind)  # type: ignore[arg-type]
    headers = {name.lower(): value for name, value in answer.headers.items()}
    address = str(answer.url).partition("?")[0]
    failure = failure_of(Response(answer.status_code, headers, answer.content, address))
    if failure is None:
        return StepFailed("invalid_answer", f"{address} answered with something else")
    errors = _named(answer)
    said = "; ".join(f"{name}: {text}" for name, text in errors.items()) or error.text or ""
    return StepFailed(
        failure.error_type,
        clean(f"{failure.message}: {said}" if said else failure.message),
        details={"status": answer.status_code, "errors": clean(errors)},
        kind="unknown" if writes and answer.status_code >= 500 else failure.kind,
        retry_after=failure.retry_after,
        do="Check JIRA_USER and JIRA_TOKEN" if answer.status_code in {401, 403} else "",
    )


def _named(answer: requests.Response) -> dict[str, str]:
    """Return Jira's messages by the field that they are about."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    named = body.get("errors") if isinstance(body, dict) else None
    return {str(key): str(text) for key, text in named.items()} if isinstance(named, dict) else {}


def _sent_nothing(error: requests.RequestException) -> bool:
    """Whether no connection stood, so that nothing can have arrived."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError):
        return True
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(cause, NewConnectionError)


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return (
        "no connection"
        if _sent_nothing(error)
        else f"the connection broke ({type(error).__name__})"
    )


def _time(text: Json) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
