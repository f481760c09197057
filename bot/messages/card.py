"""The status card: the one message of a request, edited in place while it goes on.

What it shows depends on the request alone, not on the clock, so its hash tells whether an edit
would change anything. Everybody in the channel sees the same card: its buttons are those that apply
to the request now, and whether the one who clicks may is checked at the click.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bot.messages.approvals import approval_blocks, approval_buttons, because
from bot.messages.blocks import (
    Block,
    actions,
    button,
    confirmation,
    context,
    section,
    table,
)
from bot.messages.steps import step_blocks
from bot.messages.text import code, duration, escaped, link, mention, moment, one_line
from bot.messages.values import (
    STANDING_WORDS,
    by_component,
    count,
    parameter_rows,
    rows,
    shown,
)
from engine import RequestSummary, RequestView, TicketView

CANCEL: Final = "request_cancel"
ABORT: Final = "request_abort"
RESUME: Final = "request_resume"
CHANGE: Final = "request_change"
RETRY: Final = "step_retry"
RESOLVE: Final = "step_resolve"
SKIP: Final = "step_skip"
LOGS: Final = "step_logs"
SERVICE: Final = "service_show"
SECRETS: Final = "request_secrets"
STATUS: Final = "request_show"

MANUAL: Final = "manual"
"""The type of a step that people do."""

UNDER_WAY: Final = frozenset({"running", "verifying"})

PARAMETERS: Final = 10
OUTPUTS: Final = 15
COMPARED: Final = 10
BUTTONS_FOR: Final = 3
"""Steps that wait for people and have a button each."""

STATUS_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "submitted": (":inbox_tray:", "is submitted"),
    "validating": (":mag:", "is being validated"),
    "in_progress": (":gear:", "is in progress"),
    "completed": (":white_check_mark:", "is completed"),
    "failed": (":x:", "has failed"),
    "cancelled": (":no_entry_sign:", "is cancelled"),
    "resuming": (":arrows_counterclockwise:", "is resuming"),
    "aborted": (":octagonal_sign:", "is aborted"),
}

STANDING_ICONS: Final[Mapping[str, str]] = {
    "approval": ":raised_hand:",
    "scheduled": ":alarm_clock:",
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
        *table(_parameters(view)),
        *approval_blocks(view),
        *step_blocks(view),
        *_checks(view),
        *_tickets(view),
        *_result(view),
        *_aftermath(view),
        *actions(*buttons(view)),
    ]
    shown = hashlib.sha256(json.dumps(blocks, sort_keys=True).encode()).hexdigest()
    icon, words = standing(view)
    return Card(f"{icon} {escaped(one_line(view.title), 200)} {words}", blocks, shown)


def standing(one: RequestView | RequestSummary) -> tuple[str, str]:
    """Return how a request stands, on its card and in lists: an icon, and what follows its title."""
    if one.stands is not None:
        return STANDING_ICONS[one.stands], f"is {STANDING_WORDS[one.stands]}"
    return STATUS_WORDS.get(one.status, (":grey_question:", f"is {escaped(one.status, 50)}"))


def buttons(view: RequestView) -> Iterator[Block]:
    """Yield the buttons that apply to the request now."""
    yield from approval_buttons(view)
    if view.can_resume:
        yield button("Resume", RESUME, view.request_id, style="primary")
        if view.parameters:
            yield button("Resume with changes", CHANGE, view.request_id)
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


def _heading(view: RequestView, thread: str | None) -> str:
    icon, words = standing(view)
    follow = f" · {link(thread, 'thread')}" if thread else ""
    return (
        f"{icon} *{escaped(one_line(view.title), 300)}* {words}\n"
        f"{code(view.request_id)} · {escaped(view.request_type, 50)} · "
        f"version {escaped(view.catalog_version, 100)}{follow}"
    )


def _origin(view: RequestView) -> str:
    team = f" for team *{escaped(view.team, 100)}*" if view.team else ""
    due = (
        f" · starts {moment(view.not_before)}" if view.not_before and not view.completed_at else ""
    )
    return f"{mention(view.requester)}{team} · {moment(view.created_at)}{due}"


def _parameters(view: RequestView) -> list[tuple[str, str]]:
    rows = list(parameter_rows(view.parameters, view.parameter_labels, view.value_labels))
    more = len(rows) - PARAMETERS
    return [*rows[: PARAMETERS - 1], ("…", f"and {more + 1} more")] if more > 0 else rows


def _checks(view: RequestView) -> Iterator[Block]:
    """Yield what the checks before the first step found; one that failed says why."""
    failed = [one for one in view.checks if not one.passed]
    passed = len(view.checks) - len(failed)
    if passed:
        yield context(f":mag: {count(passed, 'check')} passed")
    for one in failed[:3]:
        yield section(f":x: {check_in_words(one.check)}{because(one.reason)}")


def check_in_words(check: str) -> str:
    """Return the name of a pre-execution check as words."""
    return escaped(one_line(check.replace("_", " ")), 200)


def _tickets(view: RequestView) -> Iterator[Block]:
    tickets = [*view.tickets, *(ticket for step in view.steps for ticket in step.tickets)]
    if tickets:
        yield section("\n".join(_ticket_line(ticket, view) for ticket in tickets[:10]))


def _ticket_line(ticket: TicketView, view: RequestView) -> str:
    """Return one ticket: its id with a link, its system, how it stands, what it says that the card does not."""
    if ticket.ticket_id is None:
        trouble = f": {escaped(one_line(ticket.last_error), 200)}" if ticket.last_error else ""
        return f":ticket: a ticket is being made ({escaped(ticket.system, 50)}){trouble}"
    told = ticket.summary or ""
    what = f" · {escaped(one_line(told), 150)}" if told and view.request_id not in told else ""
    status = escaped(ticket.status.replace("_", " "), 50)
    return f":ticket: ticket {link(ticket.url, ticket.ticket_id)} is {status}{what}"


def _result(view: RequestView) -> Iterator[Block]:
    if view.reason:
        yield section(f"*Reason*\n{escaped(view.reason, 1000)}")
    if view.status == "completed" and view.outputs:
        yield section("*Outputs*")
        yield from table(rows(outputs_of(view), OUTPUTS))
    if view.status == "completed" and view.completed_at:
        taken = duration((view.completed_at - view.created_at).total_seconds())
        yield context(f"Completed {moment(view.completed_at)}, after {taken}")


def outputs_of(view: RequestView) -> Mapping[str, Any]:
    """Return what a request gave, a bundle's by component and key."""
    outputs = view.outputs or {}
    return by_component(outputs) if view.components else outputs


