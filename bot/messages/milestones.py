"""What a thread is told of an event: milestones only, the card shows the rest."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bot.messages.card import outputs_in_words
from bot.messages.text import code, code_block, cut, duration, escaped, link, mention, one_line
from engine import Event, RequestView, StepView

SAID: Final = 500
"""Characters of an outside system's answer that a thread repeats."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """A reply in the thread. `for_requester`: it mentions the person who asked for it."""

    markup: str
    for_requester: bool = False


Told = Callable[[Event, RequestView], Milestone | None]


def milestone(event: Event, view: RequestView) -> Milestone | None:
    """Return what the thread is told of an event, None where the card says enough."""
    telling = MILESTONES.get(event.kind)
    return telling(event, view) if telling else None


def markup_for(told: Milestone, view: RequestView) -> str:
    """Return the reply's text, with the requester's mention in front where it is for them."""
    return f"{mention(view.requester)} {told.markup}" if told.for_requester else told.markup


def _accepted(_: Event, view: RequestView) -> Milestone:
    count = len(view.steps)
    what = f"{count} step{'s' if count != 1 else ''} will run" if count else "it is done by hand"
    return Milestone(f":inbox_tray: Accepted as {code(view.request_id)}: {what}.")


def _completed(_: Event, view: RequestView) -> Milestone:
    taken = ""
    if view.completed_at is not None:
        taken = f" after {duration((view.completed_at - view.created_at).total_seconds())}"
    outputs = f"\n{outputs_in_words(view.outputs)}" if view.outputs else ""
    service = f" `/pao service {view.instance_id}` shows it." if view.instance_id else ""
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
    return Milestone(f":x: It has failed{what}\n{_way_out(view)}", for_requester=True)


def _way_out(view: RequestView) -> str:
    request_id = escaped(view.request_id, 100)
    if view.can_resume:
        return (
            f"What works already is kept. `/pao resume {request_id}` goes on from there, "
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
    return f" Reason: {escaped(one_line(str(reason)), 500)}" if reason else ""


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


def _step_name(event: Event, view: RequestView) -> str:
    step = _step(event, view)
    return f"*{escaped(step.name, 200)}*" if step else "A step"


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


def _check_passed(event: Event, _: RequestView) -> Milestone:
    return Milestone(f":white_check_mark: Check passed: {_check(event.data)}")


def _check_failed(event: Event, _: RequestView) -> Milestone:
    reason = escaped(one_line(str(event.data.get("reason") or "no reason given")), 500)
    return Milestone(f":x: Check failed: {_check(event.data)}: {reason}")


def _check(data: Mapping[str, Any]) -> str:
    return escaped(str(data.get("check", "?")).replace("_", " "), 200)


MILESTONES: Final[Mapping[str, Told]] = {
    "request.submitted": _accepted,
    "request.completed": _completed,
    "request.failed": _failed,
    "request.cancelled": _cancelled,
    "request.aborted": _aborted,
    "request.resuming": _resuming,
    "step.plan": _planned,
    "step.failed": _step_failed,
    "ticket.created": _ticket_made,
    "ticket.delayed": _ticket_late,
    "ticket.resolved": _ticket_done,
    "check.passed": _check_passed,
    "check.failed": _check_failed,
}
