"""What the validator lets documents say is what the engine can do, word for word."""

from typing import Any

import pytest

from engine.catalog import steps as documents
from engine.catalog import tickets as manual
from engine.catalog import verification
from engine.catalog.checks.subject import ANSWERS, ANY_STEP
from engine.steps.registry import STEP_TYPES, template_model, verifications_of
from engine.tickets.registry import TICKET_SYSTEMS
from engine.verifications.registry import VERIFICATIONS, properties_model

TEMPLATES = {
    "TerraformFile": documents.TerraformTemplate,
    "GitHubWorkflow": documents.GitHubTemplate,
    "JiraTicket": documents.JiraTemplate,
    **dict.fromkeys(documents.HTTP_TYPES, documents.HttpTemplate),
}
TICKETS = {
    "jira": manual.JiraTemplate,
    "servicenow": manual.ServiceNowTemplate,
    "email": manual.EmailTemplate,
    "webhook": manual.WebhookTemplate,
}
BY_PEOPLE = {"approval"}


def words(model: Any) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def test_every_step_type_verification_and_ticket_system_of_documents_exists() -> None:
    assert set(documents.STEP_TYPES) - BY_PEOPLE == set(STEP_TYPES.built_in) - BY_PEOPLE
    assert set(verification.VERIFICATION_TYPES) == set(VERIFICATIONS.built_in)
    assert set(manual.TICKET_SYSTEMS) == set(TICKET_SYSTEMS.built_in)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_step_takes_what_its_document_may_say(name: str) -> None:
    assert words(TEMPLATES[name]) <= words(template_model(name))


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_step_answers_the_verifications_that_its_document_may_ask(name: str) -> None:
    assert ANSWERS[name] - ANY_STEP == verifications_of(name)


@pytest.mark.parametrize("model", verification.BUILT_IN, ids=verification.type_of)
def test_a_verification_takes_what_its_document_may_say(model: Any) -> None:
    assert words(model) == words(properties_model(verification.type_of(model)))


@pytest.mark.parametrize("name", sorted(TICKETS))
def test_a_ticket_system_takes_what_its_document_may_say(name: str) -> None:
    assert words(TICKETS[name]) == words(TICKET_SYSTEMS.part_class(name).template_model)
