"""Judgements on what Terraform applied: the state's resources and outputs, the plan's variables."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar, Final

from pydantic import BaseModel

from engine.steps.base import Completed, Json, StepContext
from engine.steps.services import StepServices
from engine.steps.templates import Seconds
from engine.steps.terraform import TerraformFile
from engine.verifications.base import Verdict
from engine.verifications.properties import Names, Properties
from engine.verifications.waiting import not_yet

HEALTH_TIMEOUT: Final = 600.0
"""Seconds for a refresh-only plan where the document says nothing."""


class StateProperties(Properties):
    """`terraform_state`: how many resources there are, and outputs that must have a value."""

    resource_count: int | None = None
    required_outputs: Names | None = None


class TerraformState:
    """The applied state holds what was asked."""

    name: ClassVar[str] = "terraform_state"
    model: ClassVar[type[BaseModel]] = StateProperties

    def __init__(self, _: StepServices) -> None:
        """Nothing is needed: the state's resources and outputs are in the result."""

    async def check(
        self, _: StepContext, properties: StateProperties, result: Completed
    ) -> Verdict:
        """Count the resources and look for the outputs; values are not repeated."""
        expected: dict[str, Json] = {}
        actual: dict[str, Json] = {}
        reasons: list[str] = []
        if properties.resource_count is not None:
            expected["resource_count"] = properties.resource_count
            actual["resource_count"] = len(result.resources or ())
            if actual["resource_count"] != properties.resource_count:
                reasons.append(
                    f"there are {actual['resource_count']} resources,"
                    f" not {properties.resource_count}"
                )
        if properties.required_outputs:
            expected["required_outputs"] = list(properties.required_outputs)
            there = [name for name, value in result.outputs.items() if value is not None]
            actual["required_outputs"] = sorted(there)
            missing = [name for name in properties.required_outputs if name not in there]
            if missing:
                reasons.append(f"there is no output {', '.join(missing)}")
        return Verdict(not reasons, expected, actual, "; ".join(reasons))


class HealthProperties(Properties):
    """`resource_health`: how long the look at the resources may take, waits included."""

    timeout: Seconds | None = None


class ResourceHealth:
    """A refresh-only plan shows no drift: what was made is there, and as it was made."""

    name: ClassVar[str] = "resource_health"
    model: ClassVar[type[BaseModel]] = HealthProperties

    def __init__(self, services: StepServices) -> None:
        self._terraform = TerraformFile(services)

    async def check(
        self, context: StepContext, properties: HealthProperties, _: Completed
    ) -> Verdict:
        """Refresh, and name the resources that differ."""
        limit = HEALTH_TIMEOUT if properties.timeout is None else properties.timeout
        try:
            async with asyncio.timeout(limit):
                drifted = await self._terraform.drift(context)
        except TimeoutError:
            return Verdict(False, [], None, f"the resources were not read within {limit:g} s")
        if drifted is None:
            return await not_yet(
                context,
                self.name,
                limit=limit,
                expected=[],
                actual=None,
                reason="the lock of the state was not free",
            )
        reason = f"not as applied: {', '.join(drifted)}" if drifted else ""
        return Verdict(not drifted, [], list(drifted), reason)


class ConfigurationProperties(Properties):
    """`configuration_check`: names of variables, or names with the values that they must have."""

    expected_changes: dict[str, Json] | tuple[str, ...] | list[str]


class ConfigurationCheck:
    """Each named variable is in the applied plan with the value that was asked for."""

    name: ClassVar[str] = "configuration_check"
    model: ClassVar[type[BaseModel]] = ConfigurationProperties

    def __init__(self, _: StepServices) -> None:
        """Nothing is needed: the plan's variables are in the evidence."""

    async def check(
        self, context: StepContext, properties: ConfigurationProperties, result: Completed
    ) -> Verdict:
        """Compare by name; a value that differs is named, not shown."""
        asked = properties.expected_changes
        if not isinstance(asked, Mapping):
            variables = context.template.get("variables") or {}
            asked = {name: variables.get(name) for name in asked}
        planned = result.evidence.get("variables") or {}
        wrong = [name for name, value in asked.items() if planned.get(name) != value]
        reason = f"the plan has other values for {', '.join(wrong)}" if wrong else ""
        return Verdict(not wrong, sorted(asked), sorted(set(asked) - set(wrong)), reason)
