"""Browsing, searching and opening the catalog, each for what one person may see.

A search takes words, each as a prefix, and PostgreSQL's text index finds what has all of them; a
name that is meant comes first, then by where the words stand (name, tags, description). Pages
follow each other by the last row seen, never by a count, so a sync between two pages does no harm.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.catalog.documents import slugify
from engine.catalog.suggest import CATALOG_HINT, did_you_mean_one_of
from engine.errors import InvalidInput, NotFound, quoted
from engine.people.permissions import Action, Denied, document_subject, may
from engine.results import Actor, CatalogDetails, CatalogEntry, Kind, Page
from engine.store import catalog as store
from engine.store.catalog_rows import EntryRow, Filters, SyncRow, WholeRow
from engine.store.pool import Connection

PAGE = 50
"""Entries on a page, unless another number is asked for."""

LARGEST_PAGE = 500

MOST_WORDS = 20
"""Words of a search that are looked at; nobody types more."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list is narrowed to. `requestable` leaves what can be ordered now."""

    text: str | None = None
    kind: str | None = None
    category: str | None = None
    tag: str | None = None
    owner: str | None = None
    requestable: bool = False


async def entries(
    connection: Connection,
    actor: Actor,
    wanted: Wanted,
    *,
    limit: int = PAGE,
    cursor: str | None = None,
) -> Page[CatalogEntry]:
    """Return a page of entries: by name, or with `text` the best hit first.

    InvalidInput for a cursor that no page gave and for a limit that makes no sense.
    """
    if not 1 <= limit <= LARGEST_PAGE:
        raise InvalidInput(f"A page has 1 to {LARGEST_PAGE} entries, not {limit}", field="limit")
    if not actor.is_active:
        return Page(())
    filters = _filters(actor, wanted)
    after = _read_cursor(cursor) if cursor else None
    if wanted.text is None or not wanted.text.strip():
        place = after and (after[1], after[2])
        found = await store.list_entries(connection, filters, limit + 1, place)
    elif words := _words(wanted.text):
        query = " & ".join(f"{word}:*" for word in words)
        slug = slugify(wanted.text)
        found = await store.search_entries(
            connection, filters, query, slug, limit=limit + 1, after=after
        )
    else:
        found = []
    shown = found[:limit]
    more = _write_cursor(shown[-1]) if len(found) > limit else None
    return Page([_entry(row) for row in shown], more)


async def details(
    connection: Connection, actor: Actor, name: str, kind: str | None = None
) -> CatalogDetails:
    """Return the document of a name or slug.

    NotFound, with did-you-mean, where there is none; Denied, with the same NotFound, where there
    is one that the person may not see; InvalidInput with
    code `ambiguous_name` where several kinds have one and `kind` does not say which.
    """
    rows = await store.find_documents(connection, name)
    seen = [row for row in rows if kind in (None, row.kind) and _may_see(actor, row)]
    active = [row for row in seen if row.is_active]
    if not active:
        error = await _not_found(connection, actor, name, kind, seen)
        is_there = any(row.is_active for row in rows if kind in (None, row.kind))
        raise Denied(Action.SEE_CATALOG_ENTRY, name, error) if is_there else error
    if len(active) > 1:
        raise InvalidInput(
            f"{quoted(name)} is the name of more than one document",
            f"there is a {' and a '.join(row.kind for row in active)}",
            f"Say which, with --kind {active[0].kind}",
            field="kind",
            code="ambiguous_name",
        )
    return await _details(connection, active[0])


async def suggestion(
    connection: Connection, actor: Actor, name: str, kind: str | None = None
) -> str:
    """Return "did you mean ...?" for a name, out of what the person may see."""
    if not actor.is_active:
        return ""
    names = await store.visible_names(connection, _filters(actor, Wanted(kind=kind)))
    return did_you_mean_one_of(name, names)


async def statistics(connection: Connection) -> dict[str, Any]:
    """Return counts by kind, lifecycle and category, what is asked for most, and the last syncs."""
    counts: dict[str, Any] = dict(await store.statistics(connection, limit=10))
    syncs = await store.last_syncs(connection, limit=5)
    fields = SyncRow.__slots__
    return counts | {"syncs": [{name: getattr(sync, name) for name in fields} for sync in syncs]}


async def _details(connection: Connection, row: WholeRow) -> CatalogDetails:
    bundles = []
    if row.kind == "CatalogItem":
        bundles = await store.bundles_of_item(connection, row.name)
    return CatalogDetails(
        entry=_entry(row),
        presentation=row.presentation,
        fulfillment=row.fulfillment,
        bundle=row.bundle,
        targets=row.targets,
        dependencies=row.dependencies,
        access=row.access,
        approval=row.approval,
        channel=row.channel,
        bundles=[
            {
                "name": bundle.name,
                "version": bundle.version,
                "is_required": bundle.is_required,
                "version_constraint": bundle.version_constraint,
            }
            for bundle in bundles
        ],
        commit=row.commit,
        content_hash=row.source_file_hash or row.version,
        path=row.source_file_path,
    )


async def _not_found(
    connection: Connection,
    actor: Actor,
    name: str,
    kind: str | None,
    inactive: Sequence[WholeRow],
) -> NotFound:
    what = f"The catalog has no {kind or 'document'} {quoted(name)}"
    if inactive:
        return NotFound(
            what,
            f"it was removed on {inactive[0].updated_at:%Y-%m-%d}",
            f"Ask its owner, {inactive[0].owner}",
        )
    hint = (await suggestion(connection, actor, name, kind)).strip()
    return NotFound(what, do=hint or CATALOG_HINT)


def _may_see(actor: Actor, row: WholeRow) -> bool:
    return may(actor, Action.SEE_CATALOG_ENTRY, document_subject(row.owner, row.access))


def _filters(actor: Actor, wanted: Wanted) -> Filters:
    return Filters(
        teams=actor.teams,
        sees_all=actor.is_admin,
        kind=wanted.kind,
        category=wanted.category,
        tag=wanted.tag,
        owner=wanted.owner,
        requestable=wanted.requestable,
    )


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())[:MOST_WORDS]


def _entry(row: EntryRow | WholeRow) -> CatalogEntry:
    return CatalogEntry(
        kind=row.kind,
        name=row.name,
        slug=row.slug,
        display_name=row.display_name,
        version=row.version,
        category=row.category,
        owner=row.owner,
        tags=tuple(row.tags or ()),
        description=row.description,
        lifecycle=row.lifecycle,
        icon=row.icon,
        replaced_by=row.replaced_by,
    )


def _write_cursor(row: EntryRow) -> str:
    place: tuple[int, str, Kind] = (row.score, row.name, row.kind)
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _read_cursor(cursor: str) -> tuple[int, str, str]:
    try:
        score, name, kind = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return int(score), str(name), str(kind)
    except (binascii.Error, UnicodeError, ValueError, TypeError) as error:
        raise InvalidInput(
            "The cursor cannot be read",
            "it is not one that a page gave",
            "Start at the first page",
            field="cursor",
        ) from error
