"""A dry run as the command line shows it: what would run, what Terraform would change, each template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from bot.cli.output import encode, printable, table
from bot.cli.waiting import approval_words

if TYPE_CHECKING:
    from bot.cli.command import Invocation
    from engine import RequestView, StepView

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
        if told := list(_told(step)):
            yield "\n".join([f"{printable(step.full_name)}:", *told])
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


def _told(step: StepView) -> Iterator[str]:
    """Yield what was found out about a step, in lines."""
    found = step.rehearsal or {}
    if found.get("problem"):
        yield f"  It would fail: {printable(found['problem'])}"
    if found.get("note"):
        yield f"  {printable(found['note'])}"
    if found.get("waits_for"):
        yield f"  Known when it runs: {printable(', '.join(found['waits_for']))}"
    if found.get("template"):
        text = printable(encode(found["template"], "yaml"), lines=True)
        yield from (f"    {line}" for line in text.splitlines())
