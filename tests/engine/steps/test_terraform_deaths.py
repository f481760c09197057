"""What dies while Terraform runs, and how the work goes on: workers, terraform, provisioners."""

import asyncio
import json
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from engine.steps.base import Completed, Waiting
from engine.steps.terraform.environment import MARK
from tests.support.eventually import eventually
from tests.support.terraform import SIZED, Workbench

pytestmark = pytest.mark.terraform
ROOT = Path(__file__).parents[3]


@pytest.fixture
def bench(dsn: str, tmp_path) -> Workbench:
    return Workbench(dsn, tmp_path)


def slow_module(folder: Path) -> str:
    """Makes `first`, then waits in the provisioner of `second` until the file `go` is there.

    Each writes a line to a file of its name when it is made; `second` its process id to `pid`.
    """
    return f"""
        resource "terraform_data" "first" {{
          provisioner "local-exec" {{ command = "echo made >> {folder}/first" }}
        }}
        resource "terraform_data" "second" {{
          depends_on = [terraform_data.first]
          provisioner "local-exec" {{
            command = <<-EOT
              test -e {folder}/go || {{ echo $$ > {folder}/pid; exec sleep 300; }}
              echo made >> {folder}/second
            EOT
          }}
        }}
        output "done" {{ value = terraform_data.second.id != "" }}
    """


def hanging_terraform(folder: Path, phase: str) -> str:
    """A terraform that hangs in one phase until the file `go` is there, telling by `pid`."""
    program = folder / "hanging-terraform"
    real = shutil.which("terraform") or shutil.which("tofu")
    program.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = {phase} ] && ! [ -e {folder}/go ]; then\n'
        f"  echo $$ > {folder}/pid\n"
        "  exec sleep 300\n"
        "fi\n"
        f'exec {real} "$@"\n'
    )
    program.chmod(0o755)
    return str(program)


async def pid_in(file: Path) -> int:
    def written() -> str:
        text = file.read_text() if file.exists() else ""
        return text if text.endswith("\n") else ""

    return int(await eventually(written, within=60))


async def marked_processes(like: int) -> list[int]:
    """The processes that carry the same mark as the given one."""
    # While `exec` replaces a program, its process shows no environment.
    mark = await eventually(lambda: psutil.Process(like).environ().get(MARK))
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process.pid)
    return found


def alive(pid: int) -> bool:
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


async def kill_worker_during(
    bench: Workbench, template: dict[str, object]
) -> tuple[str, list[int]]:
    """Start the step in a process, kill it with -9 once `pid` is written; give what lives on."""
    request_id = f"req-{os.urandom(8).hex()}"
    given = {
        "modules": bench.modules,
        "template": template,
        "request_id": request_id,
        **bench.more,
    }
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.terraform_worker",
        bench.dsn,
        str(bench.folder),
        json.dumps(given),
        cwd=ROOT,
    )
    orphans = await marked_processes(await pid_in(bench.folder / "pid"))
    worker.kill()
    await worker.wait()
    return request_id, orphans


@pytest.mark.parametrize("phase", ["init", "workspace", "plan", "show", "output"])
async def test_a_worker_killed_in_any_phase_leaves_the_next_to_finish(bench, phase: str) -> None:
    bench.more = {"terraform_bin": hanging_terraform(bench.folder, phase)}
    template = {"module_source": bench.module(SIZED), "variables": {"size": 2}}
    request_id, orphans = await kill_worker_during(bench, template)
    assert orphans
    (bench.folder / "go").touch()
    external = json.loads((bench.folder / "external.json").read_text())
    assert list((bench.folder / "attempts").rglob("terraform.tfvars.json"))
    context = bench.context(template, request_id=request_id, external=external)
    outcome = await bench.step.start(context)
    assert isinstance(outcome, Completed)
    assert outcome.outputs == {"size": 2}
    assert not list((bench.folder / "attempts").rglob("terraform.tfvars.json"))
    assert outcome.resources is not None
    assert [one.address for one in outcome.resources] == ["terraform_data.db"]
    assert not any(map(alive, orphans))
    assert "lost worker" in context.log_text


