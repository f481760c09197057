"""HTTP work that goes on after the answer: where to ask, how often, and when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.errors import InvalidInput, StepFailed
from engine.jsonpaths import NoMatch, first
from engine.outbound import Outbound, Response, retry_after, same_origin
from engine.regexps import compile_pattern
from engine.steps.base import Json, StepContext, Waiting
from engine.steps.templates import RenderedTemplate, Seconds

if TYPE_CHECKING:
    from engine.steps.http import HttpTemplate

FIRST_INTERVAL = 5.0
LONGEST_INTERVAL = 60.0
"""Seconds between two questions where the document names no interval: growing by half."""

LONGEST_RETRY_AFTER = 600.0
"""Seconds; a server that asks for more is asked again after this."""

PATIENCE = 6 * 3600.0
"""Seconds of waiting after which work counts as lost, where the document names no timeout."""


class Match(RenderedTemplate):
    """A value of the answer: `matches` is a pattern for its text, or a list of texts."""

    json_path: str
    matches: str | list[Json] | tuple[Json, ...]

    def fits(self, document: Json) -> bool:
        """Whether the value is there and matches."""
        try:
            found = _text(first(self.json_path, document))
            if isinstance(self.matches, str):
                return compile_pattern(self.matches).matches(found)
        except NoMatch:
            return False
        except (InvalidInput, ValueError) as error:
            raise StepFailed("invalid_template", str(error), kind="permanent") from error
        return found in {_text(one) for one in self.matches}


class Asynchronous(RenderedTemplate):
    """`async` of a template. `location` is a header's name, or a JSONPath into the answer."""

    location: str | None = None
    done: Match | None = None
    failed: Match | None = None
    interval: Seconds | None = None
    timeout: Seconds | None = None


def pending(
    options: bool | Asynchronous,
    response: Response,
    external: Mapping[str, Json],
) -> Waiting | None:
    """Return the wait that an answer asks for; None where the work is done.

    `external` is what an earlier wait kept. StepFailed (permanent) where the work has failed, took
    too long, or nobody says where to ask.
    """
    if options is False:
        return None
    options = Asynchronous() if options is True else options
    body = _body(response)
    if options.failed and options.failed.fits(body):
        raise StepFailed(
            "job_failed",
            f"The work failed: {options.failed.json_path} says so",
            details={"body": response.text},
            kind="permanent",
        )
    over = options.done.fits(body) if options.done else response.status != 202
    if over:
        return None
    location = _location(options, response, body) or external.get("location")
    if not location:
        raise StepFailed(
            "no_location",
            "The service accepted the work and did not say where to ask about it",
            kind="permanent",
            do="Name the header or JSONPath in `async.location`",
        )
    return _next(options, str(location), external, retry_after(response))


async def keep_polling(
    outbound: Outbound, template: HttpTemplate, context: StepContext
) -> Response | Waiting:
    """Ask once more. What may be better next time (no answer, 429, 5xx) only postpones."""
    location = str(context.external["location"])
    headers = template.credentials() if same_origin(location, template.url) else {}
    options = template.async_ if isinstance(template.async_, Asynchronous) else Asynchronous()
    wait: float | None = None
    try:
        response = await outbound.request("GET", location, headers=headers)
        if response.status != 429 and response.status < 500:
            return response
        wait = retry_after(response)
        await context.log(f"{location} answered {response.status}; asking again\n")
    except StepFailed as error:
        if error.kind == "permanent":
            raise
        await context.log(f"{error.message}; asking again\n")
    return _next(options, location, context.external, wait)


def _next(
    options: Asynchronous, location: str, external: Mapping[str, Json], at_least: float | None
) -> Waiting:
    """Build the next wait. Time is counted by the waits themselves: no clock is trusted."""
    polls, waited = int(external.get("polls") or 0), float(external.get("waited") or 0)
    limit = options.timeout or PATIENCE
    if waited >= limit:
        raise StepFailed("timeout", f"The work was not done within {limit:g} s", kind="transient")
    delay = options.interval or min(LONGEST_INTERVAL, FIRST_INTERVAL * 1.5 ** min(polls, 20))
    delay = max(delay, min(at_least or 0.0, LONGEST_RETRY_AFTER))
    kept = {"location": location, "polls": polls + 1, "waited": waited + delay}
    return Waiting(delay, kept, job_url=location)


def _location(options: Asynchronous, response: Response, body: Json) -> str | None:
    where = options.location or "location"
    if where.startswith("$"):
        try:
            found = first(where, body)
        except (NoMatch, InvalidInput):
            return None
    else:
        found = response.headers.get(where.lower())
    return response.link(found) if isinstance(found, str) and found else None


def _body(response: Response) -> Json:
    try:
        return response.json() if response.body else None
    except ValueError:
        return None


def _text(value: Json) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
