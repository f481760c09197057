"""An engine on the test's database, documents to request, and people to request them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from psycopg.types.json import Jsonb

from engine import Actor, EngineConfig
from engine.store.pool import Connection
from tests.support.encryption import KEY

ALICE = Actor("U1", "Alice", "alice@example.com", ("payments",), audit_name="U1")
BOB = Actor("U2", "Bob", "bob@example.com", ("payments",), audit_name="U2")
MALLORY = Actor("U3", "Mallory", None, ("others",), audit_name="U3")
OWNER = Actor("U4", "Owner", None, ("platform",), audit_name="U4")
ADMIN = Actor("U9", "Admin", None, (), is_admin=True, audit_name="U9")

MANUAL = {"system": "webhook", "template": {"url": "http://127.0.0.1:9/tickets"}}
FIELDS = [{"name": "size", "type": "string", "default": "small"}]


def config(dsn: str, data_dir: Path, **settings: Any) -> EngineConfig:
    return EngineConfig(
        **{
            "database_url": dsn,
            "data_dir": data_dir,
            "outbound_allow": ("127.0.0.1", "127.0.0.0/8"),
            "encryption_keys": (KEY,),
            **settings,
        }
    )


def automation(steps: Sequence[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """A fulfillment that tries again quickly."""
    policy = {"max_attempts": 3, "initial_delay": 0, "max_delay": 0}
    return {
        "manual": MANUAL,
        "automation": {"retry_policy": policy, "steps": list(steps), **more},
    }


async def add_item(
    connection: Connection,
    name: str = "database",
    *,
    fulfillment: Mapping[str, Any] | None = None,
    fields: Sequence[Mapping[str, Any]] = FIELDS,
    version: str = "1.0.0",
    owner: str = "platform",
    **columns: Any,
) -> str:
    """Put a catalog item into service as a sync would; return its content hash."""
    return await add_document(
        connection,
        "catalog_items",
        {
            "name": name,
            "version": version,
            "owner": owner,
            "presentation": {"fields": list(fields)},
            "fulfillment": fulfillment or {"manual": MANUAL},
            **columns,
        },
    )


async def add_bundle(
    connection: Connection,
    name: str,
    bundle: Mapping[str, Any],
    *,
    fields: Sequence[Mapping[str, Any]] = (),
    version: str = "1.0.0",
    owner: str = "platform",
    **columns: Any,
) -> str:
    """Put a bundle into service as a sync would; return its content hash."""
    return await add_document(
        connection,
        "catalog_bundles",
        {
            "name": name,
            "version": version,
            "owner": owner,
            "presentation": {"bundle_fields": list(fields)},
            "bundle_definition": bundle,
            **columns,
        },
    )


async def add_operation(
    connection: Connection,
    kind: str,
    name: str,
    targets: Sequence[Mapping[str, Any]],
    *,
    fulfillment: Mapping[str, Any] | None = None,
    fields: Sequence[Mapping[str, Any]] = (),
    version: str = "1.0.0",
    owner: str = "platform",
    more: Mapping[str, Any] | None = None,
    **columns: Any,
) -> str:
    """Put an update or upgrade into service as a sync would; return its content hash.

    `more`: keys of the `targets` section beside the items, `destructive` say.
    """
    section = {"catalog_items": list(targets), **(more or {})}
    flags = ("destructive", "downtime_required", "estimated_duration")
    defaults = {"destructive": False, "downtime_required": False}
    return await add_document(
        connection,
        f"{kind}_items",
        {
            "name": name,
            "version": version,
            "owner": owner,
            "targets": section,
            "presentation": {"fields": list(fields)},
            "fulfillment": fulfillment or {"manual": MANUAL},
            **defaults,
            **{flag: section[flag] for flag in flags if flag in section},
            **columns,
        },
    )


async def add_document(connection: Connection, table: str, columns: Mapping[str, Any]) -> str:
    """Put a document into its table, or a new version of it; return its content hash."""
    content_hash = hashlib.sha256(json.dumps(columns, default=str).encode()).hexdigest()
    values = {"source_file_hash": content_hash, **columns}
    names = ", ".join(values)
    marks = ", ".join(f"%({key})s" for key in values)
    changes = ", ".join(f"{key} = EXCLUDED.{key}" for key in values)
    statement = (
        f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT (name) DO UPDATE SET {changes}"
    )
    parameters = {
        key: Jsonb(value) if isinstance(value, dict | list) else value
        for key, value in values.items()
    }
    await connection.execute(statement.encode(), parameters)
    return content_hash


async def rows_of(connection: Connection, query: str, *values: Any) -> list[Any]:
    """The rows of a query; single columns as their values."""
    cursor = await connection.execute(query.encode(), values)
    found = await cursor.fetchall()
    return [row[0] if len(row) == 1 else row for row in found]
