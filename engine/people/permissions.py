"""THE table of who may do what, and the one place that reads it.

A person stands towards a thing (a document, a request, an instance, the system) in some relations;
an action is open to some relations. Who has none of them is refused. A deactivated person has no
relation to anything. The same table holds for Slack and for the command line.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from engine.errors import Forbidden, NotFound, PaoError, shortened
from engine.results import Actor


class Action(StrEnum):
    """What somebody may want to do; the values are the words of the audit log."""

    SEE_CATALOG_ENTRY = "catalog.see"
    REQUEST = "request.submit"
    SEE_REQUEST = "request.see"
    SEE_INSTANCE = "instance.see"
    SEE_SECRETS = "request.secrets"
    RETRY = "request.retry"
    RESUME = "request.resume"
    ABORT = "request.abort"
    CANCEL = "request.cancel"
    RESOLVE = "request.resolve"
    UPDATE = "instance.update"
    UPGRADE = "instance.upgrade"
    DECOMMISSION = "instance.decommission"
    APPROVE = "request.approve"
    REJECT = "request.reject"
    SKIP = "request.skip"
    SKIP_VERIFICATION = "request.skip_verification"
    SYNC = "catalog.sync"
    PAUSE = "engine.pause"
    AUDIT = "audit.see"
    EXPIRE_AUDIT = "audit.expire"
    ROTATE_KEYS = "keys.rotate"
    PARKED_EVENTS = "events.parked"
    STATS = "catalog.stats"


class Relation(StrEnum):
    """How a person stands towards a thing."""

    ANYBODY = "everybody"
    HOLDER = "the requester or owner"
    TEAM = "their team"
    DOCUMENT_OWNER = "the team that owns the document"
    APPROVER = "the approvers named"
    ADMIN = "admins"


_PARTIES: Final = frozenset(
    {Relation.HOLDER, Relation.TEAM, Relation.DOCUMENT_OWNER, Relation.ADMIN}
)
_ADMINS: Final = frozenset({Relation.ADMIN})

TABLE: Final[Mapping[Action, frozenset[Relation]]] = {
    Action.SEE_CATALOG_ENTRY: frozenset({Relation.ANYBODY}),
    Action.REQUEST: frozenset({Relation.ANYBODY}),
    Action.SEE_REQUEST: _PARTIES | {Relation.APPROVER},
    Action.SEE_INSTANCE: _PARTIES,
    Action.SEE_SECRETS: frozenset({Relation.HOLDER}),
    Action.RETRY: _PARTIES,
    Action.RESUME: _PARTIES,
    Action.ABORT: _PARTIES,
    Action.CANCEL: _PARTIES,
    Action.RESOLVE: _PARTIES,
    Action.UPDATE: _PARTIES,
    Action.UPGRADE: _PARTIES,
    Action.DECOMMISSION: _PARTIES,
    Action.APPROVE: frozenset({Relation.APPROVER}),
    Action.REJECT: frozenset({Relation.APPROVER}),
    Action.SKIP: _ADMINS,
    Action.SKIP_VERIFICATION: _ADMINS,
    Action.SYNC: _ADMINS,
    Action.PAUSE: _ADMINS,
    Action.AUDIT: _ADMINS,
    Action.EXPIRE_AUDIT: _ADMINS,
    Action.ROTATE_KEYS: _ADMINS,
    Action.PARKED_EVENTS: _ADMINS,
    Action.STATS: _ADMINS,
}


class Denied(Exception):
    """The table says no. The façade writes it to the audit log and raises `error` in its place."""

    def __init__(self, action: Action, target: str | None, error: PaoError) -> None:
        super().__init__(action, target)
        self.action = action
        self.target = target
        self.error = error


@dataclass(frozen=True, slots=True)
class Subject:
    """What the table needs to know of a thing.

    `access`: the groups that a document is limited to, None where it is open to everybody.
    """

    holder: str | None = None
    team: str | None = None
    document_owner: str | None = None
    access: frozenset[str] | None = None
    approver_users: frozenset[str] = frozenset()
    approver_teams: frozenset[str] = frozenset()
    self_approval: bool = False


SYSTEM: Final = Subject()
"""The subject of actions on the whole: sync, pause, audit, stats."""


def relations(actor: Actor, subject: Subject) -> frozenset[Relation]:
    """Return all relations of a person towards a thing."""
    if not actor.is_active:
        return frozenset()
    teams = frozenset(actor.teams)
    holds = {
        Relation.ANYBODY: subject.access is None or _may_use(actor, subject, teams),
        Relation.HOLDER: subject.holder == actor.user_id,
        Relation.TEAM: subject.team in teams,
        Relation.DOCUMENT_OWNER: subject.document_owner in teams,
        Relation.APPROVER: _approves(actor, subject, teams),
        Relation.ADMIN: actor.is_admin,
    }
    return frozenset(relation for relation, held in holds.items() if held)


def may(actor: Actor, action: Action, subject: Subject = SYSTEM) -> bool:
    """Say whether the table lets `actor` do `action` to `subject`."""
    return not TABLE[action].isdisjoint(relations(actor, subject))


def refusal(action: Action) -> Forbidden:
    """Return the error for an action on a thing that the person can see."""
    return Forbidden(
        "You may not do this",
        f"it is for {in_words(TABLE[action])}",
        "Ask one of them",
    )


def not_yours() -> Forbidden:
    """Return the error for a click on what everybody in a channel sees, and not everybody may use."""
    return refusal(Action.SEE_REQUEST)


def hidden(kind: str, name: str) -> NotFound:
    """Return the error for a thing that does not exist or may not be seen: alike on purpose."""
    return NotFound(
        f"{kind} {shortened(name)}: not found, or not yours",
        do="Check the id, or ask who requested it",
    )


def in_words(relations_: Collection[Relation]) -> str:
    """Return relations as a phrase, in the table's order."""
    return ", ".join(relation.value for relation in Relation if relation in relations_)


def document_subject(owner: str, access: Mapping[str, Any] | None) -> Subject:
    """Return the subject of a document with its owner team and `access` section."""
    if not access or not ("teams" in access or "usergroups" in access):
        return Subject(document_owner=owner)
    groups = (*(access.get("teams") or ()), *(access.get("usergroups") or ()))
    return Subject(document_owner=owner, access=frozenset(group_name(group) for group in groups))


def group_name(group: str) -> str:
    """Return a Slack user group's handle as a team's name."""
    return group.removeprefix("@")


def _may_use(actor: Actor, subject: Subject, teams: frozenset[str]) -> bool:
    return (
        actor.is_admin
        or subject.document_owner in teams
        or not teams.isdisjoint(subject.access or ())
    )


def _approves(actor: Actor, subject: Subject, teams: frozenset[str]) -> bool:
    if actor.user_id == subject.holder and not subject.self_approval:
        return False
    return actor.user_id in subject.approver_users or not teams.isdisjoint(subject.approver_teams)
