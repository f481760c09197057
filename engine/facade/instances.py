"""What people ask about what is deployed."""

from __future__ import annotations

from collections.abc import Sequence

from engine.facade.core import Core
from engine.instances import decommission, lifecycle, operations
from engine.instances import dependencies as instance_dependencies
from engine.requests.operations import OperationType
from engine.results import (
    Actor,
    DecommissionCheck,
    DependencyView,
    HistoryEntry,
    InstanceSummary,
    InstanceView,
    OperationForm,
    OperationView,
    Page,
    TimelineEntry,
)
from engine.store.instances import Direction
from engine.store.pool import (
    Connection,
    transaction,
)


class InstanceVerbs(Core):
    """What people ask about what is deployed."""

    async def instances(
        self,
        actor: Actor,
        *,
        scope: str = "mine",
        text: str | None = None,
        state: str | None = None,
        item: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[InstanceSummary]:
        """Return a page of service instances, newest first."""
        async with transaction(self._pool) as connection:
            return await lifecycle.page(
                connection,
                actor,
                scope=scope,
                text=text,
                state=state,
                item=item,
                limit=limit,
                cursor=cursor,
            )

    async def usable_instances(
        self,
        actor: Actor,
        *,
        text: str | None = None,
        item: str | None = None,
        versions: str | None = None,
        limit: int = 100,
    ) -> list[InstanceSummary]:
        """Return running instances of versions in a range, for something new to connect to."""
        async with transaction(self._pool) as connection:
            return await lifecycle.usable(
                connection, actor, text=text, item=item, versions=versions, limit=limit
            )

    async def instance(self, actor: Actor, instance_id: str) -> InstanceView:
        """Return an instance by its id, which may be shortened."""

        async def read(connection: Connection) -> InstanceView:
            row = await lifecycle.find(connection, actor, instance_id)
            return await lifecycle.view(connection, row)

        return await self._transact(read, actor)

    async def instance_dependencies(
        self, actor: Actor, instance_id: str, direction: Direction = "both"
    ) -> Sequence[DependencyView]:
        """Return what an instance needs, what needs it, or both."""

        async def read(connection: Connection) -> Sequence[DependencyView]:
            row = await lifecycle.find(connection, actor, instance_id)
            return await instance_dependencies.of_instance(connection, row.id, direction)

        return await self._transact(read, actor)

    async def instance_graph(
        self, actor: Actor, instance_id: str, direction: Direction = "both"
    ) -> str:
        """Return an instance's dependencies as a Mermaid graph."""

        async def read(connection: Connection) -> str:
            row = await lifecycle.find(connection, actor, instance_id)
            found = await instance_dependencies.of_instance(connection, row.id, direction)
            return instance_dependencies.mermaid(row, found)

        return await self._transact(read, actor)

    async def instance_history(self, actor: Actor, instance_id: str) -> Sequence[HistoryEntry]:
        """Return how an instance's updates and upgrades ended, newest first."""

        async def read(connection: Connection) -> Sequence[HistoryEntry]:
            row = await lifecycle.find(connection, actor, instance_id)
            return await lifecycle.history(connection, row.id)

        return await self._transact(read, actor)

    async def instance_timeline(self, actor: Actor, instance_id: str) -> Sequence[TimelineEntry]:
        """Return everything that happened to an instance, oldest first."""

        async def read(connection: Connection) -> Sequence[TimelineEntry]:
            row = await lifecycle.find(connection, actor, instance_id)
            return await lifecycle.timeline(connection, row.id)

        return await self._transact(read, actor)

    async def instance_operations(self, actor: Actor, instance_id: str) -> Sequence[OperationView]:
        """Return the updates and upgrades for an instance, ineligible ones with the reason."""

        async def read(connection: Connection) -> Sequence[OperationView]:
            row = await lifecycle.find(connection, actor, instance_id)
            return await lifecycle.operations(connection, actor, row.id)

        return await self._transact(read, actor)

    async def operation_form(
        self, actor: Actor, instance_id: str, request_type: OperationType, name: str
    ) -> OperationForm:
        """Return what a form of an update or upgrade shows; Conflict with the reason if ineligible."""
        return await self._transact(
            lambda connection: operations.form(connection, actor, instance_id, request_type, name),
            actor,
        )

    async def upgrade_path(
        self, actor: Actor, instance_id: str
    ) -> Sequence[Sequence[OperationView]]:
        """Return the chains of upgrades that lead on from each other, from the instance's version."""
        return await self._transact(
            lambda connection: operations.upgrade_path(connection, actor, instance_id), actor
        )

    async def can_decommission(self, actor: Actor, instance_id: str) -> DecommissionCheck:
        """Ask whether an instance may go, and who stands in the way."""

        async def read(connection: Connection) -> DecommissionCheck:
            row = await lifecycle.find(connection, actor, instance_id)
            return await decommission.check(connection, row.id)

        return await self._transact(read, actor)
