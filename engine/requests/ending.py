"""Ending: what people do with a request that they do not want any more.

    submitted .. in_progress, nothing begun ──cancel──> cancelled
    in_progress, failed, resuming ──abort──> aborted        what runs is cancelled by a worker
    the same ──abort with destruction──> in_progress ──what was made is destroyed──> aborted

With destruction, each Terraform step of a create that was ever begun gets a step that destroys its
state, in reverse order. They are due once the last running step has ended; the request is aborted
when the last of them has, whatever came of it, and a ticket lists what still stands. Members of a
bundle that are done already go too, unless something outside the bundle needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from engine.catalog.steps import everything_before
from engine.errors import Conflict, ConstraintViolated
from engine.people.permissions import Action
from engine.requests.acting import audited, held, wrong_status
from engine.requests.sealed import redactor_of
from engine.requests.tickets import ask_for_ticket, drop_tickets
from engine.requests.views import ABORTABLE, CANCELLABLE
from engine.results import Actor
from engine.secrets import Cipher
from engine.store import aborting, approvals, execution, gates, requests, steps, submission
from engine.store.aborting import DESTROY_PREFIX
from engine.store.pool import Connection
from engine.store.requests import RequestRow, StepRow
from engine.store.submission import PlannedStep

TERRAFORM: Final = "TerraformFile"
OF_MAKING: Final = frozenset({"verification", "when", "outputs", "depends_on"})
"""Keys of a step that mean nothing when what it made is destroyed."""


async def cancel(connection: Connection, actor: Actor, request_id: str) -> UUID:
    """Cancel a request of which nothing was begun; Conflict where something was."""
    row = await held(connection, actor, request_id, Action.CANCEL)
    if row.status not in CANCELLABLE:
        do = "Abort it instead" if row.status in ABORTABLE else "It has ended"
        raise wrong_status(row, "cancelled", do)
    if row.touched:
        raise Conflict(
            f"Request {row.request_id} cannot be cancelled",
            "work on it has begun",
            "Abort it instead",
            request_id=row.request_id,
            code="already_begun",
        )
    await _stop(connection, row)
    await _end(connection, row, status="cancelled", reason=None)
    await audited(connection, actor, Action.CANCEL, row)
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
    """End a request: running steps are cancelled, pending ones skipped, tickets ask for the rest.

    `destroy`: what its Terraform steps made is destroyed first, and the request ends after that.
    """
    row = await held(connection, actor, request_id, Action.ABORT)
    if row.status not in ABORTABLE:
        do = "Cancel it instead" if row.status in CANCELLABLE else "It has ended"
        raise wrong_status(row, "aborted", do)
    if reason:
        reason = (await redactor_of(connection, cipher, row)).text(reason)
    system = _manual_system(row)
    has_left = cleanup and await aborting.may_have_left(connection, row.id)
    wanted = {
        "cleanup": system if has_left else None,
        "completion": system if completion else None,
    }
    undo = await _undoing(connection, row) if destroy else ()
    await _stop(connection, row)
    if undo:
        await _destroy_first(connection, row, undo, reason, wanted)
    else:
        await gates.nothing_was_done(connection, row.id)
        await _end(connection, row, status="aborted", reason=reason)
        for ticket_type in ("cleanup", "completion"):
            if wanted[ticket_type]:
                await ask_for_ticket(connection, row.id, ticket_type, str(wanted[ticket_type]))
    await audited(connection, actor, Action.ABORT, row, reason=reason)
    return row.id


async def _stop(connection: Connection, row: RequestRow) -> None:
    """Have nothing of the request begin any more, and what runs end."""
    await approvals.withdraw(connection, row.id)
    await gates.clear(connection, row.id)
    await steps.cancel_steps(connection, row.id, skip_reason="aborted", error_type="aborted")


async def _end(connection: Connection, row: RequestRow, *, status: str, reason: str | None) -> None:
    await requests.set_reason(connection, row.id, reason)
    await requests.change_status(connection, row.id, status)
    await drop_tickets(connection, row.id, f"Request {row.request_id} was {status}.")


async def _undoing(connection: Connection, row: RequestRow) -> Sequence[PlannedStep]:
    """Return the steps that destroy what the request's Terraform steps made; none where none ran."""
    if row.request_type != "create":
        raise Conflict(
            f"What request {row.request_id} changed cannot be destroyed",
            f"{row.instance_id} was there before it",
            "Abort without it, and decommission the service if it is not needed",
            request_id=row.request_id,
            code="nothing_to_destroy",
        )
    steps = await requests.steps_of(connection, row.id)
    if any(step.section == "cleanup" for step in steps):
        return ()
    made = [step for step in steps if step.section == "automation" and _may_have_made(step)]
    return list(_destroying(steps, made))


def _may_have_made(step: StepRow) -> bool:
    return step.step_type == TERRAFORM and step.attempt_count > 0


def _destroying(steps: Sequence[StepRow], made: Sequence[StepRow]) -> Iterator[PlannedStep]:
    """Yield a step for each that made something: after those of all that were built on it."""
    graph = {step.step_id: tuple(step.depends_on or ()) for step in steps}
    before = {step.step_id: everything_before(graph, step.step_id) for step in made}
    first = max(step.position for step in steps) + 1 if steps else 0
    for position, step in enumerate(reversed(made), first):
        yield PlannedStep(
            step_id=f"{DESTROY_PREFIX}{step.step_id}",
            step_name=step.step_name,
            step_type=step.step_type,
            step_config=_destroying_config(step.step_config),
            position=position,
            depends_on=tuple(
                f"{DESTROY_PREFIX}{other}" for other in before if step.step_id in before[other]
            ),
            component=step.component,
            section="cleanup",
        )


def _destroying_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the step is undone: whatever it was for, what it promised is not to be found."""
    kept = {key: value for key, value in config.items() if key not in OF_MAKING}
    return {**kept, "destroy": True}


async def _destroy_first(
    connection: Connection,
    row: RequestRow,
    undo: Sequence[PlannedStep],
    reason: str | None,
    tickets: dict[str, str | None],
) -> None:
    """Have the destroy steps run once nothing else does; the request is aborted after them."""
    components = {step.component for step in undo if step.component is not None}
    needed = await aborting.take_members(connection, row.id, components) if components else ()
    if needed:
        raise Conflict(
            f"What request {row.request_id} made cannot be destroyed",
            "; ".join(needed),
            "Abort without it, and decommission the services that are not needed",
            request_id=row.request_id,
            code="needed",
        )
    try:
        if row.status == "failed":
            await requests.change_status(connection, row.id, "resuming")
        if row.status in ("failed", "resuming"):
            await requests.change_status(connection, row.id, "in_progress")
    except ConstraintViolated as error:
        raise Conflict(
            f"What request {row.request_id} made cannot be destroyed any more",
            str(error.why or error),
            "Abort without it",
            request_id=row.request_id,
            code="overtaken",
        ) from error
    await drop_tickets(connection, row.id, f"Request {row.request_id} is aborted.")
    await submission.insert_steps(connection, row.id, undo)
    await aborting.note(connection, row.id, reason, tickets)
    now = await requests.request_row(connection, row.id)
    if now is not None and now.open_steps == 0:
        await execution.end(connection, [row.id])


def _manual_system(row: RequestRow) -> str | None:
    manual = (row.plan.get("fulfillment") or {}).get("manual") or {}
    system: str | None = manual.get("system")
    return system
