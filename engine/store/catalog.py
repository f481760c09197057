"""The catalog's tables: documents of the last good commit, files as last read, syncs.

Syncs exclude each other by a lock on a connection of their own (`locked_for_sync`), so what a sync
has read of these tables still holds when it writes them. Large sets come as COPY text that was
made elsewhere: turning ten thousand documents into text takes a second that no event loop has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from psycopg import sql
from psycopg.rows import args_row

from engine.events import CATALOG_CHANNEL, NewEvent
from engine.results import Kind
from engine.store import events, queries
from engine.store.catalog_rows import (
    FILES,
    INCOMING,
    BundleRow,
    DocumentRow,
    EntryRow,
    FileRow,
    Filters,
    LastSync,
    Origin,
    SyncEnd,
    SyncRow,
    TouchedRow,
    WholeRow,
)
from engine.store.migrate import LOCK_SPACE
from engine.store.pool import Connection, connect, driver_errors
from engine.store.rows import jsonb, row_or_none, rows, run, value, values

T = TypeVar("T")

SYNC_LOCK = 2

SYNC_SESSION = {"lock_timeout": "10min", "statement_timeout": "0"}
"""A sync waits for another process's; longer than a fetch and a cold read take together."""

WHOLE = 1 << 18
"""Bytes that are handed to the connection at once."""

_sql = queries.load("catalog")
_entries = queries.load("catalog_entries")


# Syncs


@asynccontextmanager
async def locked_for_sync(dsn: str) -> AsyncIterator[Connection]:
    """Wait for every other process's sync and hold the lock; `dsn` reaches the server directly.

    The lock is the connection's, outside any transaction: it goes when the process dies.
    """
    connection = await connect(dsn, "pao-sync", SYNC_SESSION)
    async with connection:
        await run(connection, _sql.lock_sync, {"space": LOCK_SPACE, "key": SYNC_LOCK})
        yield connection


async def begin_sync(connection: Connection, url: str, branch: str, trigger: str) -> int:
    """Write the row of a sync that begins and return its id; called with the lock held."""
    parameters = {"url": url, "branch": branch, "trigger": trigger}
    return int(await value(connection, _sql.begin_sync, parameters))


async def end_sync(connection: Connection, sync_id: int, end: SyncEnd) -> int:
    """Complete the row of a sync and return how many milliseconds it took."""
    parameters = {
        "id": sync_id,
        "status": end.status,
        "commit": end.commit,
        "rules": end.rules,
        "unchanged": end.unchanged,
        "counts": jsonb(end.counts),
        "errors": jsonb(list(end.errors)),
        "warnings": jsonb(list(end.warnings)),
        "error_message": end.error_message,
    }
    return int(await value(connection, _sql.end_sync, parameters))


async def forget_idle_syncs(connection: Connection, sync_id: int, commit: str) -> None:
    """Keep one row of all the syncs by the interval that found `commit` again."""
    await run(connection, _sql.forget_idle_syncs, {"id": sync_id, "commit": commit})


async def last_sync(connection: Connection) -> LastSync | None:
    """Return the completed sync that the catalog serves, None before the first."""
    return await row_or_none(connection, _sql.last_sync, {}, LastSync)


async def origin_of_commit(connection: Connection, commit: str) -> Origin | None:
    """Return the repository that a commit was synced from, None for one that never was."""
    return await row_or_none(connection, _sql.origin_of_commit, {"commit": commit}, Origin)


async def last_failure(connection: Connection) -> str | None:
    """Return why the newest sync failed, None where it did not."""
    reason = await value(connection, _sql.last_failure, {})
    return None if reason is None else str(reason)


async def last_syncs(connection: Connection, limit: int) -> list[SyncRow]:
    """Return the newest syncs, whatever became of them."""
    return await rows(connection, _sql.last_syncs, {"limit": limit}, SyncRow)


async def files(connection: Connection) -> list[FileRow]:
    """Return every file that the last sync knew."""
    return await _tuples(connection, _sql.files, FileRow)


async def files_about(
    connection: Connection,
    slugs: Iterable[str],
    paths: Iterable[str] = (),
    blobs: Iterable[str] = (),
) -> list[FileRow]:
    """Return the files that define or mention one of the slugs, or are of these paths or blobs."""
    parameters = {"slugs": sorted(slugs), "paths": sorted(paths), "blobs": sorted(blobs)}
    return await _tuples(connection, _sql.files_about, FileRow, parameters)


async def files_defining(connection: Connection, slugs: Sequence[str]) -> list[FileRow]:
    """Return the files that define a document of these slugs."""
    return await _tuples(connection, _sql.files_defining, FileRow, {"slugs": list(slugs)})


async def documents_named(
    connection: Connection, kinds: Sequence[Kind], names: Sequence[str]
) -> list[DocumentRow]:
    """Return the documents of these kinds and names, active or not."""
    parameters = {"kinds": list(kinds), "names": list(names)}
    return await _tuples(connection, _sql.documents_named, DocumentRow, parameters)


async def documents(connection: Connection) -> list[DocumentRow]:
    """Return every document that the catalog knows, active or not."""
    return await _tuples(connection, _sql.documents, DocumentRow)


async def replace_files(connection: Connection, gone: Iterable[str], copy_text: bytes) -> None:
    """Forget the files `gone`, and learn those in `copy_text`, in the order of FILES."""
    await run(connection, _sql.forget_files, {"paths": list(gone)})
    await _copy(connection, "catalog_files", FILES, copy_text)


