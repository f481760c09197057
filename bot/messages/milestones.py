"""What a thread is told of an event: milestones only, the card shows the rest."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from bot.messages import decisions
from bot.messages.approvals import (
    because,
    waiting,
)
from bot.messages.asking import blocker
from bot.messages.blocks import button
from bot.messages.card import OUTPUTS, RESOLVE, aftermath_in_words, check_in_words, outputs_of
from bot.messages.replies import Milestone, is_escalated
from bot.messages.text import (
    code,
    code_block,
    cut,
    duration,
    escaped,
    link,
    moment,
    one_line,
)
from bot.messages.values import count, lines
from engine import Event, RequestView, StepView

SAID: Final = 500
"""Characters of an outside system's answer that a thread repeats."""

BLOCKING: Final = 10
"""Services in the way of a decommission that are named."""


Told = Callable[[Event, RequestView], Milestone | None]


def milestone(event: Event, view: RequestView) -> Milestone | None:
    """Return what the thread is told of an event, None where the card says enough."""
    telling = MILESTONES.get(event.kind)
    return telling(event, view) if telling else None


def _accepted(_: Event, view: RequestView) -> Milestone | None:
    """A decommission says it with its check, so that this is the first reply."""
    return None if view.request_type == "decommission" else Milestone(_accepted_as(view))


def _accepted_as(view: RequestView) -> str:
    steps = len(view.steps)
    what = f"{count(steps, 'step')} will run" if steps else "it is done by hand"
    if waiting(view):
        what += ", once it is approved"
    elif view.not_before:
        what += f", not before {moment(view.not_before)}"
    return f":inbox_tray: Accepted as {code(view.request_id)}: {what}."


def _completed(_: Event, view: RequestView) -> Milestone:
    taken = ""
    if view.completed_at is not None:
        taken = f" after {duration((view.completed_at - view.created_at).total_seconds())}"
    outputs = f"\n{lines(outputs_of(view), OUTPUTS)}" if view.outputs else ""
    service = f" `/pao service {view.instance_id}` shows it." if view.instance_id else ""
    if view.request_type == "decommission":
        service = " The service is gone; its history stays."
    return Milestone(
        f":tada: *{escaped(one_line(view.title), 200)}* is completed{taken}.{service}{outputs}",
        for_requester=True,
    )


def _failed(event: Event, view: RequestView) -> Milestone:
    """Tell where and how to go on; why, only where no step has told it before."""
    step = event.data.get("step")
    message = str(event.data.get("error_message") or view.reason or "")
    if step:
        what = f" at the step *{escaped(str(step), 200)}*."
    else:
        what = f":\n{code_block(message, 1000)}" if message else "."
    left = f"{aftermath}\n" if (aftermath := aftermath_in_words(view)) else ""
    return Milestone(f":x: It has failed{what}\n{left}{_way_out(view)}", for_requester=True)


def _way_out(view: RequestView) -> str:
    request_id = escaped(view.request_id, 100)
    if view.can_resume:
        changes = ", *Resume with changes* on the card does so with other values"
        return (
            f"What works already is kept. `/pao resume {request_id}` goes on from there"
            f"{changes if view.parameters else ''}, "
            f"`/pao resolve {request_id}` says that it was done by hand, "
            f"`/pao abort {request_id}` gives up."
        )
    return f"`/pao status {request_id}` shows how it stands."


def _cancelled(event: Event, view: RequestView) -> Milestone:
    reason = _reason(event, view)
    return Milestone(f":no_entry_sign: Cancelled; nothing was made.{reason}", for_requester=True)


def _aborted(event: Event, view: RequestView) -> Milestone:
    return Milestone(f":octagonal_sign: Aborted.{_reason(event, view)}", for_requester=True)


def _reason(event: Event, view: RequestView) -> str:
    reason = event.data.get("reason") or view.reason
    return f" Reason{because(reason)}" if reason else ""


def _resuming(_: Event, __: RequestView) -> Milestone:
    return Milestone(":arrows_counterclockwise: It goes on from the failed steps.")


def _planned(event: Event, view: RequestView) -> Milestone:
    numbers = event.data
    return Milestone(
        f":clipboard: {_step_name(event, view)}: Terraform plans *{numbers.get('add', 0)}* to add, "
        f"*{numbers.get('change', 0)}* to change, *{numbers.get('destroy', 0)}* to destroy."
    )


def _step_failed(event: Event, view: RequestView) -> Milestone:
    message = "\n".join(_why_failed(event.data))
    attempt = event.data.get("attempt")
    tries = f" after {attempt} attempts" if isinstance(attempt, int) and attempt > 1 else ""
    return Milestone(
        f":x: {_step_name(event, view)} has failed{tries}:\n{code_block(message, 1200)}"
    )


