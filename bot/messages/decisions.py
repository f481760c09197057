"""What a thread is told of an approval, from the question to the decision."""

from collections.abc import Mapping, Sequence

from bot.messages.approvals import because, by_command, decision_buttons, outcome
from bot.messages.blocks import Block, actions, button, context, section
from bot.messages.card import STATUS
from bot.messages.directs import Asks
from bot.messages.replies import Milestone, is_escalated
from bot.messages.text import authored, escaped, is_slack_user, mention, moment, one_line
from engine import ApprovalView, Event, Question, RequestView


def requested(event: Event, view: RequestView) -> Milestone:
    """Ask those who may approve, with the buttons."""
    needed = event.data.get("needed") or 1
    many = f" It takes {needed} of you." if isinstance(needed, int) and needed > 1 else ""
    found = _approval(event, view)
    until = f" until {moment(found.expires_at)}" if found and found.expires_at else ""
    message = str(event.data.get("message") or (found and found.message) or "")
    said = f"\n{authored(message, 1500)}" if message else ""
    return Milestone(
        f":raised_hand: {_what_for(event, view)} asks for your approval{until}.{many}{said}",
        approvers=_approvers(event, found),
        buttons=_decision(event, view, found),
        asks=Asks(event.data.get("step")) if _is_due(found) else None,
    )


def reminded(event: Event, view: RequestView) -> Milestone | None:
    """Ask again, unless it has been decided meanwhile."""
    found = _approval(event, view)
    if not _is_due(found):
        return None
    until = f" It ends {moment(found.expires_at)}." if found and found.expires_at else ""
    return Milestone(
        f":bell: {_what_for(event, view)} still waits for your approval.{until}",
        approvers=_approvers(event, found),
        buttons=_decision(event, view, found),
        asks=Asks(event.data.get("step")) if _is_due(found) else None,
        owners=is_escalated(event),
    )


def given(event: Event, view: RequestView) -> Milestone:
    """Tell who approved, and how many are still to come."""
    given, needed = event.data.get("given"), event.data.get("needed")
    far = f" ({given} of {needed})" if isinstance(needed, int) and needed > 1 else ""
    return Milestone(
        f":white_check_mark: {_decider(event)} approved{_of_step(event, view)}{far}"
        f"{because(event.data.get('reason'))}."
    )


def rejected(event: Event, view: RequestView) -> Milestone:
    """Tell the requester who refused, and why."""
    return Milestone(
        f":no_entry_sign: {_decider(event)} rejected{_of_step(event, view) or ' this'}"
        f"{because(event.data.get('reason'))}.",
        for_requester=True,
    )


def expired(event: Event, view: RequestView) -> Milestone:
    """Tell the requester that nobody decided, and how to ask again."""
    again = f"`/pao clone {escaped(view.request_id, 100)}` asks for the same again."
    return Milestone(
        f":hourglass: Nobody approved{_of_step(event, view) or ' this'} in time. {again}",
        for_requester=True,
    )


def answered(question: Question, view: RequestView) -> list[Block] | None:
    """Return what a question shows once it is decided, in place of its buttons; None while it waits."""
    found = _latest(view, question.step)
    if found is not None and found.status == "waiting":
        return None
    told = outcome(found) if found else "It is not asked any more."
    status = actions(button("Status", STATUS, view.request_id)) if question.is_direct else ()
    return [section(question.markup), context(told), *status]


def _approval(event: Event, view: RequestView) -> ApprovalView | None:
    return _latest(view, event.data.get("step"))


def _latest(view: RequestView, step: str | None) -> ApprovalView | None:
    """Return the approval of a step (None: of the request) that is due, else the last that was."""
    asked = [one for one in view.approvals if one.step == step]
    due = (one for one in asked if one.status == "waiting")
    return next(due, asked[-1] if asked else None)


def _approvers(event: Event, found: ApprovalView | None) -> Sequence[Mapping[str, str]]:
    named = event.data.get("approvers") or (found.approvers if found else ())
    return [rule for rule in named if isinstance(rule, Mapping)]


def _decision(event: Event, view: RequestView, found: ApprovalView | None) -> Sequence[Block]:
    """Return the buttons, unless it has been decided meanwhile."""
    return decision_buttons(view.request_id, event.data.get("step")) if _is_due(found) else ()


def _is_due(found: ApprovalView | None) -> bool:
    return found is None or found.status == "waiting"


def _decider(event: Event) -> str:
    """Return who decided; an approval of the command line says so."""
    data = event.data
    by = str(data.get("by") or "somebody")
    who = mention(by) if is_slack_user(by) else escaped(str(data.get("name") or by), 100)
    return f"{who}{by_command(str(data.get('source')), data.get('acted_as'))}"


def _what_for(event: Event, view: RequestView) -> str:
    title = f"*{escaped(one_line(view.title), 200)}* of {mention(view.requester)}"
    step = _of_step(event, view)
    return f"The{step} of {title}" if step else title


def _of_step(event: Event, view: RequestView) -> str:
    """Return " step *name*" for the approval of a step, nothing for the request's own."""
    wanted = event.data.get("step")
    if not wanted:
        return ""
    named = next((step.full_name for step in view.steps if step.step_id == wanted), str(wanted))
    return f" step *{escaped(named, 200)}*"
