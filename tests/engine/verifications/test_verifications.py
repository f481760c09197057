"""Each verification's judgement, and what all of them have in common."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.errors import OutboundRefused
from engine.outbound import Outbound
from engine.steps.base import Completed, Resource
from engine.verifications.registry import VERIFICATIONS, build_verifications, properties_model
from tests.support.steps import Context, services

ANSWER = Completed(
    outputs={"version": 16, "endpoint": "db"},
    evidence={
        "status": 201,
        "headers": {"x-trace": "7", "content-type": "application/json"},
        "body": {"state": "READY", "n": Decimal("1.5"), "none": None, "list": [1]},
    },
)
APPLIED = Completed(
    outputs={"endpoint": "db", "empty": None},
    resources=(Resource("a.b", "a", "1"), Resource("a.c", "a", "2")),
    evidence={"variables": {"size": 2, "tags": {"a": "b"}}},
)


@pytest.fixture
async def verifications(tmp_path):
    way_out = Outbound(["127.0.0.1"])
    yield build_verifications(services(way_out, tmp_path))
    await way_out.stop()


async def judged(
    verifications, result: Completed, context: Context | None = None, **properties: Any
):
    verification = verifications.get(properties["type"])
    model = verification.model.model_validate(properties)
    verdict = await verification.check(context or Context({}), model, result)
    assert verdict.again_in is None
    assert verdict.verified or verdict.reason
    return verdict.verified


@pytest.mark.parametrize(
    ("properties", "verified"),
    [
        ({"type": "http_status", "expected_status": 201}, True),
        ({"type": "http_status", "expected_status": [200, 201]}, True),
        ({"type": "http_status", "expected_status": "201"}, True),
        ({"type": "http_status", "expected_status": 200}, False),
        ({"type": "response_body", "json_path": "$.state", "expected": "READY"}, True),
        ({"type": "response_body", "json_path": "$.state", "expected": "ready"}, False),
        ({"type": "response_body", "json_path": "$.state", "matches": "READY|ACTIVE"}, True),
        ({"type": "response_body", "json_path": "$.state", "matches": "READ"}, False),
        ({"type": "response_body", "json_path": "$.state", "matches": "(?=x)"}, False),
        ({"type": "response_body", "json_path": "$.n", "expected": 1.5}, True),
        ({"type": "response_body", "json_path": "$.state"}, True),
        ({"type": "response_body", "json_path": "$.none"}, False),
        ({"type": "response_body", "json_path": "$.none", "expected": None}, True),
        ({"type": "response_body", "json_path": "$.missing"}, False),
        ({"type": "response_body", "json_path": "state"}, False),
        ({"type": "headers_present", "headers": "X-Trace"}, True),
        ({"type": "headers_present", "headers": ["X-Trace", "Content-Type"]}, True),
        ({"type": "headers_present", "headers": ["X-Trace", "ETag"]}, False),
        ({"type": "version_check", "expected_version": "16"}, True),
        ({"type": "version_check", "expected_version": 16}, True),
        ({"type": "version_check", "expected_version": "15"}, False),
        ({"type": "version_check", "expected_version": "16", "output": "missing"}, False),
    ],
)
async def test_judgements_on_an_answer(verifications, properties, verified) -> None:
    assert await judged(verifications, ANSWER, **properties) is verified


@pytest.mark.parametrize(
    ("properties", "verified"),
    [
        ({"type": "terraform_state"}, True),
        ({"type": "terraform_state", "resource_count": 2}, True),
        ({"type": "terraform_state", "resource_count": "2"}, True),
        ({"type": "terraform_state", "resource_count": 3}, False),
        ({"type": "terraform_state", "required_outputs": "endpoint"}, True),
        ({"type": "terraform_state", "required_outputs": ["endpoint", "empty"]}, False),
        ({"type": "configuration_check", "expected_changes": ["size"]}, True),
        ({"type": "configuration_check", "expected_changes": {"size": 2}}, True),
        ({"type": "configuration_check", "expected_changes": {"size": 3}}, False),
        ({"type": "configuration_check", "expected_changes": ["missing"]}, False),
        ({"type": "configuration_check", "expected_changes": {"tags": {"a": "b"}}}, True),
    ],
)
async def test_judgements_on_an_applied_plan(verifications, properties, verified) -> None:
    context = Context({"variables": {"size": 2, "missing": 1}})
    assert await judged(verifications, APPLIED, context, **properties) is verified


async def test_a_probe_is_asked_again_until_its_time_is_over(verifications, http_server) -> None:
    http_server.answer("GET", "/health", status=503, times=3)
    http_server.answer("GET", "/health", status=204)
    probe = verifications.get("http_probe")
    properties = probe.model.model_validate(
        {
            "type": "http_probe",
            "url": http_server.url + "/health",
            "expected_status": [200, 204],
            "interval": "20s",
            "timeout": "30s",
        }
    )
    context = Context({})
    first = await probe.check(context, properties, Completed())
    second = await probe.check(context, properties, Completed())
    assert [(one.verified, one.again_in) for one in (first, second)] == [(False, 20), (False, 20)]
    last = await probe.check(context, properties, Completed())
    assert (last.verified, last.again_in) == (False, None)
    assert "after 40 s" in last.reason
    healthy = await probe.check(context, properties, Completed())
    assert (healthy.verified, healthy.actual) == (True, 204)


async def test_a_probe_of_the_inside_is_refused(verifications) -> None:
    probe = verifications.get("http_probe")
    properties = probe.model.model_validate(
        {"type": "http_probe", "url": "https://169.254.169.254/"}
    )
    with pytest.raises(OutboundRefused):
        await probe.check(Context({}), properties, Completed())


@pytest.mark.parametrize("name", sorted(VERIFICATIONS.built_in))
class TestEveryVerification:
    """What the engine and the validator rely on, whichever it is."""

    def test_it_is_registered_under_its_own_name(self, verifications, name: str) -> None:
        assert verifications.get(name).name == name
        assert properties_model(name) is verifications.get(name).model

    def test_it_refuses_a_property_that_means_nothing(self, name: str) -> None:
        with pytest.raises(ValidationError, match="nonsense"):
            properties_model(name).model_validate({"type": name, "nonsense": 1})

    def test_its_properties_say_their_type(self, name: str) -> None:
        assert "type" in properties_model(name).model_fields
