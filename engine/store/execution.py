"""Steps under way: claims, leases, and what became of them. Every write is fenced by a lease token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from engine.events import STEPS_CHANNEL
from engine.foreign_json import clean_text
from engine.store import aborting, queries, requests, secrets
from engine.store.pool import Connection
from engine.store.rows import jsonb, row_or_none, rows, run, value, values
from engine.store.secrets import EncryptedValue

_sql = queries.load("execution")

Outcome = Literal["completed", "skipped", "waiting", "retrying", "failed"]
Phase = Literal["start", "poll", "verify", "cancel"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A step that is ours until its lease ends, and its attempt."""

    id: UUID
    request_id: UUID
    step_id: str
    step_name: str
    step_type: str
    step_config: Mapping[str, Any]
    section: str
    component: str | None
    phase: Phase
    lease_token: int
    attempt_count: int
    group_attempts: int
    attempt_group: int
    losses: int
    poll_count: int
    external: Mapping[str, Any]
    skip_verification: bool
    attempt_id: UUID
    seconds_left: float | None
    """Until the attempt is over; None where its time has not begun to count."""
    seconds_running: float
    """Since the first attempt of the group began."""
    seconds_late: float
    """Between its due time and the claim."""
    is_new: bool
    """Whether this turn began the attempt."""
    told: bool


@dataclass(frozen=True, slots=True)
class MemberParameters:
    """What a member turned out to be made with: judged, secrets sealed.

    `connections`: the configuration of its dependencies, by their names, where it was rendered.
    """

    member_id: UUID
    parameters: Mapping[str, Any]
    secrets: tuple[EncryptedValue, ...] = ()
    connections: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finish:
    """What became of a claimed step in this turn.

    `delay` (seconds) says when it is due again (waiting, retrying). `kind` and `data` are the event
    that tells of it. `uncounted` gives an attempt back to the budget of its group.
    """

    id: UUID
    token: int
    outcome: Outcome
    outputs: Any = None
    resources: Any = None
    external: Any = None
    phase: Phase = "start"
    delay: float = 0.0
    time_limit: float | None = None
    skip_reason: str | None = None
    losses: int = 0
    uncounted: int = 0
    job_id: str | None = None
    job_url: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_details: Any = None
    error_kind: str | None = None
    """transient, permanent or unknown: whether the attempt is worth repeating."""
    verification: Any = None
    parameters: Any = None
    kind: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    secrets: tuple[EncryptedValue, ...] = ()
    member: MemberParameters | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A finish that was written.

    `may_go_on`: a step of the request failed, or it is being aborted, so that a rollback or a
    clean-up may follow before it ends.
    """

    id: UUID
    request_id: UUID
    component: str | None
    request_ended: bool
    may_go_on: bool


@dataclass(frozen=True, slots=True)
class Renewed:
    """A lease that is still ours; `is_cancelled`: the step is to be ended."""

    id: UUID
    is_cancelled: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """A step that a worker held and does not carry any more."""

    id: UUID
    token: int
    phase: Phase
    losses: int
    attempt: int
    step_config: Mapping[str, Any]
    external: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a request is; `version` changes with its status."""

    status: str
    version: int
    has_untried: bool


async def claim(
    connection: Connection,
    owner: str,
    *,
    limit: int,
    lease: timedelta,
    request_id: UUID | None = None,
) -> list[Claim]:
    """Take up to `limit` due steps, of one request or of all; none while the engine is paused."""
    parameters = {"owner": owner, "limit": limit, "lease": lease, "request_id": request_id}
    return await rows(connection, _sql.claim_steps, parameters, Claim)


async def seconds_to_next(connection: Connection, request_id: UUID | None = None) -> float | None:
    """Return the seconds until a step is due, None where none waits; may be negative."""
    found = await value(connection, _sql.next_due, {"request_id": request_id})
    return None if found is None else float(found)


async def renew(
    connection: Connection, tokens: Mapping[UUID, int], lease: timedelta
) -> list[Renewed]:
    """Extend leases; those that are not returned are lost."""
    parameters = {"ids": list(tokens), "tokens": list(tokens.values()), "lease": lease}
    return await rows(connection, _sql.renew_leases, parameters, Renewed)


