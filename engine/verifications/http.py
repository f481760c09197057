"""Judgements on the answer that an HTTP step got: its status, its body, its headers."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from engine.errors import InvalidInput
from engine.jsonpaths import NoMatch, first
from engine.regexps import compile_pattern
from engine.steps.base import Completed, Json, StepContext
from engine.steps.services import StepServices
from engine.steps.templates import RenderedText
from engine.verifications.base import Verdict
from engine.verifications.properties import Names, Properties, Statuses


class StatusProperties(Properties):
    """`http_status`: the statuses that are success."""

    expected_status: Statuses


class HttpStatus:
    """The answer has the expected status."""

    name: ClassVar[str] = "http_status"
    model: ClassVar[type[BaseModel]] = StatusProperties

    def __init__(self, _: StepServices) -> None:
        """Nothing is needed: the answer is in the evidence."""

    async def check(
        self, _: StepContext, properties: StatusProperties, result: Completed
    ) -> Verdict:
        """Compare the evidence's status."""
        expected, actual = properties.expected_status, result.evidence.get("status")
        wanted = " or ".join(map(str, expected))
        reason = "" if actual in expected else f"the status is {actual}, not {wanted}"
        return Verdict(actual in expected, _one_or_list(expected), actual, reason)


class BodyProperties(Properties):
    """`response_body`: where to look, and a value or a pattern for it."""

    json_path: str
    expected: Json = None
    matches: RenderedText | None = None


class ResponseBody:
    """The answer's body holds a value: the expected one, one that matches, or any."""

    name: ClassVar[str] = "response_body"
    model: ClassVar[type[BaseModel]] = BodyProperties

    def __init__(self, _: StepServices) -> None:
        """Nothing is needed: the answer is in the evidence."""

    async def check(self, _: StepContext, properties: BodyProperties, result: Completed) -> Verdict:
        """Look the value up in the evidence's body."""
        expected = properties.matches or properties.expected
        try:
            actual = first(properties.json_path, result.evidence.get("body"))
            verified, reason = _judge(properties, actual)
        except (NoMatch, InvalidInput, ValueError) as error:
            return Verdict(False, expected, None, str(error))
        return Verdict(verified, expected, actual, reason)


def _judge(properties: BodyProperties, actual: Json) -> tuple[bool, str]:
    if properties.matches is not None:
        fits = compile_pattern(properties.matches).matches(str(actual))
        return fits, "" if fits else f"{properties.json_path} does not match {properties.matches}"
    if "expected" not in properties.model_fields_set:
        return actual is not None, "" if actual is not None else f"{properties.json_path} is null"
    same = bool(actual == properties.expected)
    return same, "" if same else f"{properties.json_path} is not {properties.expected!r}"


class HeaderProperties(Properties):
    """`headers_present`: the headers' names, in any case."""

    headers: Names


class HeadersPresent:
    """The answer has the named headers."""

    name: ClassVar[str] = "headers_present"
    model: ClassVar[type[BaseModel]] = HeaderProperties

    def __init__(self, _: StepServices) -> None:
        """Nothing is needed: the answer is in the evidence."""

    async def check(
        self, _: StepContext, properties: HeaderProperties, result: Completed
    ) -> Verdict:
        """Look the names up in the evidence's headers."""
        there = result.evidence.get("headers") or {}
        missing = [name for name in properties.headers if name.lower() not in there]
        reason = f"the answer has no {', '.join(missing)}" if missing else ""
        return Verdict(not missing, list(properties.headers), sorted(there), reason)


def _one_or_list(values: tuple[int, ...]) -> Json:
    return values[0] if len(values) == 1 else list(values)
