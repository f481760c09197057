"""Begin: take a request that was just written as far as it goes, in one transaction.

    submitted ──nothing to wait for──> validating ──nothing to check──> in_progress, steps due

Everything is read from the row (the plan, the parameters), so all ways in are alike: a create, a
day-2 operation, a command, a form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from engine.durations import parse_duration
from engine.errors import NotFound
from engine.requests import tickets
from engine.store import execution, requests
from engine.store.pool import Connection
from engine.store.requests import RequestRow


async def begin(connection: Connection, request_id: UUID) -> None:
    """Take a request in `submitted` as far as it goes.

    Raises ConstraintViolated where its instance may not be changed (`check_instance_can_change`,
    `check_can_decommission`).
    """
    await requests.change_status(connection, request_id, "validating")
    await start(connection, await locked(connection, request_id))


async def start(connection: Connection, row: RequestRow) -> None:
    """Take a request in `validating` to in_progress: its steps due, or its ticket asked for."""
    await requests.change_status(connection, row.id, "in_progress")
    fulfillment = row.plan.get("fulfillment") or {}
    if await requests.begin_steps(connection, row.id, sequence_timeout(fulfillment)):
        return
    manual = fulfillment.get("manual")
    if manual:
        await tickets.ask_for_ticket(connection, row.id, "fulfillment", manual["system"])
    else:
        await execution.end(connection, [row.id])


async def locked(connection: Connection, request_id: UUID) -> RequestRow:
    """Lock a request and its steps, in this order; return it as it stands then."""
    await requests.lock_request(connection, request_id)
    await execution.lock_steps(connection, request_id)
    row = await requests.request_row(connection, request_id)
    if row is None:
        raise NotFound("There is no such request", f"nothing has the id {request_id}")
    return row


def sequence_timeout(fulfillment: Mapping[str, Any]) -> float | None:
    """Return the seconds that the whole sequence may take; None where nothing bounds it."""
    written = (fulfillment.get("automation") or {}).get("timeout")
    return None if written is None else parse_duration(written)
