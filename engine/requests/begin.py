"""Begin: take a request as far as it goes, from its submission to the moment its steps are due.

    submitted ──nothing to approve, or approved──> validating
    validating, resuming ──nothing to check, or checked──> in_progress
    in_progress ──its time has come──> its steps are due, or its one ticket is asked for

Each arrow is taken in the transaction that makes it possible: the submission, the last approval,
the end of the checks, the opening. Where something is still to come, a row says what, and a worker
or a driving command looks at it (engine/requests/gates.py). Everything is read from the row (the
plan, the parameters), so all ways in are alike.

What is about to start is judged once more: an instance that is not what an update is for fails the
request before its first step, without a ticket, and goes back to its state from before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from engine.checks.base import CheckFacts
from engine.config import WINDOW_GRACE
from engine.durations import parse_duration
from engine.errors import ConstraintViolated, NotFound
from engine.events import STEPS_CHANNEL, NewEvent
from engine.requests import approvals, tickets, windows
from engine.requests.approvals import Rule, Teams
from engine.requests.checks import COMPATIBILITY, checks_of, incompatibility
from engine.requests.parameters import with_dots
from engine.store import claimed, events, execution, gates, requests, steps, timeouts
from engine.store.gates import FactsRow
from engine.store.pool import Connection
from engine.store.requests import RequestRow


async def begin(connection: Connection, request_id: UUID, teams: Teams | None = None) -> None:
    """Take a request in `submitted` as far as it goes. `teams`: members as the settings declare.

    Raises Conflict where nobody is left to approve it, ConstraintViolated where its instance may
    not be changed (`check_instance_can_change`, `check_can_decommission`).
    """
    row = await keep_window(connection, await _row(connection, request_id))
    rules = await _rules(connection, row)
    for number, rule in enumerate(rules):
        await approvals.refuse_impossible(connection, rule, teams or {}, [row.requester_user_id])
        await approvals.ask(connection, row, rule, key=f"{row.id}:document:{number}")
    if not rules:
        await _validate(connection, row)


async def approved(connection: Connection, row: RequestRow) -> None:
    """Go on with a request whose last approval was given; it fails where it may not start."""
    try:
        async with connection.transaction():
            await _validate(connection, row)
    except ConstraintViolated as error:
        await fail(connection, row, str(error.why or error))


async def check_and_start(
    connection: Connection, row: RequestRow, seconds: float | None = None
) -> None:
    """Have the checks of the plan run, or start where there are none."""
    if checks_of(row.plan):
        await gates.await_checks(connection, row.id, seconds)
        await requests.wake(connection, STEPS_CHANNEL)
    else:
        await start(connection, row, seconds)


async def start(connection: Connection, row: RequestRow, seconds: float | None = None) -> None:
    """Take a request that nothing stands in the way of to in_progress, and open it at its time.

    `seconds`: a timeout of the sequence other than the plan's.
    """
    await requests.change_status(connection, row.id, "in_progress")
    is_later = row.not_before and await gates.await_opening(connection, row.id, seconds)
    if not is_later:
        await open_steps(connection, row, seconds)


async def open_steps(connection: Connection, row: RequestRow, seconds: float | None) -> None:
    """Make the steps due, or ask for the one ticket; end the request where nothing is left."""
    reason = await _incompatibility(connection, row)
    if reason is not None:
        await tell(connection, row, [(COMPATIBILITY, reason)])
        await fail(connection, row, f"{COMPATIBILITY}: {reason}")
        return
    await gates.clear(connection, row.id)
    fulfillment = row.plan.get("fulfillment") or {}
    limit = sequence_timeout(fulfillment) if seconds is None else seconds
    if "components" in row.plan:
        await timeouts.keep(connection, row.id, component_timeouts(row.plan))
    if await requests.begin_steps(connection, row.id, limit):
        return
    manual = fulfillment.get("manual")
    if manual and not await requests.steps_of(connection, row.id):
        await tickets.ask_for_ticket(connection, row.id, "fulfillment", manual["system"])
    else:
        await execution.end(connection, [row.id])


async def fail(connection: Connection, row: RequestRow, reason: str) -> None:
    """Fail a request before its first step: without a ticket, its instance as it was."""
    await gates.clear(connection, row.id)
    await requests.set_reason(connection, row.id, reason)
    await gates.nothing_was_done(connection, row.id)
    await requests.change_status(connection, row.id, "failed")


async def tell(
    connection: Connection, row: RequestRow, found: Sequence[tuple[str, str | None]]
) -> None:
    """Keep what checks found, and say so: (name, why it failed or None) each."""
    await gates.keep_checks(connection, row.id, found)
    new = [
        NewEvent(
            "check.passed" if reason is None else "check.failed",
            row.id,
            data={"check": name, "reason": reason},
        )
        for name, reason in found
    ]
    await events.write(connection, *new)


async def keep_window(
    connection: Connection, row: RequestRow, *, is_changed: bool = False
) -> RequestRow:
    """Keep when the parameters allow the request to run; one that cannot be read is no window."""
    try:
        window = windows.window_of(row.parameters)
    except ValueError:
        return row
    if window is None:
        return row
    await gates.set_window(connection, row.id, window.starts, window.ends, is_changed=is_changed)
    return await _row(connection, row.id)


async def locked(connection: Connection, request_id: UUID) -> RequestRow:
    """Lock a request and its steps, in this order; return it as it stands then."""
    await requests.lock_request(connection, request_id)
    await steps.lock_steps(connection, request_id)
    return await _row(connection, request_id)


def sequence_timeout(fulfillment: Mapping[str, Any]) -> float | None:
    """Return the seconds that the whole sequence may take; None where nothing bounds it."""
    written = (fulfillment.get("automation") or {}).get("timeout")
    return None if written is None else parse_duration(written)


def component_timeouts(plan: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds that each component's steps may take, where something bounds them."""
    bounds = {
        name: sequence_timeout(one.get("fulfillment") or {})
        for name, one in (plan.get("components") or {}).items()
    }
    return {name: seconds for name, seconds in bounds.items() if seconds is not None}


