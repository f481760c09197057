"""Limits judged again when a scheduled request starts: what its team may have can have changed."""

from __future__ import annotations

from engine.config import EngineConfig
from engine.errors import NotFound
from engine.people.directory import find_actor
from engine.requests.judging import access_of, named
from engine.requests.parameters import max_active, narrowed
from engine.results import Kind
from engine.store import documents, gates
from engine.store.pool import Connection
from engine.store.requests import RequestRow


async def beyond(connection: Connection, config: EngineConfig, row: RequestRow) -> str | None:
    """Return why a create is more than the requester's teams may have now, None where it is not."""
    if row.request_type != "create" or row.requester_team is None:
        return None
    kind: Kind = "CatalogItem" if row.catalog_item else "CatalogBundle"
    name = row.catalog_item or row.catalog_bundle or ""
    document = named(await documents.held_documents(connection, kind, [name]), name)
    access = document and access_of(document.access)
    if document is None or not access:
        return None
    try:
        actor = await find_actor(connection, config, row.requester_user_id, source="cli")
    except NotFound:
        return f"{row.requester_user_id} is not known any more"
    for field, allowed in narrowed(actor, access).items():
        value = row.parameters.get(field)
        chosen = value if isinstance(value, list) else [] if value is None else [value]
        beyond_limit = [one for one in chosen if one not in allowed]
        if beyond_limit:
            return f"{field} may not be {beyond_limit[0]} for the team any more"
    most = max_active(actor, access)
    if most is None:
        return None
    count = await gates.count_begun(connection, row.id, row.requester_team, document.id)
    return f"the team may have {most} at a time, and has {count}" if count >= most else None
