"""backup_completion: a value that says it, or an address that is asked until it does."""

import pytest

from engine.errors import OutboundRefused
from engine.outbound import Outbound
from engine.steps.base import Completed
from engine.verifications.backup import BackupCompletion
from tests.support.steps import Context, services


@pytest.fixture
async def judge(tmp_path):
    way_out = Outbound(["127.0.0.1"])
    check = BackupCompletion(services(way_out, tmp_path))
    context = Context({})

    async def judged(outputs, **properties):
        model = check.model.model_validate({"type": "backup_completion", **properties})
        return await check.check(context, model, Completed(outputs=outputs))

    yield judged
    await way_out.stop()


@pytest.mark.parametrize(
    ("value", "verified"),
    [("Completed", True), (True, True), ("available", True), ("running", False), (None, False)],
)
async def test_a_value_is_final(judge, value, verified: bool) -> None:
    verdict = await judge({"state": value}, output="state")
    assert (verdict.verified, verdict.again_in) == (verified, None)
    assert verdict.verified or verdict.reason


async def test_an_output_that_is_not_there_is_named(judge) -> None:
    assert "backup_status" in (await judge({})).reason


async def test_an_address_is_asked_until_it_says_so(judge, http_server) -> None:
    http_server.answer("GET", "/backup", json={"status": "running"}, times=1)
    http_server.answer("GET", "/backup", status=503, times=1)
    http_server.answer("GET", "/backup", body="<html>", times=1)
    http_server.answer("GET", "/backup", json={"state": "SUCCEEDED"})
    outputs = {"backup_status": http_server.url + "/backup"}
    waits = [(await judge(outputs)).again_in for _ in range(3)]
    assert waits == [5, 7.5, 11.25]
    assert (await judge(outputs)).verified


async def test_a_backup_that_failed_is_final(judge, http_server) -> None:
    http_server.answer("GET", "/backup", json={"status": "failed"})
    verdict = await judge({"backup_status": http_server.url + "/backup"})
    assert (verdict.verified, verdict.again_in) == (False, None)


async def test_the_time_ends(judge, http_server) -> None:
    http_server.answer("GET", "/backup", json={"status": "running"})
    outputs = {"backup_status": http_server.url + "/backup"}
    waits = [(await judge(outputs, timeout="12s")).again_in for _ in range(3)]
    assert waits == [5, 7, None]


async def test_the_inside_is_not_asked(judge) -> None:
    with pytest.raises(OutboundRefused):
        await judge({"backup_status": "https://169.254.169.254/"})
