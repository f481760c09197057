"""Which step types there are. A new built-in one is one file and one line here."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeAlias

from pydantic import BaseModel

from engine.steps.base import StepType
from engine.steps.extension import Kind, Registry
from engine.steps.manual import Manual
from engine.steps.services import ExportModule, StepServices, TerraformDsn

__all__ = [
    "STEP_TYPES",
    "ExportModule",
    "StepRegistry",
    "StepServices",
    "TerraformDsn",
    "build_registry",
    "step_type_names",
    "template_model",
    "verifications_of",
]

StepRegistry: TypeAlias = Registry[StepType]

STEP_TYPES: Final[Kind[StepType]] = Kind(
    "step type",
    "pao.step_types",
    {
        "HttpGet": "engine.steps.http:HttpGet",
        "HttpPost": "engine.steps.http:HttpPost",
        "HttpPut": "engine.steps.http:HttpPut",
        "HttpPatch": "engine.steps.http:HttpPatch",
        "HttpDelete": "engine.steps.http:HttpDelete",
        "TerraformFile": "engine.steps.terraform:TerraformFile",
        "GitHubWorkflow": "engine.steps.github:GitHubWorkflow",
        "JiraTicket": "engine.steps.jira:JiraTicket",
        "approval": "engine.steps.approval:Approval",
    },
)


def build_registry(services: StepServices) -> StepRegistry:
    """Build every step type; plug-ins that fail are in the registry's `broken`.

    `manual` is among them and in no table: the engine plans it, documents cannot name it.
    """
    registry = STEP_TYPES.build(services)
    return replace(registry, parts={**registry.parts, Manual.name: Manual(services)})


def step_type_names() -> frozenset[str]:
    """Return the names of all step types, without importing any."""
    return STEP_TYPES.names()


def template_model(name: str) -> type[BaseModel]:
    """Return the shape of a step type's template; NotFound for an unknown one."""
    model: type[BaseModel] = STEP_TYPES.part_class(name).template_model
    return model


def verifications_of(name: str) -> frozenset[str]:
    """Return which verifications a step type can answer; NotFound for an unknown one."""
    return frozenset(STEP_TYPES.part_class(name).verifications)
