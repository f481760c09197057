"""The timeouts of a bundle's components, each of its own sequence of steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import jsonb, rows, run

_sql = queries.load("timeouts")


@dataclass(frozen=True, slots=True)
class Overdue:
    """A component whose steps have taken longer than they may."""

    request_id: UUID
    component: str


async def keep(connection: Connection, request_id: UUID, seconds: Mapping[str, float]) -> None:
    """Count the components' timeouts from now on; none without any."""
    parameters = {"id": request_id, "seconds": jsonb(seconds) if seconds else None}
    await run(connection, _sql.keep_component_timeouts, parameters)


async def overdue(connection: Connection, limit: int) -> list[Overdue]:
    """Return components that have taken too long."""
    return await rows(connection, _sql.overdue_components, {"limit": limit}, Overdue)


async def stop(connection: Connection, late: Overdue) -> bool:
    """End a component's open steps, its request locked; say whether the request has none left."""
    parameters = {"id": late.request_id, "component": late.component}
    found = await rows(connection, _sql.stop_component, parameters, _Stopped)
    return bool(found) and found[0].open_steps == 0


@dataclass(frozen=True, slots=True)
class _Stopped:
    open_steps: int
    told: bool
