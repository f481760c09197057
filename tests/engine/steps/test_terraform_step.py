"""TerraformFile with the real terraform and its state in a real PostgreSQL."""

import asyncio
import json
import os

import psycopg
import pytest

from engine.errors import StepFailed
from engine.steps.base import Completed, Resource
from tests.support.eventually import eventually
from tests.support.steps import LeaseGone
from tests.support.terraform import SIZED, Workbench

pytestmark = pytest.mark.terraform


@pytest.fixture
def bench(dsn: str, tmp_path) -> Workbench:
    return Workbench(dsn, tmp_path)


async def failure(call) -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        await call
    return caught.value


async def done(call) -> Completed:
    outcome = await call
    assert isinstance(outcome, Completed)
    return outcome


async def test_a_module_is_planned_applied_and_reported(bench: Workbench) -> None:
    source = bench.module(
        """
        variable "size" { type = number }
        resource "terraform_data" "db" { input = var.size }
        resource "terraform_data" "user" {
          count = 2
          input = count.index
        }
        output "endpoint" { value = "db-${terraform_data.db.output}" }
        """
    )
    context = bench.context({"module_source": source, "variables": {"size": 3}})
    outcome = await done(bench.step.start(context))
    assert outcome.outputs == {"endpoint": "db-3"}
    assert outcome.sensitive == frozenset()
    assert outcome.resources is not None
    assert {(one.address, one.type) for one in outcome.resources} == {
        ("terraform_data.db", "terraform_data"),
        ("terraform_data.user[0]", "terraform_data"),
        ("terraform_data.user[1]", "terraform_data"),
    }
    assert all(one.id for one in outcome.resources)
    assert context.told == [("step.plan", {"add": 3, "change": 0, "destroy": 0})]
    assert "Creation complete" in context.log_text
    assert context.external["workspace"] == "si-abc--provision"
    assert outcome.evidence["plan"] == {"add": 3, "change": 0, "destroy": 0}
    assert outcome.evidence["variables"] == {"size": 3}


async def test_the_state_is_in_the_database_and_nothing_is_left_on_disk(bench: Workbench) -> None:
    context = bench.context({"module_source": bench.module(SIZED)})
    await done(bench.step.start(context))
    assert "si-abc--provision" in await bench.states()
    assert list(context.work_dir.iterdir()) == []


async def test_starting_again_changes_nothing_and_gives_the_same(bench: Workbench) -> None:
    context = bench.context({"module_source": bench.module(SIZED)})
    first = await done(bench.step.start(context))
    second = await done(bench.step.start(context))
    assert (second.outputs, second.resources) == (first.outputs, first.resources)
    assert context.told[-1] == ("step.plan", {"add": 0, "change": 0, "destroy": 0})


async def test_sensitive_outputs_are_told_apart(bench: Workbench) -> None:
    source = bench.module(
        """
        variable "password" {
          type      = string
          sensitive = true
        }
        output "password" {
          value     = var.password
          sensitive = true
        }
        output "user" { value = "admin" }
        """
    )
    context = bench.context({"module_source": source, "variables": {"password": "hunter22"}})
    outcome = await done(bench.step.start(context))
    assert outcome.outputs == {"password": "hunter22", "user": "admin"}
    assert outcome.sensitive == {"password"}
    assert "hunter22" not in context.log_text


async def test_declared_outputs_keep_their_secrecy(bench: Workbench) -> None:
    source = bench.module(
        """
        output "db" {
          value     = { password = "hunter22", port = 5432 }
          sensitive = true
        }
        output "hosts" { value = ["a", "b"] }
        """
    )
    outputs = {"password": "$.db.password", "host": "$.hosts[0]", "all": "$"}
    context = bench.context({"module_source": source}, config={"outputs": outputs})
    outcome = await done(bench.step.start(context))
    assert (outcome.outputs["password"], outcome.outputs["host"]) == ("hunter22", "a")
    assert outcome.sensitive == {"password", "all"}


async def test_variables_are_values_never_expressions(bench: Workbench) -> None:
    source = bench.module(
        """
        variable "text" {}
        variable "list" {}
        variable "left_out" { default = "the default" }
        output "text" { value = var.text }
        output "list" { value = var.list }
        output "left_out" { value = var.left_out }
        """
    )
    text = '${file("/etc/passwd")} %{ if true }x%{ endif } "quoted" \n é'
    variables = {"text": text, "list": [1, "2", {"a": None}], "left_out": None}
    outcome = await done(
        bench.step.start(bench.context({"module_source": source, "variables": variables}))
    )
    assert outcome.outputs["text"] == text
    assert outcome.outputs["list"] == [1, "2", {"a": None}]
    assert outcome.outputs["left_out"] == "the default"


