"""Recovery: what people do with a request that failed, or that they do not want any more.

    failed ──retry, resume──> resuming ──> in_progress      steps pending again, in a new group
    failed ──resolve, skip──> the same, with the step completed or skipped by hand
    failed ──resolve of one of several──> failed            nothing can run yet
    in_progress, failed, resuming ──abort──> aborted        what runs is cancelled by a worker
    submitted .. in_progress, nothing begun ──cancel──> cancelled

Each verb is one transaction: the request is locked, then its steps by position, then everything is
read again and judged. A worker that claims at the same moment comes before or after; what it had
claimed keeps its lease and is told to end by `phase = 'cancel'`.

A new attempt group gives the step a fresh budget; numbers of attempts go on counting. The ticket of
a step that is retried or skipped is commented and closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from engine.catalog.documents import load_fulfillment, load_presentation
from engine.catalog.suggest import did_you_mean
from engine.catalog.values import FieldError, check_values
from engine.errors import Conflict, ConstraintViolated, InvalidInput, NotFound, quoted
from engine.events import EVENTS_CHANNEL, STEPS_CHANNEL, NewEvent
from engine.people.permissions import Action, Denied, may, refusal
from engine.redaction import Redactor
from engine.requests.parameters import (
    in_clear,
    is_reference,
    references_in,
    refuse,
    seal,
    seal_outputs,
    texts_in,
)
from engine.requests.parameters import surroundings as value_surroundings
from engine.requests.submit import access_of
from engine.requests.tickets import ask_for_ticket, drop_tickets
from engine.requests.views import ABORTABLE, CANCELLABLE, declared_outputs, find
from engine.results import Actor
from engine.secrets import Cipher, SecretUnreadable
from engine.store import audit, events, execution, outbox, requests
from engine.store import secrets as stored_secrets
from engine.store.pool import Connection
from engine.store.requests import RequestRow, StepRow


@dataclass(frozen=True, slots=True)
class Changes:
    """What a resume or retry changes. `texts` names the parameters that are command-line text."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()
    skip_verification: bool = False
    sequence_timeout: float | None = None


async def cancel(connection: Connection, actor: Actor, request_id: str) -> UUID:
    """Cancel a request of which nothing was begun; Conflict where something was."""
    row = await _locked(connection, actor, request_id, Action.CANCEL)
    if row.status not in CANCELLABLE:
        raise _wrong_status(row, "cancelled", "It has ended")
    if row.touched:
        raise Conflict(
            f"Request {row.request_id} cannot be cancelled",
            "work on it has begun",
            "Abort it instead",
            request_id=row.request_id,
            code="already_begun",
        )
    await execution.cancel_steps(connection, row.id, skip_reason="aborted", error_type="aborted")
    await _end(connection, actor, row, status="cancelled", reason=None, action=Action.CANCEL)
    return row.id


async def abort(
    connection: Connection,
    cipher: Cipher,
    actor: Actor,
    request_id: str,
    *,
    reason: str | None = None,
    destroy: bool = False,
    completion: bool = False,
    cleanup: bool = True,
) -> UUID:
    """End a request: running steps are cancelled, pending ones skipped, tickets ask for the rest."""
    row = await _locked(connection, actor, request_id, Action.ABORT)
    if row.status not in ABORTABLE:
        raise _wrong_status(row, "aborted", "Only one that runs or has failed can be")
    if destroy:
        raise Conflict(
            "Destroying what was made is not available in this version",
            do="Abort without it; the clean-up ticket lists what exists",
            code="not_available",
        )
    if reason:
        reason = (await _redactor(connection, cipher, row)).text(reason)
    await execution.cancel_steps(connection, row.id, skip_reason="aborted", error_type="aborted")
    await _end(connection, actor, row, status="aborted", reason=reason, action=Action.ABORT)
    system = _manual_system(row)
    if cleanup and row.touched and system:
        await ask_for_ticket(connection, row.id, "cleanup", system)
    if completion and system:
        await ask_for_ticket(connection, row.id, "completion", system)
    return row.id


async def resume(
    connection: Connection, cipher: Cipher, actor: Actor, request_id: str, changes: Changes
) -> UUID:
    """Go on from the failed steps, all of them, optionally with changed parameters."""
    row = await _resumable(connection, actor, request_id, Action.RESUME)
    await _change(connection, cipher, actor, row, changes)
    await _drop_step_tickets(connection, row, await requests.steps_of(connection, row.id))
    await execution.reset_steps(
        connection,
        row.id,
        skip_verification=changes.skip_verification,
        from_first=await _was_rolled_back(connection, row.id),
    )
    await _go_on(connection, row, changes.sequence_timeout)
    await _audit(connection, actor, Action.RESUME, row)
    return row.id


