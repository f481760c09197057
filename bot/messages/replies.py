"""A reply in a request's thread: what it says, and whom it is for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.messages.approvals import approvers_in_words
from bot.messages.blocks import Block, actions, section
from bot.messages.teams import Teams
from bot.messages.text import mention
from engine import Event, RequestView

ESCALATED: Final = 2
"""The reminder from which on the document's owners are told as well."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """A reply in the thread.

    `for_requester`: it mentions the person who asked for it. `approvers`: rules of those whom it
    mentions. `team`: one that it mentions. `buttons` stand below. `owners`: whether the team that
    owns the document hears it by direct message too.
    """

    markup: str
    for_requester: bool = False
    approvers: Sequence[Mapping[str, str]] = ()
    team: str | None = None
    buttons: Sequence[Block] = ()
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


def is_escalated(event: Event) -> bool:
    """Say whether a reminder is for the document's owners too."""
    times = event.data.get("times")
    return isinstance(times, int) and times >= ESCALATED
