"""TerraformFile taking down what it made: planned destroy steps, with the real terraform."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StepFailed
from engine.steps.base import Completed, Outcome, Waiting
from tests.support.eventually import eventually
from tests.support.steps import Context
from tests.support.terraform import SIZED, Workbench

pytestmark = pytest.mark.terraform

NEEDY = """
variable "network" {}
resource "terraform_data" "db" { input = var.network }
output "network" { value = terraform_data.db.output }
"""


@pytest.fixture
def bench(dsn: str, tmp_path: Path) -> Workbench:
    return Workbench(dsn, tmp_path)


def destroying(bench: Workbench, template: dict[str, Any], **more: Any) -> Context:
    """A step that the engine planned to take down what the step of a create made."""
    given: dict[str, Any] = {"config": {"destroy": True}, "destructive": False}
    return bench.context(template, **given | more)


def completed(outcome: Outcome) -> Completed:
    assert isinstance(outcome, Completed)
    return outcome


async def resources(bench: Workbench) -> int:
    states = [json.loads(state) for state in (await bench.states()).values()]
    return sum(len(state["resources"]) for state in states)


@pytest.mark.parametrize("request_type", ["create", "update", "decommission"])
async def test_a_planned_destroy_takes_down_whatever_the_request_is(
    bench: Workbench, request_type: str
) -> None:
    template = {"module_source": bench.module(SIZED)}
    completed(await bench.step.start(bench.context(template)))
    context = destroying(bench, template, request_type=request_type)

    outcome = completed(await bench.step.start(context))

    assert (outcome.resources, outcome.outputs) == ((), {})
    assert context.told == [("step.plan", {"add": 0, "change": 0, "destroy": 1})]
    assert "Destruction complete" in context.log_text
    assert await resources(bench) == 0


async def test_an_update_that_is_not_declared_destructive_destroys_nothing_by_its_template(
    bench: Workbench,
) -> None:
    template = {"module_source": bench.module(SIZED)}
    completed(await bench.step.start(bench.context(template)))
    asked = bench.context({**template, "destroy": True}, request_type="update", destructive=False)

    with pytest.raises(StepFailed) as failure:
        await bench.step.start(asked)

    assert failure.value.error_type == "plan_destroys"
    assert await resources(bench) == 1


async def test_a_document_may_ask_for_an_apply_where_the_plan_would_destroy(
    bench: Workbench,
) -> None:
    template = {"module_source": bench.module(SIZED), "destroy": False}

    outcome = completed(await bench.step.start(destroying(bench, template)))

    assert outcome.outputs == {"size": 1}


async def test_destroying_again_finds_nothing(bench: Workbench) -> None:
    template = {"module_source": bench.module(SIZED)}
    completed(await bench.step.start(bench.context(template)))
    completed(await bench.step.start(destroying(bench, template)))
    context = destroying(bench, template)

    outcome = completed(await bench.step.start(context))

    assert outcome.resources == ()
    assert context.told == [("step.plan", {"add": 0, "change": 0, "destroy": 0})]


async def test_what_was_never_made_needs_no_variables_to_be_destroyed(bench: Workbench) -> None:
    template = {"module_source": bench.module(NEEDY), "variables": {"network": None}}
    context = destroying(bench, template)

    outcome = completed(await bench.step.start(context))

    assert outcome.resources == ()
    assert context.told == [("step.plan", {"add": 0, "change": 0, "destroy": 0})]


async def test_a_plan_that_fails_while_there_is_something_is_a_failure(bench: Workbench) -> None:
    source = bench.module(NEEDY)
    made = {"module_source": source, "variables": {"network": "n1"}}
    completed(await bench.step.start(bench.context(made)))

    with pytest.raises(StepFailed) as failure:
        await bench.step.start(destroying(bench, {"module_source": source}))

    assert failure.value.error_type == "terraform_failed"
    assert await resources(bench) == 1


async def test_the_module_is_read_at_the_commit_that_made_the_state(bench: Workbench) -> None:
    asked: list[str] = []
    export = bench._export

    async def at_commit(commit: str, path: str, target: Path) -> None:
        asked.append(commit)
        await export(commit, path, target)

    bench.more["export_module"] = at_commit
    template = {"module_source": bench.module(SIZED)}
    config = {"destroy": True, "commit": "abc123"}

    completed(await bench.step.start(destroying(bench, template, config=config)))

    assert asked == ["abc123"]


async def test_a_destroy_waits_while_somebody_else_has_the_lock(
    bench: Workbench, dsn: str, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    source = bench.module(
        f"""
        resource "terraform_data" "db" {{
          provisioner "local-exec" {{
            command = "touch {tmp_path}/applying; while ! test -e {go}; do sleep 0.1; done"
          }}
        }}
        """
    )
    template = {"module_source": source, "state": "db"}
    making = asyncio.create_task(bench.step.start(bench.context(template, instance_id="si-one")))
    await eventually((tmp_path / "applying").exists, within=60)

    outcome = await bench.step.start(destroying(bench, template, instance_id="si-one"))

    assert isinstance(outcome, Waiting)
    go.touch()
    completed(await making)
    again = destroying(bench, template, instance_id="si-one", external=dict(outcome.external))
    assert completed(await bench.step.poll(again)).resources == ()
    assert await resources(bench) == 0


async def test_a_destroy_whose_worker_stops_goes_on_from_what_is_left(
    bench: Workbench, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    source = bench.module(
        f"""
        resource "terraform_data" "first" {{
          provisioner "local-exec" {{
            when    = destroy
            command = "touch {tmp_path}/destroying; test -e {go} || sleep 300"
          }}
        }}
        resource "terraform_data" "second" {{ depends_on = [terraform_data.first] }}
        """
    )
    template = {"module_source": source}
    completed(await bench.step.start(bench.context(template, request_id="req-1")))
    interrupted = asyncio.create_task(
        bench.step.start(destroying(bench, template, request_id="req-2"))
    )
    await eventually((tmp_path / "destroying").exists, within=60)
    interrupted.cancel()
    await asyncio.wait([interrupted])
    assert await resources(bench) == 1
    go.touch()

    context = destroying(bench, template, request_id="req-2")
    outcome = completed(await bench.step.start(context))

    assert outcome.resources == ()
    assert context.told[-1] == ("step.plan", {"add": 0, "change": 0, "destroy": 1})
    assert await resources(bench) == 0
