"""Recovery: what people do with a request that failed.

    failed ──retry, resume──> resuming ──> in_progress      steps pending again, in a new group
    failed ──the same, of which no step ever began──> resuming: its checks run again first
    failed ──the same, with changes that must be approved──> failed, until they are
    failed ──resolve, skip──> by_hand.py

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
from engine.errors import Conflict, ConstraintViolated, InvalidInput, NotFound, quoted
from engine.people.permissions import Action, Denied, may, refusal
from engine.requests import approvals as rules
from engine.requests import begin, windows
from engine.requests.acting import audited, held, not_now
from engine.requests.approvals import Rule
from engine.requests.changes import Changed, Changes, judge_changes
from engine.requests.judging import Intake
from engine.requests.names import shown_names
from engine.requests.tickets import drop_tickets
from engine.results import Actor
from engine.store import approvals, claimed, requests, steps
from engine.store.pool import Connection
from engine.store.requests import RequestRow, StepRow
from engine.templates import render

APPROVAL: Final = "approval"
"""The type of steps that wait for people's approval."""

OVERTAKEN: Final = "overtaken"
"""The code of the refusal of a request whose instance another one has changed since."""


NEEDS_FAILURE: Final[Mapping[Action, str]] = {
    Action.RESUME: "Request {} cannot be resumed",
    Action.RETRY: "No step of request {} can be tried again",
    Action.SKIP: "No step of request {} can be skipped",
    Action.RESOLVE: "No step of request {} can be resolved by hand",
}
"""What is refused where the request has not failed."""


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
    row = await resumable(connection, actor, request_id, Action.RESUME)
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
    row = await resumable(connection, actor, request_id, Action.RETRY)
    failed = await failed_step(connection, row, step)
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
        if not is_refusal(refused):
            raise
        await requests.set_reason(connection, row.id, str(refused))


def is_refusal(conflict: Conflict) -> bool:
    """Say whether a request may not go on; a transaction that lost against another is run again."""
    return isinstance(conflict, ConstraintViolated) or conflict.code == OVERTAKEN


async def resumable(
    connection: Connection, actor: Actor, request_id: str, action: Action
) -> RequestRow:
    """Return the failed request that the person may do this to, held; Conflict for others."""
    row = await held(connection, actor, request_id, action)
    require_resumable(row, action)
    return row


def require_resumable(row: RequestRow, action: Action) -> None:
    """Raise Conflict unless the request has failed and may still go on."""
    if row.status != "failed":
        refused = NEEDS_FAILURE[action].format(row.request_id)
        raise not_now(row, refused, _what_can_be_done(row))
    if row.overtaken:
        raise _overtaken(row)
    if row.gone:
        raise _incomplete(row)


def _what_can_be_done(row: RequestRow) -> str:
    if row.status in ("completed", "cancelled", "aborted"):
        return "It has ended; clone it to ask for the same again"
    return "Only a failed one can be"


def _overtaken(row: RequestRow) -> Conflict:
    return Conflict(
        f"Request {row.request_id} cannot be resumed",
        "another request was made for the instance since",
        "Look at the newer request",
        request_id=row.request_id,
        code=OVERTAKEN,
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
    request = (await claimed.requests_of(connection, [row.id]))[row.id]
    request = replace(request, parameters=changed.parameters)
    asked: list[tuple[Rule, StepRow | None, Mapping[str, Any]]] = [
        (rule, None, {}) for rule in rules.due(row.plan, request, changed.names)
    ]
    for step in await requests.steps_of(connection, row.id):
        own = rules.own_fields(row.plan, changed.names, step.component) or ()
        template = step.step_config.get("template") or {}
        if step.step_type == APPROVAL and step.status == "completed" and rules.reads(template, own):
            rendered = render(template, shown_names(request, step.component))
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
        await requests.set_parameters(connection, row.id, how.parameters)
        before, row = row, await begin.locked(connection, row.id)
        if before.parameters.get(windows.PARAMETER) != row.parameters.get(windows.PARAMETER):
            row = await begin.keep_window(connection, row, is_changed=True)
    found = await requests.steps_of(connection, row.id)
    meant = [step for step in found if how.step in (None, step.step_id)]
    await drop_step_tickets(connection, row, meant)
    await steps.reset_steps(
        connection,
        row.id,
        step=how.step,
        skip_verification=how.skip_verification,
        from_first=how.step is None and _was_rolled_back(found),
    )
    await go_on(connection, row, None if how.timeout is None else float(how.timeout))


async def failed_step(connection: Connection, row: RequestRow, step: str | None) -> StepRow:
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


async def go_on(connection: Connection, row: RequestRow, seconds: float | None) -> None:
    """Take a failed request through resuming to in_progress; its checks first if nothing began."""
    await _require_members(connection, row)
    await approvals.withdraw(connection, row.id, resumptions_only=True)
    await steps.reset_rollback(connection, row.id)
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


async def _require_members(connection: Connection, row: RequestRow) -> None:
    """Raise Conflict where a member was decommissioned alone: steps that go on may build on it."""
    if row.request_type == "create":
        await requests.hold_members(connection, row.id)
        now = await requests.request_row(connection, row.id)
        if now is not None and now.gone:
            raise _incomplete(now)


def _incomplete(row: RequestRow) -> Conflict:
    return Conflict(
        f"Request {row.request_id} cannot be resumed",
        "; ".join(row.gone),
        "Abort it, and request anew what is still needed",
        request_id=row.request_id,
        code=OVERTAKEN,
    )


async def drop_step_tickets(connection: Connection, row: RequestRow, steps: list[StepRow]) -> None:
    """Give up the tickets of those steps that have failed."""
    for step in steps:
        if step.status == "failed":
            await drop_tickets(
                connection,
                row.id,
                f"The step {step.step_name} of request {row.request_id} goes on without this.",
                step_id=step.id,
                of_step=True,
            )


def _was_rolled_back(steps: Sequence[StepRow]) -> bool:
    return any(step.section == "rollback" and step.attempt_count for step in steps)
