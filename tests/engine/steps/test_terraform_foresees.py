"""TerraformFile looking ahead: a plan of what would change, which changes nothing, anywhere."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.steps.base import Completed, Foreseen, Foresees
from tests.support.eventually import eventually
from tests.support.terraform import SIZED, Workbench

pytestmark = pytest.mark.terraform


@pytest.fixture
def bench(dsn: str, tmp_path: Path) -> Workbench:
    return Workbench(dsn, tmp_path)


async def test_an_update_of_what_has_no_state_is_planned_on_an_empty_one_and_makes_none(
    bench: Workbench,
) -> None:
    template = {"module_source": bench.module(SIZED)}
    assert isinstance(bench.step, Foresees)

    found = await bench.step.foresee(bench.context(template, request_type="update"))

    assert found == Foreseen({"add": 1, "change": 0, "destroy": 0})
    assert await bench.states() == {}


async def test_what_was_never_made_has_nothing_to_destroy(bench: Workbench) -> None:
    template = {"module_source": bench.module(SIZED)}

    found = await bench.step.foresee(bench.context(template, request_type="decommission"))

    assert found == Foreseen({"add": 0, "change": 0, "destroy": 0})
    assert await bench.states() == {}


async def test_another_module_on_a_state_is_refused_beforehand(bench: Workbench) -> None:
    made = {"module_source": bench.module(SIZED, "modules/one"), "state": "db"}
    assert isinstance(await bench.step.start(bench.context(made)), Completed)
    other = {"module_source": bench.module(SIZED, "modules/two"), "state": "db"}

    found = await bench.step.foresee(bench.context(other, request_type="update", destructive=False))

    assert found.refusal is not None
    assert found.refusal.error_type == "other_module"
    assert found.changes == {"add": 0, "change": 0, "destroy": 0}


async def test_who_looks_waits_for_no_lock_and_ends_nobody(
    bench: Workbench, tmp_path: Path
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
    template = {"module_source": source}
    making = asyncio.create_task(bench.step.start(bench.context(template, request_id="req-1")))
    await eventually((tmp_path / "applying").exists, within=60)

    found = await bench.step.foresee(
        bench.context(template, request_type="update", request_id="req-1")
    )

    go.touch()
    assert isinstance(await making, Completed)
    assert found.changes == {"add": 1, "change": 0, "destroy": 0}
