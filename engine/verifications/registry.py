"""Which verifications there are. A new built-in one is a class in its family's file and a line here."""

from __future__ import annotations

from typing import Final, TypeAlias

from pydantic import BaseModel

from engine.steps.extension import Kind, Registry
from engine.steps.services import StepServices
from engine.verifications.base import Verification

VerificationRegistry: TypeAlias = Registry[Verification]

VERIFICATIONS: Final[Kind[Verification]] = Kind(
    "verification",
    "pao.verifications",
    {
        "http_status": "engine.verifications.http:HttpStatus",
        "response_body": "engine.verifications.http:ResponseBody",
        "headers_present": "engine.verifications.http:HeadersPresent",
        "http_probe": "engine.verifications.probe:HttpProbe",
        "terraform_state": "engine.verifications.terraform:TerraformState",
        "resource_health": "engine.verifications.terraform:ResourceHealth",
        "configuration_check": "engine.verifications.terraform:ConfigurationCheck",
        "version_check": "engine.verifications.outputs:VersionCheck",
        "backup_completion": "engine.verifications.backup:BackupCompletion",
        "workflow_status": "engine.verifications.github:WorkflowStatus",
        "artifact_exists": "engine.verifications.github:ArtifactExists",
        "ticket_status": "engine.verifications.jira:TicketStatus",
        "resolution_time": "engine.verifications.jira:ResolutionTime",
    },
)


def build_verifications(services: StepServices) -> VerificationRegistry:
    """Build every verification; plug-ins that fail are in the registry's `broken`."""
    return VERIFICATIONS.build(services)


def verification_names() -> frozenset[str]:
    """Return the names of all verifications, without importing any."""
    return VERIFICATIONS.names()


def properties_model(name: str) -> type[BaseModel]:
    """Return the shape of a verification in a document; NotFound for an unknown one."""
    model: type[BaseModel] = VERIFICATIONS.part_class(name).model
    return model