def _why_failed(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the error, and what the other side said about it."""
    yield str(data.get("error_message") or data.get("error_type") or "")
    details = data.get("details")
    said = details.get("body") if isinstance(details, Mapping) else None
    if said:
        yield cut(str(said), SAID)


def _progress(event: Event, view: RequestView) -> Milestone:
    """Tell what a step says of itself; where its ticket is done and that is not enough, ask for the rest."""
    text = escaped(str(event.data.get("text") or "It goes on."), 1000)
    told = f":speech_balloon: {_step_name(event, view)}: {text}"
    if not event.data.get("ticket_id"):
        return Milestone(told)
    value = f"{view.request_id} {event.step_id or ''}".strip()
    return Milestone(told, for_requester=True, buttons=[button("Resolve", RESOLVE, value)])


def _step_name(event: Event, view: RequestView) -> str:
    step = _step(event, view)
    return f"*{escaped(step.full_name, 200)}*" if step else "A step"


def _step(event: Event, view: RequestView) -> StepView | None:
    return next((step for step in view.steps if step.step_id == event.step_id), None)


def _ticket_made(event: Event, _: RequestView) -> Milestone:
    data = event.data
    return Milestone(
        f":ticket: A ticket was made, {_ticket(data)}: "
        f"{escaped(one_line(str(data.get('summary') or 'someone will do it by hand')), 300)}"
    )


def _ticket_late(event: Event, _: RequestView) -> Milestone:
    error = escaped(one_line(str(event.data.get("error") or "no answer")), 300)
    return Milestone(
        f":hourglass: The ticket could not be made yet: {error}. It is tried again until it can."
    )


def _ticket_done(event: Event, _: RequestView) -> Milestone:
    return Milestone(f":white_check_mark: {_ticket(event.data)} is resolved.")


def _ticket(data: Mapping[str, Any]) -> str:
    return link(data.get("url"), str(data.get("ticket_id") or "The ticket"))


def _ticket_reminded(event: Event, view: RequestView) -> Milestone:
    """The ticket is worked on by the document's owners, and the requester waits for it."""
    ticket = event.data.get("ticket_id")
    tickets = [*view.tickets, *(one for step in view.steps for one in step.tickets)]
    known = next((one for one in tickets if one.ticket_id == ticket), None)
    step = next((one for one in view.steps if known in one.tickets), None) if known else None
    value = f"{view.request_id} {step.step_id if step else ''}".strip()
    told = link(event.data.get("url"), str(ticket or "the ticket"))
    return Milestone(
        f":bell: {told} is still open, and the request waits for it. Resolve it there, or here.",
        team=view.owner,
        for_requester=view.owner is None,
        buttons=[button("Resolve", RESOLVE, value)],
        owners=is_escalated(event),
    )


# Checks


def _check_passed(event: Event, _: RequestView) -> Milestone:
    return Milestone(f":white_check_mark: Check passed: {_check(event.data)}")


def _check_failed(event: Event, _: RequestView) -> Milestone:
    return Milestone(
        f":x: Check failed: {_check(event.data)}{because(event.data.get('reason') or 'no reason')}"
    )


def _check(data: Mapping[str, Any]) -> str:
    return check_in_words(str(data.get("check", "?")))


def _decommission_checked(event: Event, view: RequestView) -> Milestone:
    return Milestone(f"{_free_or_blocked(event.data, view)}\n{_accepted_as(view)}")


def _free_or_blocked(data: Mapping[str, Any], view: RequestView) -> str:
    """Return whether the instance may go, and who stands in the way."""
    what = f"*{escaped(one_line(view.instance_name), 200)}*" if view.instance_name else "It"
    if data.get("can_decommission"):
        return f":white_check_mark: {what} is free to go: nothing that lives needs it."
    found = data.get("blocking_instances") or ()
    lines = [blocker(one, view.instance_id or "") for one in found[:BLOCKING]]
    more = [f"… and {len(found) - BLOCKING} more"] if len(found) > BLOCKING else []
    head = f":no_entry: {what} cannot go now{because(data.get('reason'))}"
    return "\n".join((head, *lines, *more))


def _overrunning(event: Event, _: RequestView) -> Milestone:
    expected = escaped(str(event.data.get("estimated_duration") or "expected"), 50)
    return Milestone(
        f":hourglass: This takes longer than the {expected} that the catalog estimates. It goes on; "
        "the card shows where it is.",
        for_requester=True,
    )


MILESTONES: Final[Mapping[str, Told]] = {
    "request.submitted": _accepted,
    "request.completed": _completed,
    "request.failed": _failed,
    "request.cancelled": _cancelled,
    "request.aborted": _aborted,
    "request.resuming": _resuming,
    "step.plan": _planned,
    "step.failed": _step_failed,
    "step.progress": _progress,
    "ticket.created": _ticket_made,
    "ticket.delayed": _ticket_late,
    "ticket.resolved": _ticket_done,
    "check.passed": _check_passed,
    "check.failed": _check_failed,
    "ticket.reminded": _ticket_reminded,
    "decommission.checked": _decommission_checked,
    "request.overrunning": _overrunning,
    "approval.requested": decisions.requested,
    "approval.reminded": decisions.reminded,
    "approval.given": decisions.given,
    "approval.rejected": decisions.rejected,
    "approval.expired": decisions.expired,
}
