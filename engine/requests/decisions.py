"""Decisions: people approve or reject what waits for them, and time runs out.

Each is one transaction that holds the request: of two people who approve at the same moment one
comes second, and the last approval that was missing lets the request go on exactly once. Whoever
has decided decides no more; a second press is told so and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from engine.catalog.suggest import did_you_mean
from engine.catalog.values import check_values
from engine.errors import Conflict, Forbidden, InvalidInput, NotFound, quoted
from engine.events import EVENTS_CHANNEL, STEPS_CHANNEL, NewEvent
from engine.people.permissions import Action, Denied, may
from engine.redaction import Redactor
from engine.requests import approvals as rules
from engine.requests import begin, recovery
from engine.requests.approval_views import approval_view
from engine.requests.parameters import refuse, seal_outputs, surroundings
from engine.requests.sealed import redactor_of
from engine.requests.step_approvals import fields_of, outputs_of, secret_names
from engine.requests.views import find
from engine.results import Actor, ApprovalView
from engine.secrets import Cipher
from engine.store import approvals, audit, events, gates, requests, steps
from engine.store import secrets as stored_secrets
from engine.store.approvals import ApprovalRow
from engine.store.pool import Connection, Pool, retried_on_conflict, transaction
from engine.store.requests import RequestRow


async def approve(
    connection: Connection,
    cipher: Cipher,
    actor: Actor,
    request_id: str,
    *,
    step: str | None = None,
    reason: str | None = None,
    fields: Mapping[str, Any] | None = None,
    texts: frozenset[str] = frozenset(),
) -> UUID:
    """Approve what waits for the person: the document's approvals, else the one step's, or `step`'s.

    Raises Denied, Conflict (nothing waits, decided already), InvalidInput (which step, fields).
    """
    row, mine = await _due(connection, actor, request_id, step, Action.APPROVE)
    if reason:
        reason = (await redactor_of(connection, cipher, row)).text(reason)
    for approval in mine:
        filled = await _filled(connection, cipher, actor, approval, given=fields, texts=texts)
        given = await _decide(connection, actor, approval, "approved", reason=reason, fields=filled)
        data = {
            "step": approval.step,
            **_who(actor, reason),
            "given": given,
            "needed": approval.needed,
        }
        new = NewEvent("approval.given", row.id, approval.step_id, data=data)
        await events.write(connection, new)
        if given >= approval.needed:
            await approvals.end(connection, approval.id, "approved")
        await _audit(connection, actor, Action.APPROVE, row, approval, reason=reason)
    await _go_on(connection, row, mine)
    return row.id


async def reject(
    connection: Connection,
    cipher: Cipher,
    actor: Actor,
    request_id: str,
    *,
    step: str | None = None,
    reason: str,
) -> UUID:
    """Reject what waits for the person: a request is cancelled by it, a step fails."""
    if not (reason or "").strip():
        raise InvalidInput("A reason is needed to reject it", field="reason", code="required")
    row, mine = await _due(connection, actor, request_id, step, Action.REJECT)
    reason = (await redactor_of(connection, cipher, row)).text(reason)
    for approval in mine:
        await _decide(connection, actor, approval, "rejected", reason=reason)
        await approvals.end(connection, approval.id, "rejected")
        data = {"step": approval.step, **_who(actor, reason)}
        new = NewEvent("approval.rejected", row.id, approval.step_id, data=data)
        await events.write(connection, new)
        await _audit(connection, actor, Action.REJECT, row, approval, reason=reason)
    await _give_up(connection, row, mine, f"{actor.name} rejected it: {reason}")
    return row.id


async def to_decide(
    connection: Connection, actor: Actor, request_id: str, *, step: str | None = None
) -> ApprovalView:
    """Return the approval that the person may decide now; raises what `approve` would."""
    _, mine = await _due(connection, actor, request_id, step, Action.APPROVE)
    return approval_view(mine[0], ())


async def overdue(pool: Pool, request_id: UUID | None = None) -> list[UUID]:
    """Return the requests with approvals whose time is over: of all, or the one if it is."""
    async with transaction(pool) as connection:
        return await approvals.overdue(connection, request_id)


async def expire_overdue(pool: Pool, request_id: UUID) -> bool:
    """End the approvals of a request whose time is over; say whether there were any."""
    late = await overdue(pool, request_id)
    for id_ in late:
        await expire(pool, id_)
    return bool(late)


@retried_on_conflict
async def expire(pool: Pool, request_id: UUID) -> None:
    """End the approvals of a request whose time is over, and what that means for it."""
    async with transaction(pool) as connection:
        row = await begin.locked(connection, request_id)
        late = [a for a in await approvals.of_request(connection, row.id) if a.is_overdue]
        for approval in late:
            await approvals.end(connection, approval.id, "expired")
            new = NewEvent(
                "approval.expired", row.id, approval.step_id, data={"step": approval.step}
            )
            await events.write(connection, new)
        if late:
            await _give_up(connection, row, late, "Nobody approved it in time")


async def _due(
    connection: Connection, actor: Actor, request_id: str, step: str | None, action: Action
) -> tuple[RequestRow, list[ApprovalRow]]:
    """Return the request, held, and what waits in it for this person."""
    found = await find(connection, actor, request_id)
    row = await begin.locked(connection, found.id)
    all_of_it = await approvals.of_request(connection, row.id)
    meant = _meant(row, all_of_it, step)
    mine = [approval for approval in meant if _may_decide(actor, action, row, approval)]
    if not mine:
        raise Denied(action, row.request_id, _not_for(actor, row, meant))
    if action is Action.REJECT:
        return row, mine  # who has approved may still change their mind
    decided = {
        decision.approval_id
        for decision in await approvals.decisions_of(connection, row.id)
        if decision.user_id == actor.user_id
    }
    left = [approval for approval in mine if approval.id not in decided]
    if not left:
        raise _decided_already(row, mine)
    return row, left


def _meant(row: RequestRow, listed: Sequence[ApprovalRow], step: str | None) -> list[ApprovalRow]:
    """Return the waiting approvals that are meant: the request's own before those of its steps."""
    waiting = [one for one in listed if one.status == "waiting" and not one.is_overdue]
    if step is not None:
        named = [one for one in waiting if step in _names(one)]
        if named:
            return named
        known = [one.step for one in waiting if one.step]
        raise NotFound(
            f"The step {quoted(step)} waits for no approval.{did_you_mean(step, known)}",
            f"those that do: {', '.join(known) or 'none'}",
            code="not_waiting",
        )
    own = [one for one in waiting if one.step is None or one.resumption is not None]
    if own or len(waiting) == 1:
        return own or waiting
    if waiting:
        names = ", ".join(str(one.step) for one in waiting)
        raise InvalidInput("Say which step", f"these wait for approval: {names}", field="step")
    raise Conflict(
        f"Request {row.request_id} waits for no approval",
        _why_not_waiting(row, listed),
        "Nothing is to be decided now",
        request_id=row.request_id,
        code="not_waiting",
    )