@pytest.mark.parametrize("name", ["source", "version", "count", "providers", "a b", "1st", '"'])
async def test_a_variable_cannot_take_over_the_call(bench: Workbench, name: str) -> None:
    template = {"module_source": bench.module(SIZED), "variables": {name: "git::https://evil"}}
    error = await failure(bench.step.start(bench.context(template)))
    assert (error.error_type, error.kind) == ("invalid_template", "permanent")


@pytest.mark.parametrize(
    "source",
    [
        "../outside",
        "modules/../../x",
        "/etc",
        "modules\\..\\x",
        "git::https://example.com/x.git",
        "https://example.com/x.zip",
        "git@github.com:a/b.git",
        "github.com/a/b",
        ".",
        "s3::https://s3.amazonaws.com/x",
    ],
)
async def test_a_source_outside_the_catalog_is_refused(bench: Workbench, source: str) -> None:
    error = await failure(bench.step.start(bench.context({"module_source": source})))
    assert (error.error_type, error.kind) == ("module_refused", "permanent")


async def test_a_module_that_is_not_there_is_a_permanent_failure(bench: Workbench) -> None:
    error = await failure(bench.step.start(bench.context({"module_source": "modules/none"})))
    assert (error.error_type, error.kind) == ("module_missing", "permanent")


async def test_an_update_changes_the_same_state_by_the_same_name(bench: Workbench) -> None:
    source = bench.module(SIZED)
    await done(bench.step.start(bench.context({"module_source": source, "state": "db"})))
    context = bench.context(
        {"module_source": source, "state": "db", "variables": {"size": 2}},
        step_name="resize",
        request_type="update",
        destructive=False,
    )
    outcome = await done(bench.step.start(context))
    assert outcome.outputs == {"size": 2}
    assert context.told == [("step.plan", {"add": 0, "change": 1, "destroy": 0})]


REPLACING = """
variable "size" { default = 1 }
resource "terraform_data" "db" {
  input            = var.size
  triggers_replace = var.size
}
"""


async def test_a_plan_that_replaces_is_refused_unless_destructive(bench: Workbench) -> None:
    source = bench.module(REPLACING)
    await done(bench.step.start(bench.context({"module_source": source})))
    before = await bench.states()
    template = {"module_source": source, "variables": {"size": 2}}
    error = await failure(bench.step.start(bench.context(template, destructive=False)))
    assert (error.error_type, error.kind) == ("plan_destroys", "permanent")
    assert error.details["resources"] == ["terraform_data.db"]
    assert await bench.states() == before
    context = bench.context(template)
    await done(bench.step.start(context))
    assert context.told == [("step.plan", {"add": 1, "change": 0, "destroy": 1})]


async def test_a_resource_whose_making_failed_may_be_replaced(bench: Workbench, tmp_path) -> None:
    marker = tmp_path / "healthy"
    source = bench.module(
        f"""
        resource "terraform_data" "db" {{
          provisioner "local-exec" {{ command = "test -e {marker}" }}
        }}
        """
    )
    template = {"module_source": source}
    error = await failure(bench.step.start(bench.context(template, destructive=False)))
    assert error.error_type == "terraform_failed"
    assert error.details["address"] == "terraform_data.db"
    assert error.details["phase"] == "apply"
    marker.touch()
    context = bench.context(template, destructive=False)
    await done(bench.step.start(context))
    assert context.told == [("step.plan", {"add": 1, "change": 0, "destroy": 1})]


async def test_another_module_on_the_same_state_is_refused_unless_destructive(bench) -> None:
    first, second = bench.module(SIZED), bench.module(SIZED, "modules/other")
    await done(bench.step.start(bench.context({"module_source": first})))
    context = bench.context({"module_source": second}, destructive=False)
    error = await failure(bench.step.start(context))
    assert (error.error_type, error.kind) == ("other_module", "permanent")
    assert error.details == {"made_by": first, "module": second}
    await done(bench.step.start(bench.context({"module_source": second})))


async def test_a_decommission_destroys(bench: Workbench) -> None:
    source = bench.module(SIZED)
    await done(bench.step.start(bench.context({"module_source": source})))
    context = bench.context(
        {"module_source": source}, request_type="decommission", config={"outputs": ["size"]}
    )
    outcome = await done(bench.step.start(context))
    assert outcome.resources == ()
    assert outcome.outputs == {}
    assert context.told == [("step.plan", {"add": 0, "change": 0, "destroy": 1})]
    again = await done(bench.step.start(context))
    assert again.resources == ()


