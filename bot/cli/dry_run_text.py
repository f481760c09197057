"""A dry run as the command line shows it: what would run, what Terraform would change, each template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from bot.cli.output import encode, printable, table
from bot.cli.waiting import approval_words

if TYPE_CHECKING:
    from bot.cli.command import Invocation
    from engine import ForeseenTemplate, Rehearsal, RequestView, StepView

_COLUMNS: Final = ["name", "type", "runs", "terraform_plan", "depends_on"]
_RUNS: Final[Mapping[Any, str]] = {True: "yes", False: "no", None: "known later"}


def print_dry_run(invocation: Invocation, view: RequestView) -> None:
    """Print what would run. What was not made has no ids."""
    data = {**asdict(view), "request_id": None, "instance_id": None, "dry_run": True}
    if view.request_type != "create":
        data["instance_id"] = view.instance_id
    invocation.output.record(data, text="\n\n".join(_sections(view)))


def _sections(view: RequestView) -> Iterator[str]:
    said = f"{printable(view.title)}: the parameters are valid; nothing was ordered."
    if not view.steps:
        yield f"{said} It would be done by hand."
    else:
        yield f"{said} Steps that would run:"
        yield table([_row(step) for step in view.steps], _COLUMNS)
    for step in view.steps:
        yield from _part(step.full_name, step.rehearsal or {})
    if view.rehearsal is not None:
        yield from _beside(view.rehearsal)
    for approval in view.approvals:
        yield f"It needs {approval_words(approval)}."


def _row(step: StepView) -> Mapping[str, Any]:
    from bot.messages.values import changes_in_words

    found = step.rehearsal or {}
    plan = found.get("plan")
    return {
        **asdict(step),
        "name": step.full_name,
        "runs": _RUNS[found.get("runs")],
        "terraform_plan": None if plan is None else changes_in_words(plan),
    }


def _beside(rehearsal: Rehearsal) -> Iterator[str]:
    """Yield what was found out beside the steps."""
    for check in rehearsal.checks:
        yield from _part(f"The check {_named(check)}", asdict(check))
    for ticket in rehearsal.tickets:
        yield from _part(f"The ticket for work by hand, {_named(ticket)}", asdict(ticket))
    if rehearsal.rollback:
        yield "Steps that would run after a failure:"
        yield table([_row(step) for step in rehearsal.rollback], _COLUMNS)
    for step in rehearsal.rollback:
        yield from _part(step.full_name, step.rehearsal or {})


def _named(foreseen: ForeseenTemplate) -> str:
    return f"{foreseen.component}/{foreseen.name}" if foreseen.component else foreseen.name


def _part(name: str, found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the part of what was found out, headed by the name; nothing where nothing was."""
    if told := list(_told(found)):
        yield "\n".join([f"{printable(name)}:", *told])


def _told(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was found out about a step, a ticket or a check, in lines."""
    if found.get("problem"):
        yield f"  It would fail: {printable(found['problem'])}"
    if found.get("note"):
        yield f"  {printable(found['note'])}"
    if found.get("waits_for"):
        yield f"  Known when it runs: {printable(', '.join(found['waits_for']))}"
    if found.get("template"):
        text = printable(encode(found["template"], "yaml"), lines=True)
        yield from (f"    {line}" for line in text.splitlines())
