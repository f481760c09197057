"""Approvals in words and buttons: on the card, in the thread, in lists.

A rule of a document names a user, a user group or a team. Where something is asked of people the
rule mentions them: a team by the user group of its name, where Slack has one.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bot.messages.blocks import Block, button, section
from bot.messages.teams import Teams
from bot.messages.text import authored, code, escaped, mention, moment, one_line
from engine import ApprovalView, Decision, RequestView

APPROVE: Final = "approval_approve"
REJECT: Final = "approval_reject"
BUTTONS_FOR: Final = 3
"""Approvals of one request that have buttons on its card."""

_STATES: Final[Mapping[str, str]] = {
    "approved": ":white_check_mark: Approved",
    "rejected": ":no_entry_sign: Rejected",
    "expired": ":hourglass: Nobody approved in time",
    "withdrawn": ":leftwards_arrow_with_hook: The approval is not needed any more",
}


def waiting(view: RequestView) -> list[ApprovalView]:
    """Return the approvals that are due."""
    return [one for one in view.approvals if one.status == "waiting"]


def approval_blocks(view: RequestView) -> Iterator[Block]:
    """Yield how each approval of a request stands, and who decided what."""
    for one in view.approvals[:5]:
        lines = [_standing(view, one), *(decision_line(made) for made in one.decisions[:10])]
        yield section("\n".join(lines))


def outcome(one: ApprovalView) -> str:
    """Return how an approval ended, and who decided."""
    told = [decision_line(made) for made in one.decisions[:10]]
    return "\n".join(
        told if one.status in {"approved", "rejected"} and told else [_STATES[one.status]]
    )


def approval_buttons(view: RequestView) -> Iterator[Block]:
    """Yield Approve and Reject of each approval that is due."""
    several = len(waiting(view)) > 1
    for at, one in enumerate(waiting(view)[:BUTTONS_FOR]):
        yield from decision_buttons(view.request_id, one.step, at=at, named=several)


def decision_buttons(
    request_id: str, step: str | None, *, at: int = 0, named: bool = False
) -> list[Block]:
    """Return Approve and Reject of one approval; `at` keeps the ids in one row apart."""
    value = f"{request_id} {step or ''}".strip()
    what = f" {step or 'request'}" if named else ""
    return [
        button(f"Approve{what}", f"{APPROVE}:{at}", value, style="primary"),
        button(f"Reject{what}", f"{REJECT}:{at}", value, style="danger"),
    ]


def approvers_in_words(rules: Sequence[Mapping[str, str]], teams: Teams | None = None) -> str:
    """Return who may approve; with `teams` so that they are mentioned."""
    told = [_rule(kind, name, teams) for rule in rules for kind, name in rule.items()]
    return ", ".join(told[:10]) + (f" and {len(told) - 10} more" if len(told) > 10 else "") or "–"


def decision_line(made: Decision) -> str:
    """Return one decision: who, how, why, when."""
    icon = ":white_check_mark:" if made.decision == "approved" else ":no_entry_sign:"
    who = mention(made.approver)
    if who == escaped(made.approver, 100) and made.name != made.approver:
        who = escaped(made.name, 100)
    how = by_command(made.source, made.acted_as)
    return f"{icon} {made.decision} by {who}{how}, {moment(made.decided_at)}{because(made.reason)}"


def by_command(source: str, acted_as: str | None) -> str:
    """Say of what the command line decided who sat before it; nothing of anything else."""
    if source != "cli":
        return ""
    return f" on the command line ({code(acted_as, 100)})" if acted_as else " on the command line"


def because(reason: Any) -> str:
    """Return a reason as the end of a sentence; nothing where none was given."""
    return f": {escaped(one_line(str(reason)), 500)}" if reason else ""


def _standing(view: RequestView, one: ApprovalView) -> str:
    step = next((found.name for found in view.steps if found.step_id == one.step), one.step)
    what = f" (step *{escaped(step, 200)}*)" if step else ""
    if one.component and not step:
        what = f" of *{escaped(one.component, 200)}*"
    if one.status != "waiting":
        return f"{_STATES[one.status]}{what}"
    until = f", until {moment(one.expires_at)}" if one.expires_at else ""
    said = f"\n{authored(one.message, 1000)}" if one.message else ""
    return (
        f":raised_hand: Waiting for approval{what} by {approvers_in_words(one.approvers)}: "
        f"{one.given} of {one.needed} given{until}{said}"
    )


def _rule(kind: str, name: str, teams: Teams | None) -> str:
    if kind == "user":
        return mention(name)
    if teams is not None:
        return teams.mention(name)
    return f"team *{escaped(name.removeprefix('@'), 100)}*"
