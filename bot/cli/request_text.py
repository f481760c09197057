"""A request as the command line shows it, and the end of every command that has one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from bot.cli.driving import Follow, drive
from bot.cli.errors import DONE, NO
from bot.cli.output import lines, table
from bot.cli.waiting import waits_for

if TYPE_CHECKING:
    from bot.cli.command import Invocation
    from engine import ApprovalView, Engine, RequestSummary, RequestView, StepView

SHOWN: Final = [
    "request_id",
    "title",
    "request_type",
    "status",
    "catalog_item",
    "catalog_bundle",
    "update_item",
    "upgrade_item",
    "catalog_version",
    "instance_id",
    "instance_name",
    "requester",
    "team",
    "parameters",
    "components",
    "outputs",
    "not_before",
    "created_at",
    "completed_at",
    "reason",
    "instance_usable",
    "update_repeatable",
]


async def end(
    invocation: Invocation,
    engine: Engine,
    view: RequestView,
    *,
    follow: Follow,
    good: str = "completed",
) -> int:
    """Follow the request where that was asked for, print it, and return the exit code."""
    if not follow.wait:
        print_request(invocation, view, steps=False)
        return DONE
    view = await drive(invocation, engine, view, follow.seconds)
    print_request(invocation, view, steps=True)
    return DONE if view.status == good and not view.timed_out else NO


def print_request(invocation: Invocation, view: RequestView, *, steps: bool) -> None:
    """Print a request: whole as data; as a table what matters, and what can be done next."""
    invocation.output.record(asdict(view), text="\n\n".join(_sections(view, steps=steps)))
    if invocation.output.format == "table":
        for sentence in _next(view):
            invocation.output.note(f"\n{sentence}")


def status_in_words(request: RequestView | RequestSummary) -> str:
    """Return how a request stands: what tables show in place of the status."""
    from bot.messages.values import STANDING_WORDS

    return STANDING_WORDS.get(request.stands, request.status)


def _sections(view: RequestView, *, steps: bool) -> Iterator[str]:
    data = asdict(view) | {"status": status_in_words(view)}
    yield lines({name: data[name] for name in SHOWN if _is_said(data.get(name))})
    if view.comparison:
        rows = [{"name": name, **both} for name, both in view.comparison.items()]
        yield table(rows, ["name", "asked", "actual"])
    if view.approvals:
        yield table([_approval_row(one) for one in view.approvals], _APPROVAL_COLUMNS)
    if view.checks:
        yield table([asdict(one) for one in view.checks], ["check", "passed", "reason"])
    if steps and view.steps:
        yield table([_step_row(step) for step in view.steps], _STEP_COLUMNS)
    tickets = [*view.tickets, *(ticket for step in view.steps for ticket in step.tickets)]
    if tickets:
        rows = [{**asdict(ticket), "ticket": ticket.ticket_id} for ticket in tickets]
        yield table(rows, ["ticket", "type", "status", "url"])


_APPROVAL_COLUMNS: Final = ["approval", "status", "approvers", "given", "needed", "expires_at"]
_STEP_COLUMNS: Final = ["name", "type", "status", "attempts", "error"]


def _approval_row(approval: ApprovalView) -> Mapping[str, Any]:
    names = [f"{kind} {name}" for rule in approval.approvers for kind, name in rule.items()]
    return {
        **asdict(approval),
        "approval": approval.step or "of the request",
        "approvers": names,
        "given": approval.given,
    }


def _step_row(step: StepView) -> Mapping[str, Any]:
    met = step.attempts[-1].error_message if step.attempts and step.status != "completed" else None
    return {
        **asdict(step),
        "name": step.full_name,
        "attempts": len(step.attempts),
        "error": met,
    }


def _next(view: RequestView) -> Iterator[str]:
    """Yield what can be done now."""
    if waits := list(waits_for(view)):
        yield f"It waits for {', '.join(waits)}."
    if any(one.status == "waiting" for one in view.approvals):
        yield f"Approvers answer by `pao request approve {view.request_id}` or `reject --reason`."
    if failed := next((step for step in view.steps if step.status == "failed"), None):
        yield f"`pao request logs {view.request_id} {failed.full_name}` shows what was answered."
    if view.can_resume:
        yield (
            "Go on with `pao request resume`, `retry`, `skip` or `resolve`"
            f" {view.request_id}, or end it with `abort`."
        )


def _is_said(value: Any) -> bool:
    return value is not None and value not in ((), [], {})
