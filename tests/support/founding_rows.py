"""Rows of the founding tables, written by plain INSERTs, for tests of what the database does by itself."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from engine.store.pool import Connection

_numbers = itertools.count(1)


class Rows:
    """Writes rows with what is usual, and reads back what matters."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def value(self, query: str, *parameters: Any) -> Any:
        """Return the first column of the first row."""
        found = await self.all(query, *parameters)
        return found[0] if found else None

    async def all(self, query: str, *parameters: Any) -> list[Any]:
        """Return all rows; of one column, its values. What fails is undone alone."""
        async with self.connection.transaction():
            found = await (await self.connection.execute(query, parameters)).fetchall()
        return [row[0] if len(row) == 1 else row for row in found]

    async def item(self, name: str | None = None, version: str = "1.0.0", **columns: Any) -> UUID:
        return await self._insert(
            "catalog_items",
            {
                "name": name or f"item-{next(_numbers)}",
                "version": version,
                "owner": "platform",
                "presentation": {},
                "fulfillment": {},
                **columns,
            },
        )

    async def bundle(self, name: str | None = None, definition: Any = None, **columns: Any) -> UUID:
        return await self._insert(
            "catalog_bundles",
            {
                "name": name or f"bundle-{next(_numbers)}",
                "version": "1.0.0",
                "owner": "platform",
                "bundle_definition": definition or {},
                "presentation": {},
                **columns,
            },
        )

    async def operation(
        self, kind: str, name: str, targets: Sequence[Mapping[str, Any]] = (), **columns: Any
    ) -> UUID:
        """Write an update or upgrade item."""
        return await self._insert(
            f"{kind}_items",
            {
                "name": name,
                "version": "1.0.0",
                "owner": "platform",
                "targets": {"catalog_items": list(targets)},
                "presentation": {},
                "fulfillment": {},
                **columns,
            },
        )

    async def instance(
        self, state: str = "active", *, item: UUID | None = None, **columns: Any
    ) -> UUID:
        """Write an instance; of an item of its own where neither item nor bundle is given."""
        number = next(_numbers)
        if item is None and "catalog_bundle_id" not in columns:
            item = await self.item()
        return await self._insert(
            "service_instances",
            {
                "instance_id": f"si-test{number:08}",
                "catalog_item_id": item,
                "catalog_version": "1.0.0",
                "instance_name": f"instance {number}",
                "instance_state": state,
                "owner_user_id": "U1",
                "owner_team": "payments",
                "deployment_parameters": {},
                **columns,
            },
        )

    async def request(
        self, type_: str = "create", status: str = "submitted", **columns: Any
    ) -> UUID:
        """Write a request; what its type needs and `columns` leave out is made."""
        number = next(_numbers)
        if type_ == "create":
            if not {"catalog_item_id", "catalog_bundle_id"} & columns.keys():
                columns["catalog_item_id"] = await self.item()
        elif "target_instance_id" not in columns:
            columns["target_instance_id"] = await self.instance()
        if type_ in ("update", "upgrade") and f"{type_}_item_id" not in columns:
            columns[f"{type_}_item_id"] = await self.operation(type_, f"{type_}-{number}")
        return await self._insert(
            "service_requests",
            {
                "request_id": f"req-{number}",
                "request_type": type_,
                "catalog_version": "1.0.0",
                "status": status,
                "parameters": {},
                "requester_user_id": "U1",
                "requester_team": "payments",
                **columns,
            },
        )

    async def move(self, request: UUID, *statuses: str) -> None:
        """Take a request through statuses, each in a transaction of its own."""
        for status in statuses:
            await self.value("SELECT update_request_status(%s, %s)", request, status)

    async def state(self, instance: UUID) -> str:
        return str(
            await self.value("SELECT instance_state FROM service_instances WHERE id = %s", instance)
        )

    async def depend(
        self, dependent: UUID, provider: UUID, type_: str = "data", *, required: bool = True
    ) -> UUID:
        return await self._insert(
            "service_instance_dependencies",
            {
                "dependent_instance_id": dependent,
                "provider_instance_id": provider,
                "dependency_type": type_,
                "dependency_name": "db",
                "is_required": required,
            },
        )

    async def member(self, bundle: UUID, member: UUID) -> None:
        await self._insert(
            "bundle_instance_members",
            {
                "bundle_instance_id": bundle,
                "member_instance_id": member,
                "catalog_item_name": "any",
            },
        )

    async def bundle_instance(self, members: Sequence[UUID], state: str = "active") -> UUID:
        """Write an instance of a bundle with these members."""
        bundle = await self.instance(state, catalog_bundle_id=await self.bundle())
        for member in members:
            await self.member(bundle, member)
        return bundle

    async def events(self, kind: str) -> list[Any]:
        """Return the data of all events of a kind, in order."""
        return await self.all("SELECT data FROM events WHERE kind = %s ORDER BY id", kind)

    async def _insert(self, table: str, columns: Mapping[str, Any]) -> UUID:
        names = ", ".join(columns)
        places = ", ".join(["%s"] * len(columns))
        values = [Jsonb(v) if isinstance(v, (dict, list)) else v for v in columns.values()]
        return UUID(
            str(
                await self.value(
                    f"INSERT INTO {table} ({names}) VALUES ({places}) RETURNING id", *values
                )
            )
        )
