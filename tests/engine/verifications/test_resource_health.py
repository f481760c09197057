"""resource_health: a refresh-only plan over the state that a step has applied."""

import pytest

from engine.steps.terraform.plan import read_drift
from engine.verifications.terraform import ResourceHealth
from tests.support.terraform import SIZED, Workbench

pytestmark = pytest.mark.terraform


@pytest.fixture
def bench(dsn: str, tmp_path) -> Workbench:
    return Workbench(dsn, tmp_path)


async def judged(bench: Workbench, context, result, **properties):
    check = ResourceHealth(bench.step._services)
    model = check.model.model_validate({"type": "resource_health", **properties})
    return await check.check(context, model, result)


async def test_what_was_applied_is_healthy(bench: Workbench) -> None:
    context = bench.context({"module_source": bench.module(SIZED)})
    result = await bench.step.start(context)
    before = await bench.states()
    verdict = await judged(bench, context, result)
    assert (verdict.verified, verdict.actual) == (True, [])
    assert await bench.states() == before
    assert list(context.work_dir.iterdir()) == []


async def test_a_look_that_takes_too_long_is_a_failure(bench: Workbench) -> None:
    context = bench.context({"module_source": bench.module(SIZED)})
    result = await bench.step.start(context)
    verdict = await judged(bench, context, result, timeout=0)
    assert (verdict.verified, verdict.again_in) == (False, None)
    assert "within 0 s" in verdict.reason


def test_drifted_resources_are_named_as_their_author_knows_them() -> None:
    def resource(address: str, *actions: str, mode: str = "managed") -> dict[str, object]:
        return {"address": address, "mode": mode, "change": {"actions": list(actions)}}

    document = {
        "resource_drift": [
            resource("module.main.aws_instance.db", "update"),
            resource("module.main.module.net.aws_vpc.this", "delete"),
            resource("module.main.aws_eip.ip", "no-op"),
            resource("module.main.data.aws_ami.x", "update", mode="data"),
        ]
    }
    assert read_drift(document) == ["aws_instance.db", "module.net.aws_vpc.this"]
    assert read_drift({}) == []
