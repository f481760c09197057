"""HttpGet, HttpPost, HttpPut, HttpPatch, HttpDelete: one call of an HTTP service.

The Idempotency-Key header is the same over automatic retries, so a server that honours it does
the work once. For one that does not, `retry_on_unknown: false`: before the call leaves, the step
remembers that it may have; an answer that was lost, or a worker that died meanwhile, is then a
permanent failure, "outcome unknown", which people settle.

A 2xx is success unless a verification names statuses; what it expects is success too.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field

from engine.durations import parse_duration
from engine.errors import StepFailed
from engine.foreign_json import clean, dump_json
from engine.outbound import TIMEOUT, Outbound, Response, failure_of
from engine.steps.base import Completed, Json, Outcome, StepContext
from engine.steps.http_polling import Asynchronous, keep_polling, pending
from engine.steps.outputs import take_outputs
from engine.steps.services import StepServices
from engine.steps.templates import RenderedTemplate, RenderedText, read_template

HIDDEN_HEADERS = frozenset({"set-cookie", "authorization", "www-authenticate"})
"""Headers of an answer that are not kept as evidence."""

SENT = "sent"
"""Key of `external`: the idempotency key under which a call may have left already."""


class Bearer(RenderedTemplate):
    """A token in the Authorization header (RFC 6750)."""

    type: Literal["bearer"]
    token: RenderedText

    def headers(self) -> dict[str, str]:
        """Return the headers that authenticate a call."""
        return {"authorization": f"Bearer {self.token}"}


class Basic(RenderedTemplate):
    """Name and password in the Authorization header (RFC 7617)."""

    type: Literal["basic"]
    username: RenderedText
    password: RenderedText

    def headers(self) -> dict[str, str]:
        """Return the headers that authenticate a call."""
        pair = f"{self.username}:{self.password}".encode()
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}


class ApiKey(RenderedTemplate):
    """A key in a header of its own."""

    type: Literal["api_key"]
    header: RenderedText
    value: RenderedText

    def headers(self) -> dict[str, str]:
        """Return the headers that authenticate a call."""
        return {self.header.lower(): self.value}


class HttpTemplate(RenderedTemplate):
    """What is called. A body that is a structure is sent as JSON, a text as it is."""

    url: str
    headers: dict[str, RenderedText] = Field(default_factory=dict)
    body: Json = None
    authentication: Annotated[Bearer | Basic | ApiKey, Field(discriminator="type")] | None = None
    async_: bool | Asynchronous = Field(False, alias="async")
    retry_on_unknown: bool = True

    def credentials(self) -> dict[str, str]:
        """Return all headers that may hold secrets: the document's and the authentication's."""
        own = {name.lower(): value for name, value in self.headers.items()}
        return own | (self.authentication.headers() if self.authentication else {})


class HttpStep:
    """What the five have in common; a subclass says its method."""

    name: ClassVar[str]
    method: ClassVar[str]
    template_model: ClassVar[type[BaseModel]] = HttpTemplate
    verifications: ClassVar[frozenset[str]] = frozenset(
        {"http_status", "response_body", "headers_present"}
    )
    outputs: ClassVar[frozenset[str] | None] = None

    def __init__(self, services: StepServices) -> None:
        self._outbound: Outbound = services.outbound

    async def start(self, context: StepContext) -> Outcome:
        """Call; complete from the answer, or wait where the template says that work goes on."""
        template = read_template(HttpTemplate, context.template)
        response = await self._call(context, template)
        _check_status(context, response)
        waiting = pending(template.async_, response, context.external)
        return waiting or _completed(context, response)

    async def poll(self, context: StepContext) -> Outcome:
        """Ask how far the work is; a question that gets no answer is only asked again."""
        template = read_template(HttpTemplate, context.template)
        response = await keep_polling(self._outbound, template, context)
        if not isinstance(response, Response):
            return response
        _check_status(context, response)
        waiting = pending(template.async_, response, context.external)
        return waiting or _completed(context, response)

    async def cancel(self, context: StepContext) -> None:
        """Nothing runs here, and HTTP knows no way to take a call back."""

    async def _call(self, context: StepContext, template: HttpTemplate) -> Response:
        if template.retry_on_unknown or self.method == "GET":
            await context.check_lease()
            return await self._send(context, template)
        if context.external.get(SENT) == context.idempotency_key:
            raise _outcome_unknown("the worker that made the call was lost")
        await context.remember({SENT: context.idempotency_key})
        await context.check_lease()
        try:
            response = await self._send(context, template)
        except StepFailed as error:
            if error.kind == "unknown":
                raise _outcome_unknown(error.message) from error
            await context.remember({SENT: None})
            raise
        if failure_of(response) is not None:
            await context.remember({SENT: None})
        return response

    async def _send(self, context: StepContext, template: HttpTemplate) -> Response:
        headers, body = _content(template.body, self.method)
        if self.method != "GET":
            headers["idempotency-key"] = context.idempotency_key
        headers |= template.credentials()
        await context.log(f"{self.method} {template.url}\n")
        response = await self._outbound.request(
            self.method,
            template.url,
            headers=headers,
            body=body,
            timeout=_time_limit(context.config),
        )
        await context.log(f"{response.status}\n{context.redacted(response.text)[:10_000]}\n")
        return response


class HttpGet(HttpStep):
    """Read something."""

    name = "HttpGet"
    method = "GET"


class HttpPost(HttpStep):
    """Ask for something to be done."""

    name = "HttpPost"
    method = "POST"


class HttpPut(HttpStep):
    """Put something in its place."""

    name = "HttpPut"
    method = "PUT"


class HttpPatch(HttpStep):
    """Change a part of something."""

    name = "HttpPatch"
    method = "PATCH"


class HttpDelete(HttpStep):
    """Remove something."""

    name = "HttpDelete"
    method = "DELETE"


def _time_limit(config: Mapping[str, Json]) -> float:
    """Return the seconds for a call: the step's own timeout, where its document names one."""
    try:
        return parse_duration(config["timeout"])
    except (KeyError, ValueError):
        return TIMEOUT


