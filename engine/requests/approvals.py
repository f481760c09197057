"""Approvals: who must agree before a request goes on, pinned when it is asked for.

    waiting ──enough approve──> approved            the request goes on by itself
       ├──one rejects, with a reason──> rejected    the request is cancelled, the step fails
       ├──its time is over──> expired               the same
       └──the request ends or goes on otherwise──> withdrawn

A document asks by its `approval` section, of a bundle each enabled component as well (the same rule
once); a step of type `approval` asks while it waits. A condition that cannot be evaluated asks: it
must not be a way around. The requester may not approve unless the document says so, nor may
whoever changed the parameters that are to be approved.

Rules, people and times are kept with the approval: a later sync changes none that waits. Whoever
decides, expires or withdraws holds the request, so that the last of several goes on once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from engine.durations import parse_duration
from engine.errors import Conflict, TemplateError
from engine.events import NewEvent
from engine.people.permissions import Subject, group_name
from engine.requests.names import fixed_of, shown_names
from engine.requests.subject import COMPONENTS
from engine.store import approvals, events
from engine.store.approvals import ApprovalRow, NewApproval
from engine.store.claimed import ClaimedRequest
from engine.store.pool import Connection
from engine.store.requests import RequestRow
from engine.templates import Template, check_condition, check_template, evaluate, has_template

Teams = Mapping[str, Collection[str]]
"""Members of teams as the settings declare them."""

PARAMETERS: Final = "parameters"
"""The name by which a template looks at all fields."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who must approve: [{user | usergroup | team: name}], how many, within how many seconds."""

    approvers: tuple[Mapping[str, str], ...]
    count: int = 1
    expires: float | None = None
    self_approval: bool = False
    component: str | None = None

    @property
    def users(self) -> tuple[str, ...]:
        """The people named."""
        return tuple(one["user"] for one in self.approvers if "user" in one)

    @property
    def teams(self) -> tuple[str, ...]:
        """The teams and user groups named."""
        named = (one.get("usergroup") or one.get("team") for one in self.approvers)
        return tuple(group_name(name) for name in named if name)

    def in_words(self) -> str:
        """Say who must approve, as `2 approvals by U1 or @dba`."""
        return f"{_approvals(self.count)} by {whom(self.approvers)}"


def due(
    plan: Mapping[str, Any], request: ClaimedRequest, changed: Collection[str] | None = None
) -> list[Rule]:
    """Return the rules of the plan's documents that ask for an approval of the parameters.

    `changed`: only those whose condition reads one of these fields.
    """
    rules: list[Rule] = []
    for component, section in sections(plan):
        required = section.get("required", True)
        own = own_fields(plan, changed, component)
        if own is not None and not condition_reads(required, own):
            continue
        if _is_required(required, request, component):
            rule = rule_of(section, component)
            if not any(_same(rule, other) for other in rules):
                rules.append(rule)
    return rules


async def ask(
    connection: Connection,
    row: RequestRow,
    rule: Rule,
    *,
    key: str,
    step: tuple[UUID, str] | None = None,
    message: str | None = None,
    fields: Sequence[Mapping[str, Any]] = (),
    asked_by: str | None = None,
    resumption: Mapping[str, Any] | None = None,
) -> None:
    """Ask for an approval, once by its key. `step`: (id, step id) of the step that waits for it."""
    new = NewApproval(
        request_id=row.id,
        key=key,
        approvers=rule.approvers,
        users=rule.users,
        teams=rule.teams,
        needed=rule.count,
        expires=rule.expires,
        self_approval=rule.self_approval,
        step_id=step and step[0],
        component=rule.component,
        asked_by=asked_by,
        message=message,
        fields=fields,
        resumption=resumption,
    )
    asked = await approvals.ask(connection, new)
    if asked is None:
        return
    data = {
        "step": step and step[1],
        "needed": rule.count,
        "approvers": rule.approvers,
        "expires_at": asked.expires_at and asked.expires_at.isoformat(),
        "message": message,
    }
    await events.write(
        connection, NewEvent("approval.requested", row.id, step and step[0], data=data)
    )


async def refuse_impossible(
    connection: Connection, rule: Rule, teams: Teams, barred: Collection[str]
) -> None:
    """Raise Conflict where too few people are left who may approve.

    Teams that the settings do not declare may have members that nobody has met yet: they count as
    enough.
    """
    if any(team not in teams for team in rule.teams):
        return
    named = {*rule.users, *(member for team in rule.teams for member in teams[team])}
    known = await approvals.known_people(connection, users=list(named), teams=rule.teams)
    gone = {one.user_id for one in known if not one.is_active}
    able = (named | {one.user_id for one in known}) - gone
    if not rule.self_approval:
        able -= set(barred)
    if len(able) < rule.count:
        left = f"only {', '.join(sorted(able))} may" if able else "nobody who is named may"
        raise Conflict(
            "Nobody is left to approve this request" if not able else "Too few may approve this",
            f"it needs {rule.in_words()}, and {left} approve it"
            + ("" if rule.self_approval else "; the requester may not"),
            "Ask the owner of the catalog entry to name more approvers",
            code="nobody_to_approve",
        )