async def remember(
    connection: Connection, step_id: UUID, token: int, external: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Merge into what a step needs to go on after a crash; None where it is not ours any more."""
    parameters = {"id": step_id, "token": token, "external": jsonb(external)}
    found: Mapping[str, Any] | None = await value(connection, _sql.remember, parameters)
    return found


async def remember_job(
    connection: Connection,
    attempt_id: UUID,
    token: int,
    job_id: str | None,
    job_url: str | None,
) -> bool:
    """Keep the outside job of an attempt; False where its step is not ours any more."""
    parameters = {
        "attempt_id": attempt_id,
        "token": token,
        "job_id": job_id,
        "job_url": job_url,
    }
    return await run(connection, _sql.remember_job, parameters) > 0


async def append_log(
    connection: Connection, attempt_id: UUID, text: str, logs_url: str | None
) -> None:
    """Add a chunk, redacted already, to an attempt's log."""
    parameters = {"attempt_id": attempt_id, "text": clean_text(text), "logs_url": logs_url}
    await run(connection, _sql.append_log, parameters)


async def finish(connection: Connection, finishes: Sequence[Finish]) -> list[Finished]:
    """Write what became of steps, and all that follows for dependents, requests and instances.

    What is not returned was not ours any more and changed nothing.
    """
    await secrets.insert(connection, [secret for one in finishes for secret in one.secrets])
    parameters = {"finishes": jsonb([_as_json(one) for one in finishes])}
    done = await rows(connection, _sql.finish_steps, parameters, Finished)
    bundles = sorted({one.request_id for one in done if one.component is not None})
    if bundles:
        await _keep_members(connection, finishes, done)
        await values(connection, _sql.activate_members, {"ids": bundles})
    ended = {one.request_id: one.may_go_on for one in done if one.request_ended}
    if ended:
        await end(connection, sorted(ended), may_go_on=any(ended.values()))
    return done


async def end(
    connection: Connection, request_ids: Sequence[UUID], *, may_go_on: bool = True
) -> None:
    """Give requests without an open step their end, or begin their rollback or clean-up.

    The requests are locked. Completed creates become active instances; failed ones ask for tickets.
    What an update, an upgrade or a decommission leaves follows from its status (sql/functions).
    `may_go_on` is False where no step of any of them failed and none is being aborted.
    """
    ending = await _without_more_to_do(connection, request_ids) if may_go_on else request_ids
    moved = await rows(connection, _sql.end_requests, {"ids": list(ending)}, _Ended)
    completed = [one.id for one in moved if not one.has_failed]
    bundles = [one.id for one in moved if one.is_bundle and not one.has_failed]
    failed = [one.id for one in moved if one.has_failed]
    spared = [one.id for one in moved if one.has_rollback and not one.has_failed]
    if spared:
        await run(connection, _sql.skip_rollbacks, {"ids": spared})
    if bundles:
        await values(connection, _sql.activate_members, {"ids": bundles})
        await values(connection, _sql.promote_bundles, {"ids": bundles})
    if len(completed) > len(bundles):
        single = [id_ for id_ in completed if id_ not in bundles]
        await values(connection, _sql.promote_instances, {"ids": single})
    if failed:
        await run(connection, _sql.ask_for_tickets, {"ids": failed})
    if may_go_on:
        await requests.wake(connection, STEPS_CHANNEL)


async def _without_more_to_do(connection: Connection, request_ids: Sequence[UUID]) -> list[UUID]:
    """Begin the clean-ups and rollbacks that are due; return the requests that have none left."""
    aborting_now = await aborting.advance(connection, request_ids)
    left = [id_ for id_ in request_ids if id_ not in aborting_now]
    begun = set(await values(connection, _sql.begin_rollback, {"ids": left}))
    ending = [id_ for id_ in left if id_ not in begun]
    await run(connection, _sql.note_rollbacks, {"ids": ending})
    return ending


async def complete_waiting(
    connection: Connection, step_id: UUID, outputs: Mapping[str, Any]
) -> bool:
    """Complete a step that waits for somebody; False where it does not wait any more.

    Its request is locked. A worker that was just looking at it writes nothing more.
    """
    token = await value(connection, _sql.take_waiting, {"id": step_id})
    if token is None:
        return False
    done = Finish(
        id=step_id, token=token, outcome="completed", outputs=outputs, kind="step.completed"
    )
    await finish(connection, [replace(done, data={"reason": "manual"})])
    return True


async def take_over(connection: Connection, *, limit: int, lease: timedelta) -> list[Lost]:
    """Take the steps whose leases have expired; a `finish` of each must follow."""
    return await rows(connection, _sql.take_over, {"limit": limit, "lease": lease}, Lost)


async def held_by(connection: Connection, owner: str) -> list[Lost]:
    """Return the steps that a worker claimed and did not finish."""
    return await rows(connection, _sql.held_by, {"owner": owner}, Lost)


async def ended_attempts(
    connection: Connection, ids: Sequence[UUID], before: timedelta
) -> list[UUID]:
    """Return those of these attempts that ended longer ago than `before`."""
    return await values(connection, _sql.ended_attempts, {"ids": list(ids), "before": before})


async def overdue(connection: Connection, limit: int) -> list[UUID]:
    """Return requests whose sequence has taken longer than it may."""
    return await values(connection, _sql.overdue_requests, {"limit": limit})


async def progress(connection: Connection, request_id: UUID) -> Progress | None:
    """Return how far a request is."""
    return await row_or_none(connection, _sql.request_progress, {"id": request_id}, Progress)


async def _keep_members(
    connection: Connection, finishes: Sequence[Finish], done: Sequence[Finished]
) -> None:
    """Keep what members turned out to be made with, of the finishes that were ours."""
    written = {one.id for one in done}
    for one in finishes:
        if one.member is not None and one.id in written:
            await secrets.insert(connection, one.member.secrets)
            kept = {
                "id": one.member.member_id,
                "parameters": jsonb(one.member.parameters),
                "connections": jsonb(one.member.connections),
            }
            await run(connection, _sql.keep_member_parameters, kept)


def _as_json(one: Finish) -> dict[str, Any]:
    """Return what the statement reads; a field that is missing is NULL there."""
    facts = ((name, getattr(one, name)) for name in _FINISH_FIELDS)
    return {name: fact for name, fact in facts if fact is not None} | {"id": str(one.id)}


_FINISH_FIELDS = tuple(
    field.name for field in fields(Finish) if field.name not in ("secrets", "member")
)


@dataclass(frozen=True, slots=True)
class _Ended:
    id: UUID
    is_bundle: bool
    has_failed: bool
    moved: bool
    has_rollback: bool
