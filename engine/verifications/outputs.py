"""Judgements on a step's outputs, whatever its type."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from engine.steps.base import Completed, StepContext
from engine.steps.services import StepServices
from engine.steps.templates import RenderedText
from engine.verifications.base import Verdict
from engine.verifications.properties import Properties


class VersionProperties(Properties):
    """`version_check`: the version, and the output that holds it."""

    expected_version: RenderedText
    output: str = "version"


class VersionCheck:
    """An output holds the expected version, exactly."""

    name: ClassVar[str] = "version_check"
    model: ClassVar[type[BaseModel]] = VersionProperties

    def __init__(self, _: StepServices) -> None:
        """Nothing is needed: the outputs are there."""

    async def check(
        self, _: StepContext, properties: VersionProperties, result: Completed
    ) -> Verdict:
        """Compare as texts: `16` and `"16"` are the same version."""
        expected, name = properties.expected_version, properties.output
        if name not in result.outputs:
            return Verdict(False, expected, None, f"there is no output {name!r}")
        actual = str(result.outputs[name])
        reason = "" if actual == expected else f"the version is {actual}, not {expected}"
        return Verdict(actual == expected, expected, actual, reason)