def _names(approval: ApprovalRow) -> tuple[str, ...]:
    """Return what the approval's step is called: its id, and its name where that is shorter."""
    return () if approval.step is None else (approval.step, approval.step.rpartition("/")[2])


def _why_not_waiting(row: RequestRow, listed: Sequence[ApprovalRow]) -> str:
    if any(one.is_overdue for one in listed):
        return "its time is over"
    status = row.status.replace("_", " ")
    return f"it was {listed[-1].status}, and it is {status}" if listed else f"it is {status}"


def _may_decide(actor: Actor, action: Action, row: RequestRow, approval: ApprovalRow) -> bool:
    is_own = actor.user_id == approval.asked_by and not approval.self_approval
    return not is_own and may(actor, action, rules.subject_of(row, approval))


def _not_for(actor: Actor, row: RequestRow, meant: Sequence[ApprovalRow]) -> Forbidden:
    approvers = " or ".join(dict.fromkeys(rules.whom(one.approvers) for one in meant))
    is_own = actor.user_id in {row.requester_user_id, *(one.asked_by for one in meant)}
    return Forbidden(
        "You may not approve or reject this",
        f"it is for {approvers}" + (", and not for who asked for it" if is_own else ""),
        "Ask one of them",
    )


def _decided_already(row: RequestRow, mine: Sequence[ApprovalRow]) -> Conflict:
    given = ", ".join(f"{one.given} of {one.needed} approvals are given" for one in mine)
    return Conflict(
        f"You have approved request {row.request_id} already",
        given,
        "Wait for the others",
        request_id=row.request_id,
        code="already_approved",
    )


