"""Which running instances a change of the catalog is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.catalog.diff import DocumentChange
from engine.catalog.documents import Kind
from engine.results import Actor
from engine.store import catalog as store
from engine.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Touched:
    """The instances that the change of one document is about; `instance_ids` the oldest hundred.

    Of an item or bundle its own, of an operation those that it is, or was, offered for.
    """

    kind: Kind
    name: str
    count: int
    instance_ids: tuple[str, ...]


async def touched_instances(
    connection: Connection, actor: Actor, changes: Sequence[DocumentChange]
) -> list[Touched]:
    """Return the running instances that the actor may see, for each change that touches some."""
    targets = [
        {
            "number": number,
            "kind": target.kind,
            "slug": target.slug,
            "version_range": target.version_range,
        }
        for number, change in enumerate(changes)
        for target in change.targets
    ]
    reach = {
        "sees_all": actor.is_admin,
        "user_id": actor.user_id,
        "teams": sorted(actor.teams),
    }
    found = await store.touched_instances(connection, targets, reach)
    return [
        Touched(
            changes[row.number].kind, changes[row.number].name, row.count, tuple(row.instance_ids)
        )
        for row in found
    ]