async def mark_broken(
    connection: Connection, broken: Sequence[str], newly: Sequence[str], commit: str | None
) -> None:
    """Say which files are served in an earlier version; those that broke `newly` at `commit`."""
    await run(connection, _sql.break_files, {"broken": list(broken)})
    if newly and commit:
        await run(connection, _sql.pin_broken, {"paths": list(newly), "commit": commit})


async def deactivate(connection: Connection, gone: Iterable[tuple[Kind, str]]) -> None:
    """Take documents out of service."""
    pairs = list(gone)
    parameters = {"kinds": [kind for kind, _ in pairs], "names": [name for _, name in pairs]}
    await run(connection, _sql.deactivate, parameters)


async def merge(connection: Connection, documents: Mapping[Kind, bytes], commit: str) -> None:
    """Put documents, as COPY text in the order of INCOMING, into service."""
    for kind, copy_text in documents.items():
        await _copy(connection, "catalog_incoming", INCOMING, copy_text)
        await run(connection, _MERGES[kind], {"commit": commit})
        await run(connection, _sql.clear_incoming, {})


_MERGES: Mapping[Kind, str] = {
    "CatalogItem": _sql.merge_items,
    "CatalogBundle": _sql.merge_bundles,
    "UpdateItem": _sql.merge_updates,
    "UpgradeItem": _sql.merge_upgrades,
}


async def refresh_eligibility(connection: Connection, changed: Iterable[tuple[Kind, str]]) -> int:
    """Judge again the operations of instances that changed documents are about.

    Returns how many operations became eligible.
    """
    pairs = list(changed)
    if not pairs:
        return 0
    parameters = {"kinds": [kind for kind, _ in pairs], "names": [name for _, name in pairs]}
    return int(await value(connection, _sql.refresh_eligibility, parameters))


async def tell(connection: Connection, report: Mapping[str, Any]) -> None:
    """Write the event of a sync and notify every process, when the transaction commits."""
    await events.write(connection, NewEvent("catalog.synced", data=report))
    await run(connection, _sql.notify, {"channel": CATALOG_CHANNEL})


# Reading


async def list_entries(
    connection: Connection, filters: Filters, limit: int, after: tuple[str, str] | None
) -> list[EntryRow]:
    """Return a page of documents by name; `after` is the (name, kind) of the page before."""
    name, kind = after or (None, None)
    parameters = _filters(filters) | {"limit": limit, "after_name": name, "after_kind": kind}
    return await rows(connection, _entries.list_entries, parameters, EntryRow)


async def search_entries(
    connection: Connection,
    filters: Filters,
    words: str,
    slug: str,
    *,
    limit: int,
    after: tuple[int, str, str] | None,
) -> list[EntryRow]:
    """Return a page of hits, the best first.

    `words` is a tsquery; `slug` what a name would have to be, or begin with, to be meant. `after`
    is the (score, name, kind) of the page before.
    """
    score, name, kind = after or (None, None, None)
    parameters = _filters(filters) | {
        "words": words,
        "slug": slug,
        "limit": limit,
        "after_score": score,
        "after_name": name,
        "after_kind": kind,
    }
    return await rows(connection, _entries.search_entries, parameters, EntryRow)


async def find_documents(connection: Connection, name: str) -> list[WholeRow]:
    """Return the documents of a name or slug, in service or not, those in service first."""
    return await rows(connection, _entries.find_documents, {"name": name}, WholeRow)


async def bundles_of_item(connection: Connection, name: str) -> list[BundleRow]:
    """Return the active bundles that contain the item."""
    return await rows(connection, _entries.bundles_of_item, {"name": name}, BundleRow)


async def touched_instances(
    connection: Connection, targets: Sequence[Mapping[str, Any]], reach: Mapping[str, Any]
) -> list[TouchedRow]:
    """Return the running instances that targets are about, by their number.

    A target is `{number, kind, slug, version_range}`; `reach` says whose instances are seen:
    `{sees_all, user_id, teams}`.
    """
    parameters = {"targets": jsonb(list(targets)), **reach}
    return await rows(connection, _entries.touched_instances, parameters, TouchedRow)


async def visible_names(connection: Connection, filters: Filters) -> list[str]:
    """Return every name and slug that may be proposed."""
    return await values(connection, _entries.visible_names, _filters(filters))


async def statistics(connection: Connection, limit: int) -> dict[str, list[dict[str, Any]]]:
    """Return counts by kind and category, and what was requested most."""
    return {
        "documents": await _records(connection, _entries.count_by_kind, {}),
        "categories": await _records(connection, _entries.count_by_category, {}),
        "most_requested": await _records(connection, _entries.count_by_use, {"limit": limit}),
    }


def _filters(filters: Filters) -> dict[str, Any]:
    return {
        "teams": list(filters.teams),
        "sees_all": filters.sees_all,
        "kind": filters.kind,
        "category": filters.category,
        "tag": filters.tag,
        "owner": filters.owner,
        "requestable": filters.requestable,
    }


async def _tuples(
    connection: Connection,
    query: str,
    make: Callable[..., T],
    params: Mapping[str, Any] | None = None,
) -> list[T]:
    with driver_errors():
        async with connection.cursor(row_factory=args_row(make)) as cursor:
            await cursor.execute(query, params or {})
            return await cursor.fetchall()


async def _records(
    connection: Connection, query: str, params: Mapping[str, Any]
) -> list[dict[str, Any]]:
    with driver_errors():
        cursor = await connection.execute(query, params)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def _copy(
    connection: Connection, table: str, columns: Sequence[str], copy_text: bytes
) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with driver_errors():
        async with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for start in range(0, len(copy_text), WHOLE):
                await copy.write(copy_text[start : start + WHOLE])