async def test_an_apply_whose_worker_was_killed_is_ended_saved_and_gone_on_with(bench) -> None:
    template = {"module_source": bench.module(slow_module(bench.folder))}
    request_id, orphans = await kill_worker_during(bench, template)
    assert all(map(alive, orphans))
    (bench.folder / "go").touch()
    outcome = await bench.step.start(bench.context(template, request_id=request_id))
    assert isinstance(outcome, Completed)
    assert outcome.outputs == {"done": True}
    assert not any(map(alive, orphans))
    assert (bench.folder / "first").read_text() == "made\n"
    assert (bench.folder / "second").read_text() == "made\n"


async def test_terraform_killed_during_apply_is_begun_anew(bench: Workbench) -> None:
    template = {"module_source": bench.module(slow_module(bench.folder))}
    context = bench.context(template)
    running = asyncio.create_task(bench.step.start(context))
    provisioner = psutil.Process(await pid_in(bench.folder / "pid"))
    parent = provisioner.parent()
    assert parent is not None
    parent.kill()
    with pytest.raises(Exception, match=r"(ended by signal 9|failed)"):
        await running
    (bench.folder / "go").touch()
    assert isinstance(await bench.step.start(context), Completed)


async def test_cancelling_interrupts_terraform_and_ends_its_provisioners(bench) -> None:
    template = {"module_source": bench.module(slow_module(bench.folder))}
    running = asyncio.create_task(bench.step.start(bench.context(template)))
    provisioner = await pid_in(bench.folder / "pid")
    processes = await marked_processes(provisioner)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await eventually(lambda: not any(map(alive, processes)))
    assert '"first"' in (await bench.states())["si-abc--provision"]


async def test_whoever_cancels_twice_does_not_wait(bench: Workbench) -> None:
    program = bench.folder / "deaf-terraform"
    program.write_text(
        f"#!/bin/sh\ntrap '' INT\necho $$ > {bench.folder}/pid\nwhile :; do sleep 60; done\n"
    )
    program.chmod(0o755)
    bench.more = {"terraform_bin": str(program)}
    template = {"module_source": bench.module(SIZED)}
    context = bench.context(template)
    running = asyncio.create_task(bench.step.start(context))
    processes = await marked_processes(await pid_in(bench.folder / "pid"))
    running.cancel()
    await eventually(lambda: list(context.work_dir.rglob(".interrupted")))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await eventually(lambda: not any(map(alive, processes)))


async def test_cancel_ends_what_a_lost_worker_left(bench: Workbench) -> None:
    template = {"module_source": bench.module(slow_module(bench.folder))}
    request_id, orphans = await kill_worker_during(bench, template)
    context = bench.context(template, request_id=request_id)
    await bench.step.cancel(context)
    assert not any(map(alive, orphans))
    await bench.step.cancel(context)


async def test_the_processes_of_another_step_are_left_alone(bench: Workbench) -> None:
    template = {"module_source": bench.module(slow_module(bench.folder))}
    running = asyncio.create_task(bench.step.start(bench.context(template)))
    provisioner = await pid_in(bench.folder / "pid")
    bench.modules["modules/other"] = {"main.tf": SIZED}
    await bench.step.cancel(bench.context({"module_source": "modules/other"}))
    assert alive(provisioner)
    os.kill(provisioner, signal.SIGTERM)
    with pytest.raises(Exception, match="failed"):
        await running


async def test_a_locked_state_is_waited_for_without_a_process(bench: Workbench) -> None:
    template = {"module_source": bench.module(SIZED)}
    await bench.step.start(bench.context(template))
    context = bench.context({**template, "variables": {"size": 2}})
    async with await psycopg.AsyncConnection.connect(bench.dsn, autocommit=True) as other:
        await other.execute("SELECT pg_advisory_lock(id) FROM terraform.states")
        waiting = await bench.step.start(context)
    assert isinstance(waiting, Waiting)
    assert waiting.delay == 15
    context.external = dict(waiting.external)
    outcome = await bench.step.poll(context)
    assert isinstance(outcome, Completed)
    assert outcome.outputs == {"size": 2}
