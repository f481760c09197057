"""What operators do: the dispatcher, the pause, the audit log, keys, health."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from engine.dispatch.base import Dispatcher
from engine.durations import format_duration
from engine.errors import PaoError
from engine.facade.catalog import CatalogVerbs
from engine.facade.core import named, require
from engine.key_rotation import BEGINNING, Batch, rotate_batch
from engine.metrics import Measures
from engine.people.permissions import Action
from engine.requests import views
from engine.results import (
    Actor,
    AuditEntry,
    KeyRotation,
    Page,
    SyncReport,
)
from engine.store import (
    audit,
    measures,
    migrate,
    periodic,
    requests,
)
from engine.store.pool import (
    Connection,
    transaction,
)
from engine.tracing import send_trace

PAUSED = "paused"
"""The switch that stops the claiming of new steps."""


LATE_TICK = 300.0
"""Seconds without a periodic job, of which some are due every minute, that mean that nobody runs them."""


class OperatingVerbs(CatalogVerbs):
    """What operators do: the dispatcher, the pause, the audit log, keys, health."""

    def dispatcher(self) -> Dispatcher:
        """Return what carries steps and runs the periodic jobs; ConfigurationError if it cannot."""

        async def sync() -> SyncReport:
            return await self.sync_catalog(None, "interval")

        return Dispatcher(self._surroundings, self._systems, self.config, sync)

    async def pause(self, actor: Actor) -> None:
        """Claim nothing new, in any process; what runs goes on, submissions are taken."""
        await self._turn_pause(actor, on=True)

    async def unpause(self, actor: Actor) -> None:
        """Claim again."""
        await self._turn_pause(actor, on=False)

    async def audit_log(
        self, actor: Actor, *, target: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[AuditEntry]:
        """Return a page of who did what to what, newest first; `target`: of one thing (full id)."""

        async def read(connection: Connection) -> Page[AuditEntry]:
            require(actor, Action.AUDIT)
            return await audit.entries(connection, target=target, cursor=cursor, limit=limit)

        return await self._transact(read, actor)

    async def expire_audit_log(self, actor: Actor, before: datetime) -> int:
        """Delete what was audited before a moment; return how many lines. Audited itself."""

        async def expire(connection: Connection) -> int:
            require(actor, Action.EXPIRE_AUDIT)
            return await audit.expire(connection, before, named(actor))

        return await self._transact(expire, actor)

    async def rotate_keys(self, actor: Actor) -> KeyRotation:
        """Bring every kept secret under the first encryption key; ConfigurationError without one."""

        async def ask(connection: Connection) -> None:
            require(actor, Action.ROTATE_KEYS)
            after = {"key_id": self._cipher.key_id}
            await audit.write(connection, named(actor), Action.ROTATE_KEYS.value, after=after)

        await self._transact(ask, actor)
        rotated, unreadable, place = 0, Counter[str](), BEGINNING
        while batch := await self._rotate_after(place):
            rotated, unreadable, place = (
                rotated + batch.rotated,
                unreadable + batch.unreadable,
                batch.last,
            )
        return KeyRotation(self._cipher.key_id, rotated, dict(unreadable))

    async def _rotate_after(self, place: UUID) -> Batch | None:
        return await self._once(lambda connection: rotate_batch(connection, self._cipher, place))

    async def health(self) -> Mapping[str, str | None]:
        """Return what is wrong with each part, None where nothing is."""
        try:
            async with transaction(self._pool) as connection:
                return await self._look_after(connection)
        except PaoError as error:
            return {"database": str(error)}

    async def measures(self) -> Measures:
        """Return how the whole installation stands, in figures; raises Unavailable."""
        return await measures.measure(self._pool)

    async def send_trace(self, request_id: str) -> None:
        """Send an ended request (full id) to the collector of traces, where there is one."""
        if self.config.otlp_endpoint is None:
            return
        id_ = await self._internal_id(request_id)
        async with transaction(self._pool) as connection:
            view = await views.view(connection, id_)
        await send_trace(self._services.outbound, self.config.otlp_endpoint, view)

    async def _look_after(self, connection: Connection) -> Mapping[str, str | None]:
        migrations = None
        try:
            await migrate.require_migrated(connection)
        except PaoError as error:
            migrations = str(error)
        age = await periodic.seconds_since_sync(connection) if migrations is None else None
        catalog = "It was never synced" if age is None and self.config.catalog_url else None
        tick = await periodic.seconds_since_tick(connection) if migrations is None else None
        paused = await audit.is_on(connection, PAUSED)
        return {
            "database": None,
            "migrations": migrations,
            "catalog": catalog,
            "dispatcher": "It is paused" if paused else None,
            "last tick": _late(tick),
        }

    async def _turn_pause(self, actor: Actor, *, on: bool) -> None:
        async def turn(connection: Connection) -> None:
            require(actor, Action.PAUSE)
            await audit.turn(connection, PAUSED, on=on, by=named(actor))
            after = {PAUSED: on}
            await audit.write(connection, named(actor), Action.PAUSE.value, after=after)
            await requests.wake(connection, "pao_steps")

        await self._transact(turn, actor)


def _late(tick: float | None) -> str | None:
    """Say that periodic jobs run no more; none that ever ran is a start."""
    if tick is None or tick <= LATE_TICK:
        return None
    return f"No periodic job has run for {format_duration(int(tick))}"