def as_facts(row: FactsRow, window_grace: Any = WINDOW_GRACE) -> CheckFacts:
    """Return what checks may know, secrets as dots."""
    plan = row.plan
    item = plan.get("instance_item") or {}
    return CheckFacts(
        request_id=row.request_id,
        request_type=row.request_type,
        parameters=with_dots(row.parameters),
        now=row.now,
        window_grace=window_grace,
        not_before=row.not_before,
        window_ends_at=row.window_ends_at,
        instance_id=row.instance_id,
        instance_name=row.instance_name,
        instance_state=row.instance_state,
        instance_version=row.instance_version,
        instance_parameters=with_dots(row.instance_parameters),
        instance_item=frozenset({*row.instance_item, *_names(item)}),
        targets=plan.get("targets"),
        to_version=plan.get("to_version"),
        destructive=bool(plan.get("destructive", False)),
    )


async def _rules(connection: Connection, row: RequestRow) -> Sequence[Rule]:
    if not approvals.sections(row.plan):
        return ()
    request = (await claimed.requests_of(connection, [row.id]))[row.id]
    return approvals.due(row.plan, request)


async def _validate(connection: Connection, row: RequestRow) -> None:
    await requests.change_status(connection, row.id, "validating")
    await check_and_start(connection, row)


async def _incompatibility(connection: Connection, row: RequestRow) -> str | None:
    """Return why the instance is not what an update or upgrade that has not begun is for."""
    if row.request_type not in ("update", "upgrade") or row.touched:
        return None
    facts = await gates.facts(connection, row.id)
    return None if facts is None else incompatibility(as_facts(facts))


async def _row(connection: Connection, request_id: UUID) -> RequestRow:
    row = await requests.request_row(connection, request_id)
    if row is None:
        raise NotFound("There is no such request", f"nothing has the id {request_id}")
    return row


def _names(item: Mapping[str, Any]) -> list[str]:
    return [str(item[key]) for key in ("name", "slug") if item.get(key)]
