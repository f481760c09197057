"""Documents of any kind as a submission needs them, held against syncs while it is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from engine.results import Kind
from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import rows, value, values

_sql = queries.load("documents")

_HOLD: Final[Mapping[Kind, str]] = {
    "CatalogItem": _sql.hold_items,
    "CatalogBundle": _sql.hold_bundles,
    "UpdateItem": _sql.hold_updates,
    "UpgradeItem": _sql.hold_upgrades,
}


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document of any kind as a submission needs it, sections as written.

    `fulfillment` is empty for a bundle; `bundle` and `targets` are there where the kind has them.
    """

    id: UUID
    kind: Kind
    name: str
    slug: str
    display_name: str
    version: str
    description: str | None
    owner: str
    tags: Sequence[str]
    category: str | None
    icon: str | None
    channel: str | None
    is_active: bool
    lifecycle: str
    replaced_by: str | None
    access: Mapping[str, Any] | None
    approval: Mapping[str, Any] | None
    presentation: Mapping[str, Any]
    fulfillment: Mapping[str, Any]
    dependencies: Sequence[Mapping[str, Any]]
    bundle: Mapping[str, Any] | None
    targets: Mapping[str, Any] | None
    destructive: bool
    downtime_required: bool
    estimated_duration: str | None
    source_commit: str | None
    source_file_path: str | None
    source_file_hash: str | None

    @property
    def content_hash(self) -> str:
        """The hash of the document that a form is drawn from."""
        return self.source_file_hash or self.version


async def held_documents(
    connection: Connection, kind: Kind, names: Sequence[str]
) -> list[StoredDocument]:
    """Return the documents of names or slugs, active ones first, held against syncs."""
    ids = await values(connection, _HOLD[kind], {"names": list(names)})
    return await documents(connection, ids) if ids else []


async def hold_items_of_bundle(connection: Connection, name: str) -> None:
    """Hold the items of a bundle against syncs, before the bundle itself."""
    await values(connection, _sql.hold_items_of_bundle, {"name": name})


async def documents(connection: Connection, ids: Sequence[UUID]) -> list[StoredDocument]:
    """Return documents of any kind by their ids, active ones first."""
    return await rows(connection, _sql.documents, {"ids": list(ids)}, StoredDocument)


async def document_of_instance(connection: Connection, instance_id: UUID) -> StoredDocument:
    """Return the item or bundle that an instance is of, active or not."""
    found = await value(connection, _sql.document_of_instance, {"id": instance_id})
    return (await documents(connection, [found]))[0]
