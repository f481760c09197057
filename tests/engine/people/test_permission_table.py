"""The whole table of who may do what, cell by cell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine import Actor
from engine.people.permissions import (
    SYSTEM,
    TABLE,
    Action,
    Relation,
    Subject,
    document_subject,
    may,
    relations,
)

REQUESTER = Actor("U1", "Requester", teams=("payments",))
TEAMMATE = Actor("U2", "Teammate", teams=("payments",))
DOCUMENT_OWNER = Actor("U3", "Owner", teams=("platform",))
APPROVER = Actor("U4", "Approver", teams=("security",))
NAMED_APPROVER = Actor("U5", "Named approver")
STRANGER = Actor("U6", "Stranger", teams=("others",))
ADMIN = Actor("U7", "Admin", is_admin=True)
EVERYBODY = {
    "requester": REQUESTER,
    "teammate": TEAMMATE,
    "document owner": DOCUMENT_OWNER,
    "approver by team": APPROVER,
    "approver by name": NAMED_APPROVER,
    "stranger": STRANGER,
    "admin": ADMIN,
}
THING = Subject(
    holder="U1",
    team="payments",
    document_owner="platform",
    approver_users=frozenset({"U5", "U1"}),
    approver_teams=frozenset({"security"}),
)
PARTIES = {"requester", "teammate", "document owner", "admin"}
APPROVERS = {"approver by team", "approver by name"}
ALL = set(EVERYBODY)

EXPECTED = {
    Action.SEE_CATALOG_ENTRY: ALL,
    Action.REQUEST: ALL,
    Action.SEE_REQUEST: PARTIES | APPROVERS,
    Action.SEE_INSTANCE: PARTIES,
    Action.SEE_SECRETS: {"requester"},
    Action.RETRY: PARTIES,
    Action.RESUME: PARTIES,
    Action.ABORT: PARTIES,
    Action.CANCEL: PARTIES,
    Action.RESOLVE: PARTIES,
    Action.UPDATE: PARTIES,
    Action.UPGRADE: PARTIES,
    Action.DECOMMISSION: PARTIES,
    Action.APPROVE: APPROVERS,
    Action.REJECT: APPROVERS,
    Action.SKIP: {"admin"},
    Action.SKIP_VERIFICATION: {"admin"},
    Action.SYNC: {"admin"},
    Action.PAUSE: {"admin"},
    Action.AUDIT: {"admin"},
    Action.EXPIRE_AUDIT: {"admin"},
    Action.ROTATE_KEYS: {"admin"},
    Action.PARKED_EVENTS: {"admin"},
    Action.STATS: {"admin"},
}


def test_every_action_stands_in_the_table_and_in_this_test() -> None:
    assert set(TABLE) == set(Action) == set(EXPECTED)


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize("action", Action)
def test_the_table(action: Action, who: str) -> None:
    assert may(EVERYBODY[who], action, THING) == (who in EXPECTED[action])


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize("action", Action)
def test_somebody_deactivated_may_nothing(action: Action, who: str) -> None:
    assert not may(replace(EVERYBODY[who], is_active=False), action, THING)


def test_the_requester_approves_only_where_the_document_says_so() -> None:
    assert not may(REQUESTER, Action.APPROVE, THING)
    assert may(REQUESTER, Action.APPROVE, replace(THING, self_approval=True))


def test_without_a_subject_only_admins_have_a_relation() -> None:
    assert relations(STRANGER, SYSTEM) == {Relation.ANYBODY}
    assert Relation.ADMIN in relations(ADMIN, SYSTEM)


@pytest.mark.parametrize(
    ("access", "allowed"),
    [
        (None, ALL),
        ({}, ALL),
        ({"limits": [{"teams": ["others"]}]}, ALL),
        ({"teams": ["payments"]}, {"requester", "teammate", "document owner", "admin"}),
        ({"usergroups": ["@security"]}, {"approver by team", "document owner", "admin"}),
        ({"teams": []}, {"document owner", "admin"}),
    ],
)
def test_access_narrows_who_sees_a_document(access: object, allowed: set[str]) -> None:
    subject = document_subject("platform", access)  # type: ignore[arg-type]
    for action in (Action.SEE_CATALOG_ENTRY, Action.REQUEST):
        assert {who for who, actor in EVERYBODY.items() if may(actor, action, subject)} == allowed
