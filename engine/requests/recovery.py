"""Recovery: what people do with a request that failed.

    failed ──retry, resume──> resuming ──> in_progress      steps pending again, in a new group
    failed ──the same, of which no step ever began──> resuming: its checks run again first
    failed ──the same, with changes that must be approved──> failed, until they are
    failed ──resolve, skip──> resuming ──> in_progress      the step completed or skipped by hand
    failed ──resolve of one of several──> failed            nothing can run yet

Each verb is one transaction: the request is locked, then its steps by position, then everything is
read again and judged. A worker that claims at the same moment comes before or after.

A new attempt group gives the step a fresh budget; numbers of attempts go on counting. The ticket of
a step that is retried or skipped is commented and closed. Whatever makes the request go on takes
back changes that still wait for approval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final
from uuid import UUID

from engine.catalog.suggest import did_you_mean
from engine.catalog.values import FieldError
from engine.errors import Conflict, ConstraintViolated, InvalidInput, NotFound, quoted
from engine.events import EVENTS_CHANNEL, NewEvent
from engine.people.permissions import Action, Denied, may, refusal
from engine.requests import approvals as rules
from engine.requests import begin, windows
from engine.requests.acting import audited, held, wrong_status
from engine.requests.approvals import Rule
from engine.requests.changes import Changed, Changes, judge_changes
from engine.requests.judging import Intake
from engine.requests.manual import complete_manual_step, waits_for_people
from engine.requests.names import template_names
from engine.requests.parameters import refuse, seal_outputs, with_dots
from engine.requests.sealed import redactor_of
from engine.requests.tickets import drop_tickets
from engine.requests.views import declared_outputs
from engine.results import Actor
from engine.secrets import Cipher
from engine.store import approvals, events, execution, outbox, requests
from engine.store import secrets as stored_secrets
from engine.store.pool import Connection
from engine.store.requests import RequestRow, StepRow
from engine.templates import render

APPROVAL: Final = "approval"
"""The type of steps that wait for people's approval."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """How a failed request goes on: from all failed steps, or from one, with these parameters.

    `parameters` None: as they are. `timeout` in seconds, None: the plan's.
    """

    step: str | None = None
    parameters: Mapping[str, Any] | None = None
    skip_verification: bool = False
    timeout: float | None = None


async def resume(
    connection: Connection, intake: Intake, actor: Actor, request_id: str, changes: Changes
) -> UUID:
    """Go on from the failed steps, all of them, optionally with changed parameters."""
    row = await _resumable(connection, actor, request_id, Action.RESUME)
    return await _continue(connection, intake, actor, row, changes, action=Action.RESUME)


async def retry(
    connection: Connection,
    intake: Intake,
    actor: Actor,
    request_id: str,
    *,
    step: str,
    changes: Changes,
) -> UUID:
    """Try one failed step again, with a fresh budget."""
    row = await _resumable(connection, actor, request_id, Action.RETRY)
    failed = await _failed_step(connection, row, step)
    return await _continue(
        connection, intake, actor, row, changes, action=Action.RETRY, step=failed.step_id
    )


async def go_on_as_approved(
    connection: Connection, row: RequestRow, resumption: Mapping[str, Any]
) -> None:
    """Go on with a request whose changes were approved, unless it was overtaken meanwhile."""
    try:
        async with connection.transaction():
            await _carry_on(connection, row, Resumption(**resumption))
    except Conflict as refused:
        await requests.set_reason(connection, row.id, str(refused))


async def skip(
    connection: Connection, cipher: Cipher, actor: Actor, request_id: str, *, step: str, reason: str
) -> UUID:
    """Leave a failed step out; its dependents go on and see None."""
    row = await _resumable(connection, actor, request_id, Action.SKIP)
    if not reason.strip():
        raise InvalidInput("A reason is needed to skip a step", field="reason", code="required")
    failed = await _failed_step(connection, row, step)
    reason = (await redactor_of(connection, cipher, row)).text(reason)
    await _drop_step_tickets(connection, row, [failed])
    await execution.close_step(connection, row.id, failed.step_id, skipped=True, reason=reason)
    await _go_on_if_possible(connection, row)
    await audited(connection, actor, Action.SKIP, row, step=failed.step_id, reason=reason)
    return row.id


async def resolve(
    connection: Connection,
    cipher: Cipher,
    actor: Actor,
    request_id: str,
    *,
    step: str | None = None,
    outputs: Mapping[str, Any] | None = None,
) -> UUID:
    """Say that a failed step, or the work of a manual-only request, was done by hand."""
    row = await held(connection, actor, request_id, Action.RESOLVE)
    if step is None and await _is_manual_only(connection, row):
        await complete_manual_request(connection, row)
        await audited(connection, actor, Action.RESOLVE, row)
        return row.id
    waiting = await _step_of_people(connection, row, step)
    if waiting is None:
        _require_resumable(row)
    meant = waiting or await _failed_step(connection, row, step)
    redactor = await redactor_of(connection, cipher, row)
    sealed, new = seal_outputs(outputs or {}, cipher, meant.id, redactor)
    await stored_secrets.insert(connection, new)
    if waiting is None:
        await resolve_step(connection, row, meant, sealed)
    else:
        await complete_manual_step(connection, row.id, waiting, sealed)
    await audited(connection, actor, Action.RESOLVE, row, step=meant.step_id)
    return row.id


async def resolve_step(
    connection: Connection, row: RequestRow, failed: StepRow, outputs: Mapping[str, Any]
) -> None:
    """Complete a failed step of a failed request by hand; InvalidInput for missing outputs."""
    declared = declared_outputs(failed.step_config)
    refuse(
        [
            FieldError(name, "This output is needed here.", "required")
            for name in declared
            if name not in outputs or outputs[name] is None
        ]
        + [
            FieldError(
                name,
                f"The step has no output {quoted(name)}.{did_you_mean(name, declared)}",
                "unknown_output",
            )
            for name in outputs
            if declared and name not in declared
        ]
    )
    await _resolve_tickets(connection, row.id, failed.id)
    await execution.close_step(connection, row.id, failed.step_id, outputs=outputs)
    await _go_on_if_possible(connection, row)


async def complete_manual_request(connection: Connection, row: RequestRow) -> None:
    """Complete a request of which everything is done by hand."""
    await _resolve_tickets(connection, row.id, None)
    await outbox.cancel(connection, row.id)
    await execution.end(connection, [row.id])
    await requests.wake(connection, EVENTS_CHANNEL)


async def locked_row(connection: Connection, request_id: UUID) -> RequestRow | None:
    """Lock a request and its steps, in this order; return it as it stands then."""
    await requests.lock_request(connection, request_id)
    await execution.lock_steps(connection, request_id)
    return await requests.request_row(connection, request_id)


async def _resumable(
    connection: Connection, actor: Actor, request_id: str, action: Action
) -> RequestRow:
    row = await held(connection, actor, request_id, action)
    _require_resumable(row)
    return row


def _require_resumable(row: RequestRow) -> None:
    if row.status != "failed":
        raise wrong_status(row, "resumed", "Only a failed one can be")
    if row.overtaken:
        raise _overtaken(row)


def _overtaken(row: RequestRow) -> Conflict:
    return Conflict(
        f"Request {row.request_id} cannot be resumed",
        "another request was made for the instance since",
        "Look at the newer request",
        request_id=row.request_id,
        code="overtaken",
    )


async def _continue(
    connection: Connection,
    intake: Intake,
    actor: Actor,
    row: RequestRow,
    changes: Changes,
    *,
    action: Action,
    step: str | None = None,
) -> UUID:
    """Go on from the failed steps, or ask for approval of the changes first."""
    if changes.skip_verification and not may(actor, Action.SKIP_VERIFICATION):
        raise Denied(Action.SKIP_VERIFICATION, row.request_id, refusal(Action.SKIP_VERIFICATION))
    changed = await judge_changes(connection, intake, actor, row, changes)
    resumption = Resumption(
        step,
        None if changed is None else changed.parameters,
        changes.skip_verification,
        changes.sequence_timeout,
    )
    waits = changed is not None and await _ask_again(
        connection, intake, actor, row, changed=changed, resumption=resumption
    )
    if not waits:
        await _carry_on(connection, row, resumption)
    await audited(connection, actor, action, row, step=step)
    return row.id


async def _ask_again(
    connection: Connection,
    intake: Intake,
    actor: Actor,
    row: RequestRow,
    *,
    changed: Changed,
    resumption: Resumption,
) -> bool:
    """Ask for the approvals that read a changed field once more; say whether there are any."""
    await approvals.withdraw(connection, row.id, resumptions_only=True)
    request = (await execution.requests_of(connection, [row.id]))[row.id]
    request = replace(request, parameters=changed.parameters)
    asked: list[tuple[Rule, StepRow | None, Mapping[str, Any]]] = [
        (rule, None, {}) for rule in rules.due(row.plan, request, changed.names)
    ]
    for step in await requests.steps_of(connection, row.id):
        own = rules.own_fields(changed.names, step.component) or ()
        template = step.step_config.get("template") or {}
        if step.step_type == APPROVAL and step.status == "completed" and rules.reads(template, own):
            rendered = render(template, with_dots(template_names(request, step.component)))
            asked.append((rules.rule_of(rendered, step.component), step, rendered))
    number = await approvals.count(connection, row.id)
    for rule, asking, rendered in asked:
        barred = [row.requester_user_id, actor.user_id]
        await rules.refuse_impossible(connection, rule, intake.config.teams, barred)
        number += 1
        await rules.ask(
            connection,
            row,
            rule,
            key=f"{row.id}:again:{number}",
            step=None if asking is None else (asking.id, asking.step_id),
            message=rendered.get("message") or changed.told,
            fields=rendered.get("fields") or (),
            asked_by=actor.user_id,
            resumption=asdict(resumption),
        )
    return bool(asked)


async def _carry_on(connection: Connection, row: RequestRow, how: Resumption) -> None:
    """Make the failed steps pending again, and let the request go on."""
    if how.parameters is not None:
        await execution.set_parameters(connection, row.id, how.parameters)
        before, row = row, await begin.locked(connection, row.id)
        if before.parameters.get(windows.PARAMETER) != row.parameters.get(windows.PARAMETER):
            row = await begin.keep_window(connection, row, is_changed=True)
    steps = await requests.steps_of(connection, row.id)
    meant = [step for step in steps if how.step in (None, step.step_id)]
    await _drop_step_tickets(connection, row, meant)
    await execution.reset_steps(
        connection,
        row.id,
        step=how.step,
        skip_verification=how.skip_verification,
        from_first=how.step is None and _was_rolled_back(steps),
    )
    await _go_on(connection, row, None if how.timeout is None else float(how.timeout))


async def _failed_step(connection: Connection, row: RequestRow, step: str | None) -> StepRow:
    """Return the failed step that is meant; the only one where none is named."""
    steps = [s for s in await requests.steps_of(connection, row.id) if s.section == "automation"]
    failed = [s for s in steps if s.status == "failed"]
    if step is None:
        if len(failed) == 1:
            return failed[0]
        names = ", ".join(s.step_id for s in failed) or "none"
        raise InvalidInput("Say which step", f"failed are: {names}", field="step")
    named = [s for s in steps if s.step_id == step] or [s for s in steps if s.step_name == step]
    meant = [s for s in named if s.status == "failed"]
    if len(meant) == 1:
        return meant[0]
    if meant:
        names = ", ".join(s.step_id for s in meant)
        raise InvalidInput("Say which step", f"several are called so: {names}", field="step")
    if named:
        raise Conflict(
            f"The step {step} has not failed",
            f"it is {named[0].status}",
            request_id=row.request_id,
            code="step_not_failed",
        )
    known = [s.step_id for s in steps]
    raise NotFound(
        f"There is no step {quoted(step)}.{did_you_mean(step, known)}",
        f"the steps are {', '.join(known) or 'none'}",
        code="unknown_step",
    )


async def _go_on_if_possible(connection: Connection, row: RequestRow) -> None:
    """Let the request go on, unless other failed steps hold up everything that is left."""
    steps = [s for s in await requests.steps_of(connection, row.id) if s.section == "automation"]
    is_stuck = any(s.status == "failed" for s in steps) and not any(
        s.status == "pending" for s in steps
    )
    if not is_stuck:
        await _go_on(connection, row, None)


async def _go_on(connection: Connection, row: RequestRow, seconds: float | None) -> None:
    """Take a failed request through resuming to in_progress; its checks first if nothing began."""
    await approvals.withdraw(connection, row.id, resumptions_only=True)
    await execution.reset_rollback(connection, row.id)
    try:
        await requests.change_status(connection, row.id, "resuming")
    except ConstraintViolated as error:
        if error.constraint in ("check_resume_not_overtaken", "uq_service_requests_active_subject"):
            raise _overtaken(row) from error
        raise
    if row.touched:
        await begin.start(connection, row, seconds)
    else:
        await begin.check_and_start(connection, row, seconds)


async def _drop_step_tickets(connection: Connection, row: RequestRow, steps: list[StepRow]) -> None:
    for step in steps:
        if step.status == "failed":
            await drop_tickets(
                connection,
                row.id,
                f"The step {step.step_name} of request {row.request_id} goes on without this.",
                step_id=step.id,
                of_step=True,
            )


async def _resolve_tickets(connection: Connection, request_id: UUID, step_id: UUID | None) -> None:
    """Mark the tickets of a step, or of the request itself, as resolved."""
    if step_id is not None:
        await outbox.cancel(connection, request_id, step_id)
    for ticket in await outbox.open_tickets(connection, request_id, step_id=step_id, of_step=True):
        if step_id is None and ticket.type != "fulfillment":
            continue
        await outbox.update_ticket(connection, ticket.id, "resolved")
        await events.write(
            connection,
            NewEvent("ticket.resolved", request_id, step_id, data={"ticket_id": ticket.ticket_id}),
        )


async def _step_of_people(
    connection: Connection, row: RequestRow, step: str | None
) -> StepRow | None:
    """Return the step that waits for a person and is meant: the one named, or the only one."""
    if row.status != "in_progress":
        return None
    waiting = [s for s in await requests.steps_of(connection, row.id) if waits_for_people(s)]
    named = [s for s in waiting if step in (None, s.step_id)] or [
        s for s in waiting if s.step_name == step
    ]
    return named[0] if len(named) == 1 else None


async def _is_manual_only(connection: Connection, row: RequestRow) -> bool:
    return row.status == "in_progress" and not await requests.steps_of(connection, row.id)


def _was_rolled_back(steps: Sequence[StepRow]) -> bool:
    return any(step.section == "rollback" and step.attempt_count for step in steps)
