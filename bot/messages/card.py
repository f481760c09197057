"""The status card: the one message of a request, edited in place while it goes on.

What it shows depends on the request alone, not on the clock, so its hash tells whether an edit
would change anything. Everybody in the channel sees the same card: its buttons are those that apply
to the request now, and whether the one who clicks may is checked at the click.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.messages.blocks import (
    Block,
    actions,
    button,
    columns,
    confirmation,
    context,
    section,
)
from bot.messages.notices import value_in_words
from bot.messages.text import (
    SECTION,
    code,
    duration,
    escaped,
    link,
    mention,
    moment,
    one_line,
)
from engine import RequestView, StepView, TicketView

CANCEL: Final = "request_cancel"
ABORT: Final = "request_abort"
RESUME: Final = "request_resume"
RETRY: Final = "step_retry"
RESOLVE: Final = "step_resolve"
SERVICE: Final = "service_show"
SECRETS: Final = "request_secrets"
STATUS: Final = "request_show"

STEP_SECTIONS: Final = 20
"""Sections of step lines on a card: Slack takes 50 blocks in all."""

PARAMETERS: Final = 10
OUTPUTS: Final = 15

STATUS_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "submitted": (":inbox_tray:", "submitted"),
    "validating": (":mag:", "being validated"),
    "in_progress": (":gear:", "in progress"),
    "completed": (":white_check_mark:", "completed"),
    "failed": (":x:", "failed"),
    "cancelled": (":no_entry_sign:", "cancelled"),
    "resuming": (":arrows_counterclockwise:", "resuming"),
    "aborted": (":octagonal_sign:", "aborted"),
}
STEP_ICONS: Final[Mapping[str, str]] = {
    "pending": ":white_circle:",
    "running": ":arrow_forward:",
    "verifying": ":mag:",
    "completed": ":white_check_mark:",
    "failed": ":x:",
    "skipped": ":fast_forward:",
    "retrying": ":repeat:",
}
SKIPPED_BECAUSE: Final[Mapping[str, str]] = {
    "condition": "its condition is false",
    "dependency": "a step before it failed",
    "manual": "skipped by hand",
    "aborted": "the request was aborted",
}


@dataclass(frozen=True, slots=True)
class Card:
    """A message: `text` is what notifications show, `hash` changes when what is shown does."""

    text: str
    blocks: list[Block]
    hash: str


def card(view: RequestView, thread: str | None = None) -> Card:
    """Return the card of a request; `thread` is a link to its thread, where the card stands apart."""
    blocks = [
        section(_heading(view, thread)),
        context(_origin(view)),
        *columns(_parameters(view)),
        *_progress(view),
        *_steps(view.steps),
        *_tickets(view),
        *_result(view),
        *actions(*buttons(view)),
    ]
    shown = hashlib.sha256(json.dumps(blocks, sort_keys=True).encode()).hexdigest()
    icon, words = STATUS_WORDS.get(view.status, (":grey_question:", view.status))
    return Card(f"{icon} {escaped(one_line(view.title), 200)}: {words}", blocks, shown)


def buttons(view: RequestView) -> Iterator[Block]:
    """Yield the buttons that apply to the request now."""
    if view.can_resume:
        yield button("Resume", RESUME, view.request_id, style="primary")
    yield from _step_buttons(view)
    if view.can_cancel:
        yield button(
            "Cancel",
            CANCEL,
            view.request_id,
            confirm=confirmation(
                "Cancel the request?",
                "Nothing has been made yet, and nothing will be.",
                "Cancel it",
            ),
        )
    if view.can_abort:
        yield button("Abort", ABORT, view.request_id, style="danger")
    if view.secret_outputs and view.status == "completed":
        yield button("Show secrets", SECRETS, view.request_id)
    if view.instance_id:
        yield button("Service", SERVICE, view.instance_id)


def outputs_in_words(outputs: Mapping[str, Any], limit: int = OUTPUTS) -> str:
    """Return outputs, one a line."""
    lines = [
        f"• *{escaped(one_line(key), 100)}*: {_value(value, 300)}"
        for key, value in list(outputs.items())[:limit]
    ]
    more = len(outputs) - len(lines)
    return "\n".join(lines + ([f"… and {more} more"] if more > 0 else []))


def step_line(step: StepView) -> str:
    """Return one step: icon, name as in the document, time taken, attempts, job, trouble."""
    told = [f"{STEP_ICONS.get(step.status, ':grey_question:')} *{escaped(step.name, 200)}*"]
    told += _timing(step)
    attempt = step.attempts[-1] if step.attempts else None
    if len(step.attempts) > 1:
        told.append(f"attempt {len(step.attempts)}")
    if attempt is not None and attempt.external_job_url:
        told.append(link(attempt.external_job_url, "job"))
    if step.skip_reason:
        told.append(SKIPPED_BECAUSE.get(step.skip_reason, escaped(step.skip_reason, 100)))
    if attempt is not None and attempt.error_message and step.status in {"failed", "retrying"}:
        told.append(escaped(one_line(attempt.error_message), 200))
    return " · ".join(told)


def _heading(view: RequestView, thread: str | None) -> str:
    icon, words = STATUS_WORDS.get(view.status, (":grey_question:", view.status))
    follow = f" · {link(thread, 'thread')}" if thread else ""
    return (
        f"{icon} *{escaped(one_line(view.title), 300)}* is {words}\n"
        f"{code(view.request_id)} · {escaped(view.request_type, 50)} · "
        f"version {escaped(view.catalog_version, 100)}{follow}"
    )


def _origin(view: RequestView) -> str:
    team = f" for team *{escaped(view.team, 100)}*" if view.team else ""
    due = f" · starts {moment(view.not_before)}" if view.not_before else ""
    return f"{mention(view.requester)}{team} · {moment(view.created_at)}{due}"


def _parameters(view: RequestView) -> list[str]:
    labels = view.parameter_labels
    given = [(key, value) for key, value in view.parameters.items() if value is not None]
    shown = [
        f"*{escaped(one_line(labels.get(key, key)), 100)}*\n{_value(value, 150)}"
        for key, value in given[:PARAMETERS]
    ]
    more = len(given) - len(shown)
    if more > 0:
        shown[-1] = f"… and {more + 1} more parameters"
    return shown


def _value(value: Any, limit: int) -> str:
    """Return a value on one line; anything with structure as JSON."""
    if isinstance(value, Mapping) or (
        isinstance(value, Sequence) and any(isinstance(one, Mapping) for one in value)
    ):
        return code(json.dumps(value, ensure_ascii=False, default=str), limit)
    return escaped(one_line(value_in_words(value)), limit) or "–"


def _progress(view: RequestView) -> Iterator[Block]:
    if not view.steps:
        return
    done = sum(_is_done(step) for step in view.steps)
    filled = round(10 * done / len(view.steps))
    bar = "▰" * filled + "▱" * (10 - filled)
    yield section(f"{bar}  {done} of {len(view.steps)} steps")


def _is_done(step: StepView) -> bool:
    """Say whether nothing is left to do: what a failure or an abort skipped was not done."""
    left_out = step.status == "skipped" and step.skip_reason in {"condition", "manual"}
    return step.status == "completed" or left_out


def _steps(steps: Sequence[StepView]) -> Iterator[Block]:
    """Yield the step lines, as many to a section as fit."""
    lines = [step_line(step) for step in steps]
    sections: list[str] = []
    for line in lines:
        if sections and len(sections[-1]) + len(line) < SECTION - 10:
            sections[-1] += f"\n{line}"
        else:
            sections.append(line)
    yield from (section(text) for text in sections[:STEP_SECTIONS])
    if len(sections) > STEP_SECTIONS:
        shown = sum(text.count("\n") + 1 for text in sections[:STEP_SECTIONS])
        yield context(f"… and {len(lines) - shown} more steps: `pao request get` shows them all")


def _timing(step: StepView) -> list[str]:
    if step.status == "retrying" and step.next_run_at is not None:
        return [f"next try {moment(step.next_run_at, '{time_secs}')}"]
    if step.started_at is None:
        return []
    if step.completed_at is None:
        return [f"since {moment(step.started_at, '{time_secs}')}"]
    return [duration((step.completed_at - step.started_at).total_seconds())]


def _tickets(view: RequestView) -> Iterator[Block]:
    tickets = [*view.tickets, *(ticket for step in view.steps for ticket in step.tickets)]
    if tickets:
        yield section("\n".join(ticket_line(ticket) for ticket in tickets[:10]))


def ticket_line(ticket: TicketView) -> str:
    """Return one ticket: its id with a link, its system, how it stands."""
    if ticket.ticket_id is None:
        trouble = f": {escaped(one_line(ticket.last_error), 200)}" if ticket.last_error else ""
        return f":ticket: a ticket is being made ({escaped(ticket.system, 50)}){trouble}"
    what = f" · {escaped(one_line(ticket.summary), 150)}" if ticket.summary else ""
    status = escaped(ticket.status.replace("_", " "), 50)
    return f":ticket: ticket {link(ticket.url, ticket.ticket_id)} is {status}{what}"


def _result(view: RequestView) -> Iterator[Block]:
    if view.reason:
        yield section(f"*Reason*\n{escaped(view.reason, 1000)}")
    if view.status == "completed" and view.outputs:
        yield section(f"*Outputs*\n{outputs_in_words(view.outputs)}")
    if view.status == "completed" and view.completed_at:
        taken = duration((view.completed_at - view.created_at).total_seconds())
        yield context(f"Completed {moment(view.completed_at)}, after {taken}")


def _step_buttons(view: RequestView) -> Iterator[Block]:
    """Yield Retry and Resolve of the first step that failed, or Resolve of the request's ticket."""
    if view.status not in {"failed", "in_progress"}:
        return
    failed = next((step for step in view.steps if step.status == "failed"), None)
    if failed is not None and view.status == "failed":
        yield button(f"Retry {failed.name}", RETRY, f"{view.request_id} {failed.step_id}")
        yield button(f"Resolve {failed.name}", RESOLVE, f"{view.request_id} {failed.step_id}")
    elif view.tickets and not view.steps:
        yield button("Resolve", RESOLVE, view.request_id, style="primary")