async def _filled(
    connection: Connection,
    cipher: Cipher,
    actor: Actor,
    approval: ApprovalRow,
    *,
    given: Mapping[str, Any] | None,
    texts: frozenset[str],
) -> Mapping[str, Any] | None:
    """Judge what an approver filled in and seal its secrets; InvalidInput, by field.

    A second approver who fills in nothing agrees with what the first one gave.
    """
    if not given and approval.given:
        return None
    fields = fields_of(approval.fields)
    if not fields and not given:
        return None
    checked = check_values(fields, given or {}, texts=texts, around=surroundings(actor, None))
    refuse(checked.errors)
    if approval.step_id is None:
        return None
    sealed, new = seal_outputs(
        checked.values,
        cipher,
        approval.step_id,
        Redactor(),
        secret_names(fields),
    )
    await stored_secrets.insert(connection, new)
    return {**dict.fromkeys(field.name for field in fields), **sealed}


async def _decide(
    connection: Connection,
    actor: Actor,
    approval: ApprovalRow,
    decision: Any,
    *,
    reason: str | None,
    fields: Mapping[str, Any] | None = None,
) -> int:
    """Keep a decision; return how many have approved now."""
    await approvals.decide(
        connection,
        approval.id,
        user_id=actor.user_id,
        name=actor.name,
        decision=decision,
        reason=reason,
        fields=fields,
        source=actor.source,
        decided_by=actor.audit_name or actor.user_id,
    )
    return approval.given + 1


def _who(actor: Actor, reason: str | None) -> dict[str, Any]:
    return {
        "by": actor.user_id,
        "name": actor.name,
        "acted_as": actor.audit_name or actor.user_id,
        "source": actor.source,
        "reason": reason,
    }


async def _go_on(connection: Connection, row: RequestRow, decided: Sequence[ApprovalRow]) -> None:
    """Let go on what waited for nothing else."""
    now = {one.id: one for one in await approvals.of_request(connection, row.id)}
    for before in decided:
        if before.step_id is not None and now[before.id].status == "approved":
            await approvals.wake_step(connection, before.step_id)
    waits = any(
        one.status == "waiting" and (one.step_id is None or one.resumption is not None)
        for one in now.values()
    )
    if not waits:
        resumption = next((one.resumption for one in decided if one.resumption), None)
        if row.status == "submitted":
            await begin.approved(connection, row)
        elif row.status == "failed" and resumption is not None:
            await _answer_again(connection, row, now.values(), resumption)
            await recovery.go_on_as_approved(connection, row, resumption)
    await requests.wake(connection, STEPS_CHANNEL)
    await requests.wake(connection, EVENTS_CHANNEL)


async def _answer_again(
    connection: Connection,
    row: RequestRow,
    listed: Any,
    resumption: Mapping[str, Any],
) -> None:
    """Give approval steps that were asked again the answers of this time."""
    decisions = await approvals.decisions_of(connection, row.id)
    for approval in listed:
        if approval.step_id is None or approval.resumption != resumption:
            continue
        own = [
            {"user_id": one.user_id, "decision": one.decision, "fields": one.fields}
            for one in decisions
            if one.approval_id == approval.id
        ]
        await approvals.set_step_outputs(connection, approval.step_id, outputs_of(own))


async def _give_up(
    connection: Connection, row: RequestRow, ended: Sequence[ApprovalRow], reason: str
) -> None:
    """Cancel a request that is not approved; changes that are not are dropped; a step fails itself."""
    for approval in ended:
        if approval.step_id is not None and approval.resumption is None:
            await approvals.wake_step(connection, approval.step_id)
    if any(one.resumption is not None for one in ended):
        await approvals.withdraw(connection, row.id, resumptions_only=True)
    if row.status == "submitted":
        await approvals.withdraw(connection, row.id)
        await steps.cancel_steps(connection, row.id, skip_reason="aborted", error_type="aborted")
        await gates.clear(connection, row.id)
        await requests.set_reason(connection, row.id, reason)
        await requests.change_status(connection, row.id, "cancelled")
    await requests.wake(connection, STEPS_CHANNEL)
    await requests.wake(connection, EVENTS_CHANNEL)


async def _audit(
    connection: Connection,
    actor: Actor,
    action: Action,
    row: RequestRow,
    approval: ApprovalRow,
    *,
    reason: str | None,
) -> None:
    await audit.write(
        connection,
        actor.audit_name or actor.user_id,
        action.value,
        f"{row.request_id}/{approval.step}" if approval.step else row.request_id,
        before={"status": row.status},
        reason=reason,
    )
