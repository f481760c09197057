"""The manual section of a document: in which system a ticket is made, and what stands in it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag

from engine.catalog.scalars import Json, Many, Model, Text

Template = Annotated[Text, Field(min_length=1)]
"""A text that is needed and may hold templates."""
Headers = dict[str, Text]


class JiraTemplate(Model):
    """An issue."""

    project: Template = Field(description="The project's key.")
    issue_type: Template = Field(description="The issue type's name.")
    summary: Template = Field(description="The issue's title.")
    description: Text | None = Field(None, description="The issue's text.")
    assignee: Text | None = Field(None, description="Who shall do it.")
    priority: Text | None = Field(None, description="The priority's name.")
    labels: Many[Text] | None = Field(None, description="Labels; spaces become hyphens.")
    components: Many[Text] | None = Field(None, description="The project's components.")
    custom_fields: dict[str, Json] | None = Field(None, description="Further fields by id.")


class ServiceNowTemplate(Model):
    """A record of ServiceNow's Table API."""

    table: Text = Field("incident", description="The table.")
    short_description: Template = Field(description="The record's title.")
    description: Text | None = Field(None, description="The record's text.")
    assignment_group: Text | None = Field(None, description="Who shall do it.")
    urgency: Text | int | None = Field(None, description="1 to 3.")
    impact: Text | int | None = Field(None, description="1 to 3.")
    category: Text | None = Field(None, description="The category.")
    fields: dict[str, Json] | None = Field(None, description="Further columns.")


class EmailTemplate(Model):
    """A message."""

    to: Text | Many[Text] = Field(description="One address or a list.")
    subject: Template = Field(description="The subject.")
    cc: Text | Many[Text] | None = Field(None, description="One address or a list.")
    body: Text | None = Field(None, description="The text.")


class WebhookTemplate(Model):
    """A call of an HTTP service that makes a ticket."""

    url: Template = Field(description="What is called.")
    method: Literal["POST", "PUT", "PATCH"] = Field("POST", description="The HTTP method.")
    headers: Headers | None = Field(None, description="Request headers; may name secrets.")
    body: Json = Field(None, description="The body; a structure is sent as JSON.")
    id_path: Text | None = Field(None, description="JSONPath of the ticket's id in the answer.")
    status_url: Text | None = Field(None, description="Where the ticket's status is asked.")


_TEMPLATE: Final = "The ticket; texts may be templates."


class JiraManual(Model):
    """Work for people, as a Jira issue."""

    system: Literal["jira"]
    template: JiraTemplate = Field(description=_TEMPLATE)


class ServiceNowManual(Model):
    """Work for people, as a ServiceNow record."""

    system: Literal["servicenow"]
    template: ServiceNowTemplate = Field(description=_TEMPLATE)


class EmailManual(Model):
    """Work for people, as a message."""

    system: Literal["email"]
    template: EmailTemplate = Field(description=_TEMPLATE)


class WebhookManual(Model):
    """Work for people, by a webhook."""

    system: Literal["webhook"]
    template: WebhookTemplate = Field(description=_TEMPLATE)


TICKET_SYSTEMS: Final = ("jira", "servicenow", "email", "webhook")
"""The ticket systems that need no plug-in."""


class PluginManual(Model):
    """Work for people, in a system that a plug-in connects."""

    system: Template = Field(
        description="The plug-in's name.", json_schema_extra={"not": {"enum": list(TICKET_SYSTEMS)}}
    )
    template: dict[str, Json] = Field(default_factory=dict, description=_TEMPLATE)


def _tag(value: Any) -> str | None:
    name = value.get("system") if isinstance(value, dict) else getattr(value, "system", None)
    if not isinstance(name, str):
        return None
    return name if name in TICKET_SYSTEMS else "plugin"


Manual = Annotated[
    Annotated[JiraManual, Tag("jira")]
    | Annotated[ServiceNowManual, Tag("servicenow")]
    | Annotated[EmailManual, Tag("email")]
    | Annotated[WebhookManual, Tag("webhook")]
    | Annotated[PluginManual, Tag("plugin")],
    Discriminator(_tag),
]