def _content(body: Json, method: str) -> tuple[dict[str, str], bytes | None]:
    """Return the headers and bytes of a request's body."""
    if body is None:
        return {}, None if method in {"GET", "DELETE"} else b""
    if isinstance(body, str):
        kind = "application/json" if _is_json(body) else "text/plain; charset=utf-8"
        return {"content-type": kind}, body.encode("utf-8", "replace")
    return {"content-type": "application/json"}, dump_json(clean(body)).encode()


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _check_status(context: StepContext, response: Response) -> None:
    """Raise what the status means, unless a verification of the step judges this status."""
    error = failure_of(response)
    if error is not None and not _is_judged(context.config, response.status):
        raise error


def _is_judged(config: Mapping[str, Json], status: int) -> bool:
    """Whether a http_status verification expects this status, or is still a template."""
    verifications = config.get("verification") or ()
    for one in verifications if isinstance(verifications, list | tuple) else [verifications]:
        if isinstance(one, Mapping) and one.get("type") == "http_status":
            expected = one.get("expected_status")
            several = expected if isinstance(expected, list | tuple) else [expected]
            if any(isinstance(entry, str) or entry == status for entry in several):
                return True
    return False


def _completed(context: StepContext, response: Response) -> Completed:
    try:
        body = response.json() if response.body else None
    except ValueError:
        body = response.text
    document = None if isinstance(body, str) else body
    taken = take_outputs(context.config, document)
    return Completed(
        outputs={name: output.value for name, output in taken.items()},
        evidence=_evidence(response, body),
    )


def _evidence(response: Response, body: Json) -> dict[str, Any]:
    shown = {name: value for name, value in response.headers.items() if name not in HIDDEN_HEADERS}
    return {"status": response.status, "headers": shown, "body": body}


def _outcome_unknown(why: str) -> StepFailed:
    return StepFailed(
        "outcome_unknown",
        f"Outcome unknown: the call may have been carried out, but {why}",
        kind="permanent",
        do="Look at the called service, then resolve or retry the step",
    )
