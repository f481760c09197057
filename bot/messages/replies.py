"""A reply in a request's thread: what it says, and whom it is for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.messages.approvals import approvers_in_words
from bot.messages.blocks import Block, actions, button, section
from bot.messages.card import STATUS
from bot.messages.directs import Asks, Direct
from bot.messages.teams import Teams
from bot.messages.text import code, is_slack_user, mention
from engine import Event, RequestView

ESCALATED: Final = 2
"""The reminder from which on the document's owners are told as well."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """A reply in the thread.

    `for_requester`: it mentions the person who asked for it. `approvers`: rules of those whom it
    mentions. `team`: one that it mentions. `buttons` stand below, those of an approval (`asks`) until
    it is decided. `owners`: whether the team that owns the document hears it by direct message too.
    """

    markup: str
    for_requester: bool = False
    approvers: Sequence[Mapping[str, str]] = ()
    team: str | None = None
    buttons: Sequence[Block] = ()
    asks: Asks | None = None
    owners: bool = False


def markup_for(told: Milestone, view: RequestView, teams: Teams | None = None) -> str:
    """Return the reply's text, with the mention of those whom it is for in front."""
    known = teams or Teams()
    called = [
        *([mention(view.requester)] if told.for_requester else ()),
        *([approvers_in_words(told.approvers, known)] if told.approvers else ()),
        *([known.mention(told.team)] if told.team else ()),
    ]
    return " ".join((*called, told.markup))


def blocks_for(told: Milestone, view: RequestView, teams: Teams | None = None) -> list[Block]:
    """Return the reply's blocks."""
    return [section(markup_for(told, view, teams)), *actions(*told.buttons)]


def letters(told: Milestone, view: RequestView, teams: Teams, *, is_seen: bool) -> Iterator[Direct]:
    """Yield what a reply says to people by direct message.

    Those are the document's owners, where the matter has waited long, and whoever is called where
    they cannot see the thread (`is_seen` false): it is in a direct message, or there is none.
    """
    owners = teams.people(view.owner) if told.owners and view.owner else []
    called = [one for rule in told.approvers for one in _named(rule, teams)]
    called += teams.people(told.team) if told.team else []
    if is_seen:
        called = []
    markup = f"{code(view.request_id)}: {told.markup}"
    buttons = (*(() if is_seen else told.buttons), button("Status", STATUS, view.request_id))
    for one in dict.fromkeys((*called, *owners)):
        asks = None if is_seen else told.asks
        yield Direct(one, markup, [section(markup), *actions(*buttons)], asks)


def _named(rule: Mapping[str, str], teams: Teams) -> list[str]:
    """Return the people whom a rule of an approval means."""
    user = rule.get("user")
    if user is not None:
        return [user] if is_slack_user(user) else []
    return teams.people(rule.get("usergroup") or rule.get("team") or "")


def is_escalated(event: Event) -> bool:
    """Say whether a reminder is for the document's owners too."""
    times = event.data.get("times")
    return isinstance(times, int) and times >= ESCALATED
