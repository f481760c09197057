"""Judgements on what Terraform applied: the state's resources and outputs, the plan's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel

from engine.steps.base import Completed, Json, StepContext
from engine.steps.services import StepServices
from engine.verifications.base import Verdict
from engine.verifications.properties import Names, Properties


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