async def test_a_module_with_an_error_says_what_and_where(bench: Workbench) -> None:
    source = bench.module('resource "terraform_data" "db" { inputs = 1 }')
    error = await failure(bench.step.start(bench.context({"module_source": source})))
    assert (error.error_type, error.kind) == ("terraform_failed", "permanent")
    assert "Unsupported argument" in error.message
    assert error.details["summary"] == "Unsupported argument"
    assert error.details["address"] == "terraform_data.db"
    assert error.details["place"] == "module/main.tf:1"


OUTPUT = {"value": 1, "type": "number"}
READS_OUTSIDE = """
    data "terraform_remote_state" "net" {
      backend  = "local"
      config   = { path = "${path.module}/net.tfstate" }
    }
"""


@pytest.mark.parametrize(
    ("condition", "kind", "reads"),
    [
        ("var.size > 10", "permanent", ["var.size"]),
        ("local.double > 10", "permanent", ["local.double"]),
        ("data.terraform_remote_state.net.outputs.free > var.size", "unknown", None),
    ],
)
async def test_a_failed_condition_is_tried_again_only_where_it_reads_the_outside(
    bench: Workbench, condition: str, kind: str, reads
) -> None:
    path = bench.module(
        """
        variable "size" { type = number }
        locals { double = var.size * 2 }
        resource "terraform_data" "db" {
          lifecycle {
            precondition {
              condition     = CONDITION
              error_message = "There is no room."
            }
          }
        }
        """.replace("CONDITION", condition)
        + (READS_OUTSIDE if "data." in condition else "")
    )
    net = {"version": 4, "serial": 1, "lineage": "x", "outputs": {"free": OUTPUT}, "resources": []}
    bench.modules[path] = {**bench.modules[path], "net.tfstate": json.dumps(net)}
    template = {"module_source": path, "variables": {"size": 2}}
    error = await failure(bench.step.start(bench.context(template)))
    assert (error.kind, error.details["summary"]) == (kind, "Resource precondition failed")
    assert error.message.endswith("There is no room.")
    if reads is not None:
        assert list(error.details["reads"]) == reads


async def test_a_variable_that_the_module_does_not_know_is_a_permanent_failure(bench) -> None:
    template = {"module_source": bench.module(SIZED), "variables": {"sise": 2}}
    error = await failure(bench.step.start(bench.context(template)))
    assert (error.error_type, error.kind) == ("unknown_variable", "permanent")
    assert "'sise'" in error.message
    assert "Did you mean 'size'?" in str(error)


async def test_terraforms_own_version_can_be_asked_for(bench: Workbench) -> None:
    source = bench.module(SIZED)
    error = await failure(
        bench.step.start(bench.context({"module_source": source, "version": "~> 0.11"}))
    )
    assert "version" in error.message.lower()
    await done(bench.step.start(bench.context({"module_source": source, "version": ">= 1.0"})))


async def test_a_missing_terraform_says_how_to_get_one(bench: Workbench) -> None:
    bench.more = {"terraform_bin": "/nowhere/terraform"}
    error = await failure(bench.step.start(bench.context({"module_source": bench.module(SIZED)})))
    assert (error.error_type, error.kind) == ("terraform_missing", "permanent")
    assert "TERRAFORM_BIN" in str(error)
    assert "pao doctor" in str(error)


async def test_a_program_that_cannot_run_is_a_missing_terraform(bench, tmp_path) -> None:
    program = tmp_path / "terraform"
    program.write_text("not a program")
    program.chmod(0o755)
    bench.more = {"terraform_bin": str(program)}
    error = await failure(bench.step.start(bench.context({"module_source": bench.module(SIZED)})))
    assert error.error_type == "terraform_missing"


async def test_nothing_is_applied_when_the_lease_is_lost(bench: Workbench) -> None:
    context = bench.context({"module_source": bench.module(SIZED)}, lost_after=0)
    with pytest.raises(LeaseGone):
        await bench.step.start(context)
    assert "terraform_data" not in (await bench.states()).get("si-abc--provision", "")