async def retry(
    connection: Connection,
    cipher: Cipher,
    actor: Actor,
    request_id: str,
    *,
    step: str,
    changes: Changes,
) -> UUID:
    """Try one failed step again, with a fresh budget."""
    row = await _resumable(connection, actor, request_id, Action.RETRY)
    failed = await _failed_step(connection, row, step)
    await _change(connection, cipher, actor, row, changes)
    await _drop_step_tickets(connection, row, [failed])
    await execution.reset_steps(
        connection, row.id, step=failed.step_id, skip_verification=changes.skip_verification
    )
    await _go_on(connection, row, changes.sequence_timeout)
    await _audit(connection, actor, Action.RETRY, row, step=failed.step_id)
    return row.id


async def skip(
    connection: Connection, cipher: Cipher, actor: Actor, request_id: str, *, step: str, reason: str
) -> UUID:
    """Leave a failed step out; its dependents go on and see None."""
    row = await _resumable(connection, actor, request_id, Action.SKIP)
    if not reason.strip():
        raise InvalidInput("A reason is needed to skip a step", field="reason", code="required")
    failed = await _failed_step(connection, row, step)
    reason = (await _redactor(connection, cipher, row)).text(reason)
    await _drop_step_tickets(connection, row, [failed])
    await execution.close_step(connection, row.id, failed.step_id, skipped=True, reason=reason)
    await _go_on_if_possible(connection, row)
    await _audit(connection, actor, Action.SKIP, row, step=failed.step_id, reason=reason)
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
    row = await _locked(connection, actor, request_id, Action.RESOLVE)
    if step is None and await _is_manual_only(connection, row):
        await complete_manual_request(connection, row)
        await _audit(connection, actor, Action.RESOLVE, row)
        return row.id
    _require_resumable(row)
    failed = await _failed_step(connection, row, step)
    redactor = await _redactor(connection, cipher, row)
    sealed, new = seal_outputs(outputs or {}, cipher, failed.id, redactor)
    await stored_secrets.insert(connection, new)
    await resolve_step(connection, row, failed, sealed)
    await _audit(connection, actor, Action.RESOLVE, row, step=failed.step_id)
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


async def _locked(
    connection: Connection, actor: Actor, request_id: str, action: Action
) -> RequestRow:
    found = await find(connection, actor, request_id, action)
    row = await locked_row(connection, found.id)
    return row or found


async def _resumable(
    connection: Connection, actor: Actor, request_id: str, action: Action
) -> RequestRow:
    row = await _locked(connection, actor, request_id, action)
    _require_resumable(row)
    return row


def _require_resumable(row: RequestRow) -> None:
    if row.status != "failed":
        raise _wrong_status(row, "resumed", "Only a failed one can be")
    if row.overtaken:
        raise _overtaken(row)


def _wrong_status(row: RequestRow, verb: str, do: str) -> Conflict:
    return Conflict(
        f"Request {row.request_id} cannot be {verb}",
        f"it is {row.status.replace('_', ' ')}",
        do,
        request_id=row.request_id,
        code="wrong_status",
    )


def _overtaken(row: RequestRow) -> Conflict:
    return Conflict(
        f"Request {row.request_id} cannot be resumed",
        "another request was made for the instance since",
        "Look at the newer request",
        request_id=row.request_id,
        code="overtaken",
    )


async def _failed_step(connection: Connection, row: RequestRow, step: str | None) -> StepRow:
    """Return the failed step that is meant; the only one where none is named."""
    steps = [s for s in await requests.steps_of(connection, row.id) if s.section == "automation"]
    failed = [s for s in steps if s.status == "failed"]
    if step is None:
        if len(failed) == 1:
            return failed[0]
        names = ", ".join(s.step_id for s in failed) or "none"
        raise InvalidInput("Say which step", f"failed are: {names}", field="step")
    for candidate in steps:
        if step in (candidate.step_id, candidate.step_name):
            if candidate.status == "failed":
                return candidate
            raise Conflict(
                f"The step {step} has not failed",
                f"it is {candidate.status}",
                request_id=row.request_id,
                code="step_not_failed",
            )
    known = [s.step_id for s in steps]
    raise NotFound(
        f"There is no step {quoted(step)}.{did_you_mean(step, known)}",
        f"the steps are {', '.join(known) or 'none'}",
        code="unknown_step",
    )


