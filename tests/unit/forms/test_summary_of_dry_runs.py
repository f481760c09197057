"""What the last page of a form says of the dry run."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from bot.messages import asking
from bot.messages.blocks import paragraphs
from bot.playground.limits import check_blocks
from engine import ForeseenTemplate, Rehearsal, RequestView, StepView


def step(name: str, **rehearsal: Any) -> StepView:
    waiting: dict[str, Any] = dict.fromkeys(("started_at", "completed_at", "outputs"))
    found = {"runs": True, "plan": None, "problem": None, **rehearsal}
    return StepView(
        name, name, "HttpPost", "pending", (), attempts=[], tickets=[], rehearsal=found, **waiting
    )


def told(*steps: StepView, rehearsal: Rehearsal | None = None) -> str:
    whole: dict[str, Any] = dict.fromkeys(one.name for one in fields(RequestView))
    found: dict[str, Any] = {"steps": steps, "approvals": [], "rehearsal": rehearsal}
    return asking.will_run(RequestView(**whole | found))


def test_terraforms_plans_are_added_up() -> None:
    text = told(
        step("net", plan={"add": 2, "change": 0, "destroy": 0}),
        step("db", plan={"add": 1, "change": 1, "destroy": 0}),
        step("call"),
    )
    assert text == (
        ":mag: *Will run: 3 steps, Terraform plan 3 to add, 1 to change*: `net`, `db`, `call`."
    )


def test_a_plan_without_changes_says_so() -> None:
    text = told(step("net", plan={"add": 0, "change": 0, "destroy": 0}))
    assert "*Will run: 1 step, Terraform plan no changes*" in text


def test_without_a_plan_the_steps_stand_alone() -> None:
    assert told(step("net", note="Its plan took too long")) == ":mag: *Will run: 1 step*: `net`."


def test_what_a_condition_leaves_out_is_not_among_what_runs() -> None:
    text = told(step("net"), step("announce", runs=False), step("audit", runs=None))
    assert text == ":mag: *Will run: 2 steps*: `net`, `audit`."


def test_what_would_fail_is_said_with_its_reason() -> None:
    text = told(step("net", problem="The plan would destroy <!channel>"))
    assert text.endswith("\n:warning: `net` would fail: The plan would destroy &lt;!channel&gt;")


def test_what_runs_after_a_failure_is_named_with_what_is_wrong_with_it() -> None:
    undo = step("rollback:undo", problem="There is no 'sise' here")
    text = told(step("net"), rehearsal=Rehearsal([undo], [], []))
    assert text.startswith(":mag: *Will run: 1 step*: `net`.\nAfter a failure: `rollback:undo`.")
    assert text.endswith("`rollback:undo` would fail: There is no 'sise' here")


def test_a_ticket_or_check_that_would_fail_is_said() -> None:
    ticket = ForeseenTemplate("jira", "db", None, problem="There is no 'sise' here")
    check = ForeseenTemplate("check_backup_status", None, None, problem="No <!here>")
    text = told(step("net"), rehearsal=Rehearsal([], [ticket], [check]))
    assert "The check `check_backup_status` would fail: No &lt;!here&gt;" in text
    assert "The ticket in `db/jira` would fail: There is no 'sise' here" in text


def test_where_people_would_be_asked_is_named_once() -> None:
    tickets = [ForeseenTemplate("jira", None, None), ForeseenTemplate("jira", None, None)]
    text = told(step("net"), rehearsal=Rehearsal([], tickets, []))
    assert text.endswith("\nWhat is left to people becomes a ticket in `jira`.")


def test_the_longest_dry_run_is_whole_and_fits_slack() -> None:
    named = [step(f"{at}-{'x' * 140}", problem="y" * 600) for at in range(20)]
    text = told(*named, rehearsal=Rehearsal(named, [], []))
    blocks = paragraphs(text.split("\n"))
    check_blocks(blocks)
    shown = "\n".join(block["text"]["text"] for block in blocks)
    assert shown == text
