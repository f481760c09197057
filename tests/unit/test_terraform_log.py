"""How Terraform's lines become a log, a plan a summary, and a failure an error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import StepFailed
from engine.steps.terraform.failure import failure, is_locked
from engine.steps.terraform.log import HEAD, LONGEST_LINE, TAIL, LogReader, Problem, plain_problems
from engine.steps.terraform.plan import read_plan
from engine.steps.terraform.process import Finished


def line(message: str, **more: object) -> bytes:
    return json.dumps({"@message": message, "type": "log", **more}).encode() + b"\n"


def error(summary: str, **more: object) -> bytes:
    diagnostic = {"severity": "error", "summary": summary, "detail": "why", **more}
    return line(f"Error: {summary}", type="diagnostic", diagnostic=diagnostic)


def test_messages_are_kept_and_noise_is_not() -> None:
    reader = LogReader()
    text = reader.feed(line("Terraform 1.11", type="version") + line("db: Creating..."))
    assert text == "db: Creating...\n"
    assert reader.end() == ""


@given(st.lists(st.integers(0, 400), max_size=8))
def test_it_does_not_matter_how_the_output_is_cut(cuts: list[int]) -> None:
    data = line("one") + b"plain text, \xff\x00\n" + error("broken", address="module.main.a.b")
    data += b"[1, 2]\nno line end"
    reader = LogReader()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]  # noqa: RUF007
    text = "".join(map(reader.feed, pieces)) + reader.end()
    assert text == (
        "one\nplain text, ��\nError: broken (module.main.a.b)\nwhy\n[1, 2]\nno line end\n"
    )
    assert reader.problems == [Problem("broken", "why", "module.main.a.b")]


def test_a_long_log_keeps_its_head_and_its_tail() -> None:
    reader = LogReader()
    text = "".join(reader.feed(line(f"{n} {'x' * 1000}")) for n in range(1000)) + reader.end()
    assert text.startswith("0 x")
    assert text.splitlines()[-1].startswith("999 x")
    assert "lines left out]" in text
    assert len(text) < HEAD + TAIL + 2000


def test_a_line_without_end_is_left_out_whole() -> None:
    reader = LogReader()
    text = reader.feed(b"x" * (LONGEST_LINE + 1) + b"\nnext\n")
    assert text == f"[a line of {LONGEST_LINE + 1} bytes left out]\nnext\n"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("\nError: No such thing\n\nBecause.\n", [Problem("No such thing", "Because.")]),
        ("failed to lock\nLock Info:", [Problem("failed to lock", "Lock Info:")]),
        ("  \n", []),
    ],
)
def test_errors_of_commands_without_json(text: str, problems: list[Problem]) -> None:
    assert plain_problems(text) == problems


def test_the_last_error_names_the_failure() -> None:
    problems = [Problem("first"), Problem("last", "why\nso", "module.main.a.b", "module/main.tf:3")]
    found = failure("apply", Finished(1, problems))
    assert found.message == "terraform apply failed: last (a.b): why so"
    assert found.details["address"] == "a.b"
    assert [one["summary"] for one in found.details["errors"]] == ["first", "last"]


@pytest.mark.parametrize(
    ("summary", "kind"),
    [
        ("Unsupported argument", "permanent"),
        ("Saved plan is stale", "transient"),
        ("failed to lock state in Postgres: Already locked for workspace creation: x", "transient"),
        ("creating the database: quota exceeded", "unknown"),
    ],
)
def test_whether_another_try_can_help(summary: str, kind: str) -> None:
    assert failure("plan", Finished(1, [Problem(summary)])).kind == kind


@pytest.mark.parametrize(
    ("summary", "reads", "kind"),
    [
        ("Resource precondition failed", ("var.size", "local.sizes"), "permanent"),
        ("Resource precondition failed", (), "permanent"),
        ("Module output value precondition failed", ("var.size",), "permanent"),
        ("Resource precondition failed", ("var.size", "data.aws_vpc.main.id"), "unknown"),
        ("Resource postcondition failed", ("self.status",), "unknown"),
        ("Module output value precondition failed", ("module.net.ready",), "unknown"),
        ("Resource precondition failed", ("terraform_data.db.output",), "unknown"),
        ("creating the database: quota exceeded", ("var.size",), "unknown"),
    ],
)
def test_a_condition_on_what_the_request_gave_fails_for_good(summary, reads, kind) -> None:
    problem = Problem(summary, "too small", reads=reads)
    assert failure("plan", Finished(1, [problem])).kind == kind


def test_a_process_that_was_killed_and_one_without_words() -> None:
    assert failure("apply", Finished(-9)).error_type == "terraform_killed"
    assert "exit code 3" in failure("init", Finished(3)).message
    assert is_locked(Finished(1, [Problem("Error acquiring the state lock")]))
    assert not is_locked(Finished(1))


def change(address: str, actions: list[str], reason: str | None = None) -> dict[str, object]:
    return {
        "address": f"module.main.{address}",
        "mode": "managed",
        "change": {"actions": actions},
        "action_reason": reason,
    }


def test_a_replacement_counts_as_one_added_and_one_destroyed() -> None:
    plan = read_plan(
        {
            "resource_changes": [
                change("a.new", ["create"]),
                change("a.changed", ["update"]),
                change("a.gone", ["delete"]),
                change("a.replaced", ["delete", "create"]),
                change("a.replaced_too", ["create", "delete"]),
                change("a.same", ["no-op"]),
                {**change("data.a.read", ["read"]), "mode": "data"},
            ]
        }
    )
    assert plan.summary() == {"add": 3, "change": 1, "destroy": 3}
    with pytest.raises(StepFailed) as caught:
        plan.refuse_destruction()
    assert caught.value.details["resources"] == ["a.gone", "a.replaced", "a.replaced_too"]


def test_only_a_tainted_resource_may_be_replaced() -> None:
    repaired = change("a.b", ["delete", "create"], "replace_because_tainted")
    read_plan({"resource_changes": [repaired]}).refuse_destruction()
    changed = change("a.b", ["delete", "create"], "replace_because_cannot_update")
    with pytest.raises(StepFailed):
        read_plan({"resource_changes": [repaired, changed]}).refuse_destruction()
