"""What documents may say is what step types, verifications and ticket systems take."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from engine.catalog import steps, tickets, verification
from engine.catalog.checks.subject import ANSWERS, ANY_STEP, PRE_EXECUTION_CHECKS
from engine.checks import registry as checks
from engine.steps import registry as step_types
from engine.tickets import registry as ticket_systems
from engine.verifications import registry as verifications

TEMPLATES: dict[str, type[BaseModel]] = {
    **dict.fromkeys(steps.HTTP_TYPES, steps.HttpTemplate),
    "TerraformFile": steps.TerraformTemplate,
    "GitHubWorkflow": steps.GitHubTemplate,
    "JiraTicket": tickets.JiraTemplate,
    "approval": steps.ApprovalTemplate,
}
SYSTEMS: dict[str, type[BaseModel]] = {
    "jira": tickets.JiraTemplate,
    "servicenow": tickets.ServiceNowTemplate,
    "email": tickets.EmailTemplate,
    "webhook": tickets.WebhookTemplate,
}
OF_THE_ENGINE = {"destroy"}
"""Keys that only the engine writes."""


def keys(model: type[BaseModel]) -> set[str]:
    return {info.alias or name for name, info in model.model_fields.items()} - OF_THE_ENGINE


@pytest.mark.parametrize("name", sorted(step_types.STEP_TYPES.built_in))
def test_a_step_type_takes_what_its_documents_may_say(name: str) -> None:
    assert keys(step_types.template_model(name)) == keys(TEMPLATES[name])
    assert step_types.verifications_of(name) <= ANSWERS[name]


@pytest.mark.parametrize("name", sorted(verifications.VERIFICATIONS.built_in))
def test_a_verification_takes_what_its_documents_may_say(name: str) -> None:
    model = next(m for m in verification.BUILT_IN if verification.type_of(m) == name)
    assert keys(verifications.properties_model(name)) == keys(model)
    assert name in ANY_STEP.union(*ANSWERS.values())


@pytest.mark.parametrize("name", sorted(ticket_systems.TICKET_SYSTEMS.built_in))
def test_a_ticket_system_takes_what_its_documents_may_say(name: str) -> None:
    model = ticket_systems.TICKET_SYSTEMS.part_class(name).template_model
    assert keys(model) == keys(SYSTEMS[name])


def test_the_checks_that_documents_may_name_are_there() -> None:
    assert set(checks.CHECKS.built_in) == set(PRE_EXECUTION_CHECKS)
    for name in PRE_EXECUTION_CHECKS:
        assert checks.CHECKS.part_class(name).name == name


def test_every_type_has_its_model() -> None:
    assert TEMPLATES.keys() == set(steps.STEP_TYPES) == ANSWERS.keys()
    assert SYSTEMS.keys() == set(tickets.TICKET_SYSTEMS)