async def _change(
    connection: Connection, cipher: Cipher, actor: Actor, row: RequestRow, changes: Changes
) -> None:
    """Check and keep changed parameters; only admins skip verifications."""
    if changes.skip_verification and not may(actor, Action.SKIP_VERIFICATION):
        raise Denied(Action.SKIP_VERIFICATION, row.request_id, refusal(Action.SKIP_VERIFICATION))
    if not changes.parameters:
        return
    fields = load_presentation(row.plan["presentation"]).all_fields
    kept = await stored_secrets.by_id(connection, references_in(row.parameters))
    clear = {
        id_: cipher.decrypt(one.ciphertext, one.purpose, one.key_id) for id_, one in kept.items()
    }
    # What a team may have is judged by the document of today, as at a new submission.
    limits = await requests.access_of_item(connection, row.catalog_item or "")
    checked = check_values(
        fields,
        {**in_clear(row.parameters, clear), **changes.parameters},
        texts=changes.texts,
        around=value_surroundings(actor, access_of(limits)),
    )
    refuse(checked.errors)
    values = {
        name: row.parameters[name]
        if name not in changes.parameters and is_reference(row.parameters.get(name))
        else value
        for name, value in checked.values.items()
    }
    sealed, new = seal(fields, values, cipher, row.id)
    await stored_secrets.insert(connection, new)
    await execution.set_parameters(connection, row.id, sealed)


async def _redactor(connection: Connection, cipher: Cipher, row: RequestRow) -> Redactor:
    """Return what redacts the words of people by the request's secrets.

    A secret whose key is lost is left out: it must not keep anybody from giving the request up.
    """
    outputs = [step.outputs for step in await requests.steps_of(connection, row.id)]
    ids = {*references_in(row.parameters), *references_in(outputs)}
    known: list[str] = []
    for one in (await stored_secrets.by_id(connection, ids)).values():
        with suppress(SecretUnreadable):
            known += texts_in(cipher.decrypt(one.ciphertext, one.purpose, one.key_id))
    return Redactor(known)


async def _go_on_if_possible(connection: Connection, row: RequestRow) -> None:
    """Let the request go on, unless other failed steps hold up everything that is left."""
    steps = [s for s in await requests.steps_of(connection, row.id) if s.section == "automation"]
    is_stuck = any(s.status == "failed" for s in steps) and not any(
        s.status == "pending" for s in steps
    )
    if not is_stuck:
        await _go_on(connection, row, None)


async def _go_on(connection: Connection, row: RequestRow, seconds: float | None) -> None:
    """Take a failed request through resuming to in_progress; end it where nothing is left."""
    await execution.reset_rollback(connection, row.id)
    try:
        for status in ("resuming", "in_progress"):
            await requests.change_status(connection, row.id, status)
    except ConstraintViolated as error:
        if error.constraint in ("check_resume_not_overtaken", "uq_service_requests_active_subject"):
            raise _overtaken(row) from error
        raise
    fulfillment = load_fulfillment(row.plan["fulfillment"])
    automation = fulfillment.automation
    limit = seconds if seconds is not None else (automation.timeout if automation else None)
    if not await requests.begin_steps(connection, row.id, limit):
        await execution.end(connection, [row.id])


async def _end(
    connection: Connection,
    actor: Actor,
    row: RequestRow,
    *,
    status: str,
    reason: str | None,
    action: Action,
) -> None:
    """End a request by hand, and give up its tickets."""
    await requests.set_reason(connection, row.id, reason)
    await requests.change_status(connection, row.id, status)
    await drop_tickets(connection, row.id, f"Request {row.request_id} was {status}.")
    await _audit(connection, actor, action, row, reason=reason)


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
        if ticket.type != "fulfillment":
            continue
        await outbox.update_ticket(connection, ticket.id, "resolved")
        await events.write(
            connection,
            NewEvent("ticket.resolved", request_id, step_id, data={"ticket_id": ticket.ticket_id}),
        )


async def _is_manual_only(connection: Connection, row: RequestRow) -> bool:
    return row.status == "in_progress" and not await requests.steps_of(connection, row.id)


async def _was_rolled_back(connection: Connection, request_id: UUID) -> bool:
    steps = await requests.steps_of(connection, request_id)
    return any(s.section == "rollback" and s.attempt_count for s in steps)


def _manual_system(row: RequestRow) -> str | None:
    manual = (row.plan.get("fulfillment") or {}).get("manual") or {}
    system: str | None = manual.get("system")
    return system


async def _audit(
    connection: Connection,
    actor: Actor,
    action: Action,
    row: RequestRow,
    *,
    step: str | None = None,
    reason: str | None = None,
) -> None:
    await audit.write(
        connection,
        actor.audit_name or actor.user_id,
        action.value,
        f"{row.request_id}/{step}" if step else row.request_id,
        before={"status": row.status},
        reason=reason,
    )
    await requests.wake(connection, STEPS_CHANNEL)
