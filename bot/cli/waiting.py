"""Whom or what a request waits for, in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.cli.output import cell, printable

if TYPE_CHECKING:
    from engine import ApprovalView, RequestView


def waits_for(view: RequestView) -> Iterator[str]:
    """Yield what must come from outside before the request goes on."""
    for approval in view.approvals:
        if approval.status == "waiting":
            yield approval_words(approval)
    if view.not_before and view.not_before > datetime.now(UTC) and view.completed_at is None:
        yield f"its time, {cell(view.not_before)}"
    for ticket in (*view.tickets, *(one for step in view.steps for one in step.tickets)):
        if ticket.type == "fulfillment" and ticket.status in ("open", "in_progress"):
            yield f"ticket {printable(ticket.ticket_id or '')} ({ticket.status})"


def approval_words(approval: ApprovalView) -> str:
    """Return whose approval is needed, and how many of it are given."""
    names = ", ".join(cell(next(iter(rule.values()))) for rule in approval.approvers)
    of_step = f" of step {printable(approval.step)}" if approval.step else ""
    return f"approval{of_step} by {names} ({approval.given} of {approval.needed} given)"
