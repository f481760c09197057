"""How a document says that a step's success is to be verified: one model a type."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from engine.catalog.scalars import (
    Count,
    Json,
    Many,
    Model,
    OneOrMany,
    PatternText,
    Text,
    Timespan,
)

Template = Text
"""A text that may hold templates."""
Status = Annotated[int, Field(ge=100, le=599)]
Names = Annotated[Many[Text], OneOrMany(), Field(min_length=1)]
Name = Annotated[Text, Field(min_length=1)]


class TerraformState(Model):
    """The applied state holds what was asked."""

    type: Literal["terraform_state"]
    resource_count: Count | Template | None = Field(
        None, description="How many resources there are."
    )
    required_outputs: Names | None = Field(None, description="Outputs that must have a value.")


class ResourceHealth(Model):
    """A refresh-only plan shows no drift."""

    type: Literal["resource_health"]
    timeout: Timespan | None = Field(None, description="How long the plan may take.")


class ConfigurationCheck(Model):
    """The applied plan has the asked values."""

    type: Literal["configuration_check"]
    expected_changes: Json = Field(
        description="The variables to compare: names, or names with values."
    )


class VersionCheck(Model):
    """An output holds the expected version."""

    type: Literal["version_check"]
    expected_version: Template = Field(description="The version; may be a template.")
    output: Name | None = Field(None, description="The output that holds it; default: version.")


class BackupCompletion(Model):
    """An output says that the backup is complete."""

    type: Literal["backup_completion"]
    timeout: Timespan | None = Field(None, description="How long to wait for it.")
    output: Name | None = Field(None, description="The output to look at.")


class WorkflowStatus(Model):
    """The workflow run ended as expected."""

    type: Literal["workflow_status"]
    expected_status: Names = Field(("success",), description="One conclusion or a list.")


class ArtifactExists(Model):
    """The workflow run left the named artifacts."""

    type: Literal["artifact_exists"]
    name: Names = Field(description="One name or a list.")


class HttpStatus(Model):
    """The answer has the expected status."""

    type: Literal["http_status"]
    expected_status: Annotated[Many[Status], OneOrMany(), Field(min_length=1)] = Field(
        description="One status or a list."
    )


class ResponseBody(Model):
    """The answer's body holds a value."""

    type: Literal["response_body"]
    json_path: Name = Field(description="Where to look.")
    expected: Json = Field(None, description="The value that must stand there.")
    matches: PatternText | None = Field(
        None, description="A pattern that it must match as a whole."
    )


class HeadersPresent(Model):
    """The answer has the named headers."""

    type: Literal["headers_present"]
    headers: Names = Field(description="One name or a list.")


class TicketStatus(Model):
    """The ticket has reached a status."""

    type: Literal["ticket_status"]
    expected_status: Names = Field(description="One status or a list.")
    timeout: Timespan | None = Field(None, description="How long to wait for it.")


class ResolutionTime(Model):
    """The ticket was resolved in time."""

    type: Literal["resolution_time"]
    max: Timespan = Field(description="The longest time to resolution.")


class HttpProbe(Model):
    """An address answers as expected: health after provisioning."""

    type: Literal["http_probe"]
    url: Name = Field(description="What is asked; may be a template.")
    expected_status: Annotated[Many[Status], OneOrMany(), Field(min_length=1)] = Field(
        (200,), description="One status or a list."
    )
    interval: Timespan | None = Field(None, description="Time between two tries.")
    timeout: Timespan | None = Field(None, description="How long to try.")


BUILT_IN: Final = (
    TerraformState,
    ResourceHealth,
    ConfigurationCheck,
    VersionCheck,
    BackupCompletion,
    WorkflowStatus,
    ArtifactExists,
    HttpStatus,
    ResponseBody,
    HeadersPresent,
    TicketStatus,
    ResolutionTime,
    HttpProbe,
)


def type_of(model: type[Model]) -> str:
    """Return the `type` that a model is for."""
    return str(model.model_fields["type"].annotation.__args__[0])  # type: ignore[union-attr]


VERIFICATION_TYPES: Final = tuple(type_of(model) for model in BUILT_IN)


class PluginVerification(Model):
    """A verification of a plug-in, with properties of its own."""

    model_config = ConfigDict(extra="allow")

    type: Name = Field(
        description="The plug-in's name.",
        json_schema_extra={"not": {"enum": list(VERIFICATION_TYPES)}},
    )

    @property
    def properties(self) -> dict[str, Any]:
        """Everything but the type."""
        return dict(self.model_extra or {})


def _tag(value: Any) -> str | None:
    name = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    if not isinstance(name, str):
        return None
    return name if name in VERIFICATION_TYPES else "plugin"


Verification = Annotated[
    Annotated[TerraformState, Tag("terraform_state")]
    | Annotated[ResourceHealth, Tag("resource_health")]
    | Annotated[ConfigurationCheck, Tag("configuration_check")]
    | Annotated[VersionCheck, Tag("version_check")]
    | Annotated[BackupCompletion, Tag("backup_completion")]
    | Annotated[WorkflowStatus, Tag("workflow_status")]
    | Annotated[ArtifactExists, Tag("artifact_exists")]
    | Annotated[HttpStatus, Tag("http_status")]
    | Annotated[ResponseBody, Tag("response_body")]
    | Annotated[HeadersPresent, Tag("headers_present")]
    | Annotated[TicketStatus, Tag("ticket_status")]
    | Annotated[ResolutionTime, Tag("resolution_time")]
    | Annotated[HttpProbe, Tag("http_probe")]
    | Annotated[PluginVerification, Tag("plugin")],
    Discriminator(_tag),
]
Verifications = Annotated[Many[Verification], OneOrMany()]