def sections(plan: Mapping[str, Any]) -> list[tuple[str | None, Mapping[str, Any]]]:
    """Return the approval sections of a plan: the document's own, then those of its components."""
    sections: list[tuple[str | None, Any]] = [(None, plan.get("approval"))]
    for name, component in (plan.get("components") or {}).items():
        if component.get("enabled", True):
            sections.append((name, component.get("approval")))
    return [(name, section) for name, section in sections if section]


def rule_of(section: Mapping[str, Any], component: str | None) -> Rule:
    """Return the rule of an `approval` section, or of an approval step's rendered template."""
    expires = section.get("expires")
    return Rule(
        approvers=tuple(section["approvers"]),
        count=int(section.get("count", 1)),
        expires=None if expires is None else parse_duration(expires),
        self_approval=bool(section.get("self_approval", False)),
        component=component,
    )


def own_fields(
    plan: Mapping[str, Any], changed: Collection[str] | None, component: str | None
) -> Collection[str] | None:
    """Return the changed fields as a component's templates name them.

    What the bundle fixes has changed where it is made of what did.
    """
    if changed is None or component is None:
        return changed
    prefix = f"{component}."
    own = {name.removeprefix(prefix) for name in changed if name.startswith(prefix)}
    fixed = fixed_of(plan, component)
    return own | {name for name in fixed if reads(fixed[name], {*changed, COMPONENTS})}


def subject_of(row: RequestRow, approval: ApprovalRow) -> Subject:
    """Return what the permission table needs to know of an approval."""
    return Subject(
        holder=row.requester_user_id,
        approver_users=frozenset(approval.approver_users),
        approver_teams=frozenset(approval.approver_teams),
        self_approval=approval.self_approval,
    )


def condition_reads(condition: Any, fields: Collection[str]) -> bool:
    """Say whether a condition reads one of the fields."""
    if not isinstance(condition, str):
        return False
    try:
        return _are_read(check_condition(condition), fields)
    except TemplateError:
        return bool(fields)


def reads(tree: Any, fields: Collection[str]) -> bool:
    """Say whether one of the texts in a tree reads one of the fields."""
    if isinstance(tree, str):
        try:
            return has_template(tree) and _are_read(check_template(tree), fields)
        except TemplateError:
            return bool(fields)
    inside = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list) else ()
    return any(reads(part, fields) for part in inside)


def whom(approvers: Sequence[Mapping[str, str]]) -> str:
    """Return the approvers as a phrase: `U1 or @dba or the team platform`."""
    return " or ".join(_one_of(one) for one in approvers)


def waits_for(rows: Sequence[ApprovalRow]) -> str | None:
    """Say what a request waits for: `1 approval by @dba`; None where it waits for none."""
    waiting = [row for row in rows if row.status == "waiting"]
    words = [f"{_approvals(row.needed - row.given)} by {whom(row.approvers)}" for row in waiting]
    return " and ".join(words) or None


def _same(one: Rule, other: Rule) -> bool:
    return (one.approvers, one.count, one.expires, one.self_approval) == (
        other.approvers,
        other.count,
        other.expires,
        other.self_approval,
    )


def _is_required(required: Any, request: ClaimedRequest, component: str | None) -> bool:
    if isinstance(required, bool):
        return required
    fixed = fixed_of(request.plan, component)
    late = {name for name in fixed if reads(fixed[name], {COMPONENTS})}
    try:
        is_required = evaluate(str(required), shown_names(request, component))
    except TemplateError:
        return True  # what cannot be judged is asked
    return is_required or condition_reads(required, late)


def _are_read(template: Template, fields: Collection[str]) -> bool:
    names = {str(reference.chain[0]) for reference in template.references}
    return bool(fields) and (PARAMETERS in names or not names.isdisjoint(fields))


def _approvals(count: int) -> str:
    return "1 approval" if count == 1 else f"{count} approvals"


def _one_of(approver: Mapping[str, str]) -> str:
    if "user" in approver:
        return approver["user"]
    if "usergroup" in approver:
        return "@" + group_name(approver["usergroup"])
    return f"the team {approver['team']}"