def _aftermath(view: RequestView) -> Iterator[Block]:
    """Yield what a failed update or upgrade left: usable or not, worth repeating or not, the difference."""
    if told := aftermath_in_words(view):
        yield section(told)
    compared = [
        (name, f"asked: {shown(values.get('asked'), 150)}\nnow: {shown(values.get('actual'), 150)}")
        for name, values in list(view.comparison.items())[:COMPARED]
    ]
    if compared:
        yield section("*Asked, and as it is now*")
        yield from table(compared)


def aftermath_in_words(view: RequestView) -> str:
    """Return whether the service can be used, and the change repeated; empty where it is not known."""
    told = []
    if view.instance_usable is not None:
        told.append(
            ":large_green_circle: The service can be used."
            if view.instance_usable
            else ":red_circle: The service cannot be relied on now."
        )
    if view.update_repeatable is not None:
        told.append(
            "Repeating it may help."
            if view.update_repeatable
            else "Repeating it as it is will not help."
        )
    return " ".join(told)


def _step_buttons(view: RequestView) -> Iterator[Block]:
    """Yield what people can do about the first step that failed, or about what is done by hand."""
    if view.status not in {"failed", "in_progress"}:
        return
    failed = next((step for step in view.steps if step.status == "failed"), None)
    if failed is not None and view.status == "failed":
        value = f"{view.request_id} {failed.step_id}"
        yield button(f"Retry {failed.full_name}", RETRY, value)
        yield button(f"Resolve {failed.full_name}", RESOLVE, value)
        yield button(f"Skip {failed.full_name}", SKIP, value)
        yield button("Log", LOGS, value)
        return
    by_hand = [step for step in view.steps if step.type == MANUAL and step.status in UNDER_WAY]
    for at, step in enumerate(by_hand[:BUTTONS_FOR]):
        action_id = f"{RESOLVE}:{at}" if at else RESOLVE
        yield button(f"Resolve {step.full_name}", action_id, f"{view.request_id} {step.step_id}")
    if view.tickets and not view.steps:
        yield button("Resolve", RESOLVE, view.request_id, style="primary")