async def test_modules_see_none_of_our_settings(bench: Workbench, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PAO_DATABASE_URL", "postgres://secret")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    monkeypatch.setenv("TF_CLI_ARGS", "-chdir=/")
    monkeypatch.setenv("TF_WORKSPACE", "other")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    seen = tmp_path / "seen"
    source = bench.module(
        f"""
        resource "terraform_data" "spy" {{
          provisioner "local-exec" {{ command = "env > {seen}" }}
        }}
        """
    )
    await done(bench.step.start(bench.context({"module_source": source})))
    environment = seen.read_text()
    assert "secret" not in environment
    assert "AWS_REGION=eu-central-1" in environment
    assert os.environ["HOME"] not in [
        line.partition("=")[2] for line in environment.splitlines() if line.startswith("HOME=")
    ]


async def test_a_report_longer_than_a_pipe_holds_is_kept_whole(bench: Workbench) -> None:
    source = bench.module(
        """
        resource "terraform_data" "db" {
          lifecycle {
            precondition {
              condition     = length(terraform.workspace) == 0
              error_message = "TEXT"
            }
          }
        }
        """.replace("TEXT", "long " * 40_000 + "end.")
    )
    context = bench.context({"module_source": source})
    error = await failure(bench.step.start(context))
    assert error.details["detail"].endswith("end.")
    assert len(error.details["detail"]) > 200_000
    assert "end." in context.log_text


async def test_outputs_that_are_too_large_are_a_permanent_failure(bench: Workbench) -> None:
    source = bench.module(
        'output "big" { value = join("", [for i in range(1024) : "%s"]) }' % ("x" * 2000)
    )
    error = await failure(bench.step.start(bench.context({"module_source": source})))
    assert (error.error_type, error.kind) == ("outputs_unusable", "permanent")


async def test_steps_of_one_moment_each_get_their_state(bench: Workbench) -> None:
    source = bench.module(SIZED)
    contexts = [bench.context({"module_source": source, "state": f"s{n}"}) for n in range(6)]
    for outcome in await asyncio.gather(*map(bench.step.start, contexts)):
        assert isinstance(outcome, Completed)
    assert {f"si-abc--s{n}" for n in range(6)} <= set(await bench.states())


async def test_workspaces_made_at_the_same_moment_wait_for_each_other(bench: Workbench) -> None:
    await done(bench.step.start(bench.context({"module_source": bench.module(SIZED)})))
    context = bench.context({"module_source": "modules/db", "state": "other"})
    async with await psycopg.AsyncConnection.connect(bench.dsn, autocommit=True) as other:
        await other.execute("SELECT pg_advisory_lock(-1)")
        running = asyncio.create_task(bench.step.start(context))
        await eventually(lambda: "Already locked" in context.log_text)
        await other.execute("SELECT pg_advisory_unlock(-1)")
        assert isinstance(await running, Completed)


async def test_components_of_a_bundle_name_their_state_as_the_item_does(bench: Workbench) -> None:
    context = bench.context({"module_source": bench.module(SIZED)}, step_name="db/provision")
    await done(bench.step.start(context))
    assert "si-abc--provision" in await bench.states()


@pytest.mark.parametrize("state", ["a/b", "", "a b", "é", "x" * 91])
async def test_a_state_needs_a_name_that_terraform_takes(bench: Workbench, state: str) -> None:
    template = {"module_source": bench.module(SIZED), "state": state}
    if state:
        assert (await failure(bench.step.start(bench.context(template)))).kind == "permanent"
    else:
        await done(bench.step.start(bench.context(template)))


async def test_another_backend_is_used_where_the_document_names_one(bench, tmp_path) -> None:
    file = tmp_path / "own.tfstate"
    config = {"type": "local", "path": str(file), "workspace_dir": str(tmp_path / "spaces")}
    template = {"module_source": bench.module(SIZED), "backend_config": config}
    await done(bench.step.start(bench.context(template)))
    (state,) = (tmp_path / "spaces").rglob("*.tfstate")
    assert json.loads(state.read_text())["resources"]
    assert await bench.states() == {}


async def test_a_backend_in_the_attempts_folder_is_refused(bench: Workbench) -> None:
    template = {"module_source": bench.module(SIZED), "backend_config": {"type": "local"}}
    assert (await failure(bench.step.start(bench.context(template)))).kind == "permanent"


async def test_resources_never_hold_attribute_values(bench: Workbench) -> None:
    template = {"module_source": bench.module(SIZED), "variables": {"size": "hunter22"}}
    outcome = await done(bench.step.start(bench.context(template)))
    assert outcome.resources is not None
    (resource,) = outcome.resources
    assert isinstance(resource, Resource)
    assert "hunter22" not in repr(resource)
