"""A small change, judged without a look at the rest of the catalog.

The whole of ten thousand files takes half a second to list and load, whatever changed. Where settings
and own types stay and only ordinary files differ, what a change concerns (`concerns`) can be asked of
the database by slugs, and of Git by path, and everything else stays as it was. A link, which has the
blob of the file that it leads to, is found by that. Whenever one of this does not hold, or
something turns out to be wrong, nothing is said here and the sync looks at everything (`digest`): so
errors, and the names that they suggest, have one source.

Errors that stand since earlier syncs stay as they are while the change does not concern their files
and no name comes or goes: nothing that they say depends on anything else.

`look` runs in a thread, then `around` asks the database, then `judged` runs in a thread again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

from engine.catalog.checks import Known
from engine.catalog.columns import row_of
from engine.catalog.commits import Commits
from engine.catalog.concerns import concerned
from engine.catalog.documents import Kind
from engine.catalog.facts import facts_of, facts_of_row, has_errors, kind_and_name_of
from engine.catalog.findings import Finding
from engine.catalog.layout import SETTINGS_FILE, Layout, read_layout
from engine.catalog.objects import Objects
from engine.catalog.outcome import CONTENT_CHANGED, NO_BLOB, Before, Digest, Outcome
from engine.catalog.own_types import FILE_NAMES, OwnTypes
from engine.catalog.reader import LARGEST_FILE
from engine.catalog.summary import summary_of
from engine.catalog.survey import Survey
from engine.catalog.trees import Difference, TreeEntry
from engine.catalog.validation import FileResult, judge, read_file, types_of
from engine.errors import PaoError
from engine.store import catalog as store
from engine.store.catalog_rows import FileRow, LastSync
from engine.store.pool import Connection

SMALL: Final = 100
"""Files; from here on the whole is looked at."""


@dataclass(frozen=True, slots=True)
class Look:
    """What differs between two commits, read."""

    commit: str
    layout: Layout
    types: OwnTypes
    known: Known
    documents: Mapping[str, TreeEntry]
    removed: frozenset[str]
    replaced: frozenset[str]
    """The blobs that stood where something else stands now."""
    results: Mapping[str, FileResult]
    beside: bool
    """Whether files differ that are no documents: a module may have come."""

    @property
    def slugs(self) -> set[str]:
        """What the changed files define now."""
        return {slug for result in self.results.values() for slug in facts_of(result).defines}

    @property
    def mentions(self) -> set[str]:
        """What the changed files refer to now."""
        return {slug for result in self.results.values() for slug in facts_of(result).mentions}


def look(mirror: Commits, objects: Objects, old: str, new: str, known: Known) -> Look | None:
    """Read what differs; None where that is not a small change of ordinary documents."""
    try:
        differing = mirror.diff(old, new)
    except PaoError:  # the old commit is not in this mirror
        return None
    if not _is_small(differing, objects):
        return None
    layout = _layout(objects)
    types = _own_types(objects, layout)
    if layout.findings or types is None:
        return None
    documents = {
        path: found.after
        for path, found in differing.items()
        if found.after and layout.is_document(path)
    }
    known = replace(known, has_module=lambda path: objects.is_folder(path.strip("/")))
    results: dict[str, FileResult] = {}
    for path, entry in documents.items():
        content = objects.blob(entry, LARGEST_FILE)
        if content is None:
            return None
        results[path] = read_file(path, content, layout, types=types, known=known)
    return Look(
        commit=new,
        layout=layout,
        types=types,
        known=known,
        documents=documents,
        removed=frozenset(
            path
            for path, found in differing.items()
            if not found.after and layout.is_document(path)
        ),
        replaced=frozenset(found.before.blob for found in differing.values() if found.before),
        results=results,
        beside=not all(map(layout.is_document, differing)),
    )


def _is_small(differing: Mapping[str, Difference], objects: Objects) -> bool:
    """Whether a few ordinary files differ, no settings or types, and no folder has gone."""
    entries = [entry for found in differing.values() for entry in (found.before, found.after)]
    removed = [PurePosixPath(path) for path, found in differing.items() if not found.after]
    folders = {str(folder) for path in removed for folder in path.parents} - {"."}
    return (
        len(differing) < SMALL
        and {PurePosixPath(path).name for path in differing}.isdisjoint(
            (SETTINGS_FILE, *FILE_NAMES)
        )
        and all(entry.is_file for entry in entries if entry)
        and all(map(objects.is_folder, folders))
    )


def _layout(objects: Objects) -> Layout:
    return read_layout(objects.file(SETTINGS_FILE, LARGEST_FILE), objects.is_folder)


def _own_types(objects: Objects, layout: Layout) -> OwnTypes | None:
    """Return the own types, which are those of the last sync; None where one is a link."""
    contents: dict[str, bytes] = {}
    for folder in ("", *layout.roots):
        modes = objects.modes(folder)
        for name in modes.keys() & set(FILE_NAMES):
            path = f"{folder}/{name}" if folder else name
            content = objects.file(path, LARGEST_FILE)
            if content is None or not TreeEntry("", 0, modes[name]).is_file:
                return None
            contents[path] = content
    types, findings = types_of(contents, layout)
    return None if any(finding.is_error for finding in findings) else types


async def around(connection: Connection, seen: Look) -> Before | None:
    """Return what the database has of everything that the change concerns; None for too much."""
    changed, blobs = {*seen.results, *seen.removed}, {*seen.replaced, NO_BLOB}
    asked = seen.slugs
    found = await store.files_about(connection, asked, changed, blobs)
    if any(row.path not in changed and row.blob_hash in blobs for row in found):
        return None  # a link, to what changed or to what may have come
    files = {row.path: row for row in found}
    while fresh := _slugs(found) - asked:  # upwards: who refers to it, and who to those
        asked |= fresh
        found = await store.files_about(connection, fresh)
        files |= {row.path: row for row in found}
        if len(files) >= SMALL:
            return None
    named = seen.mentions | {slug for row in files.values() for slug in row.mentions}
    while fresh := named - asked:  # downwards: what they name
        asked |= fresh
        found = await store.files_defining(connection, sorted(fresh))
        files |= {row.path: row for row in found}
        named |= {slug for row in found for slug in row.mentions}
        if len(files) >= SMALL:
            return None
    documents = await store.documents_named(connection, *_keys(seen, files.values()))
    return Before(files, documents, everything=False)


def _slugs(rows: Iterable[FileRow]) -> set[str]:
    return {slug for row in rows for slug in facts_of_row(row).defines}


def _keys(seen: Look, rows: Iterable[FileRow]) -> tuple[list[Kind], list[str]]:
    """Return kinds and names of the documents of these files, before and now."""
    keys = {
        (subject.document.kind, subject.document.name)
        for result in seen.results.values()
        for subject in result.subjects
    }
    named = (kind_and_name_of(defined) for row in rows for defined in row.defines)
    keys |= {(kind, name) for kind, name in named if kind is not None}
    return [kind for kind, _ in keys], [name for _, name in keys]


def judged(objects: Objects, seen: Look, before: Before, last: LastSync) -> Digest | None:
    """Judge what the change concerns; None where something is wrong with it."""
    concerns = concerned(
        {path: facts_of_row(row) for path, row in before.files.items()},
        {path: facts_of(result) for path, result in seen.results.items()},
        removed=seen.removed,
        suspects=(),
        has_module=lambda path: objects.is_folder(path.strip("/")),
    )
    if last.errors and not _leaves_errors(seen, before, concerns.judged):
        return None
    entries = {
        path: seen.documents.get(path) or TreeEntry(before.files[path].blob_hash, 0, "100644")
        for path in concerns.judged | concerns.context
    }
    results = dict(seen.results)
    for path in entries.keys() - results.keys():
        content = objects.blob(entries[path], LARGEST_FILE) or b""
        results[path] = read_file(path, content, seen.layout, types=seen.types, known=seen.known)
    report = judge(
        [results[path] for path in sorted(concerns.judged)],
        seen.layout,
        also=[s for path in sorted(concerns.context) for s in results[path].subjects],
    )
    if report.errors:
        return None
    survey = Survey(seen.commit, seen.layout, frozenset(), entries, {}, {})
    before = _narrowed(before, entries.keys() | seen.removed)
    summaries = {
        path: summary_of(results[path], seen.layout, seen.types) for path in concerns.judged
    }
    kept = _kept(last, concerns.judged | seen.removed)
    found = [*report.findings, *kept]
    outcome = Outcome(survey, before, summaries, found, lambda _: results)
    digest = outcome.digest([row_of(document) for document in report.documents])
    if len([finding for finding in digest.findings if finding.is_error]) > len(last.errors):
        return None
    moved = sum(change.change != "added" for change in digest.changes)
    return replace(digest, unchanged=last.in_service - moved, broken=None)


def _leaves_errors(seen: Look, before: Before, judged: Collection[str]) -> bool:
    """Whether no standing error is about what is judged, nor about what comes or goes."""
    rows = before.files
    now = {path: facts_of(result).defines for path, result in seen.results.items()}
    then = {path: facts_of_row(row).defines for path, row in rows.items()}
    touched = (*seen.results, *seen.removed)
    return (
        not seen.beside
        and all(now.get(path) == then.get(path) for path in touched)
        and not any(
            rows[path].is_broken or has_errors(rows[path]) for path in judged if path in rows
        )
    )


def _narrowed(before: Before, paths: Collection[str]) -> Before:
    """Leave out what was found by the way: to the outcome, a file that it does not see is gone."""
    return Before(
        {path: row for path, row in before.files.items() if path in paths},
        [row for row in before.documents if row.source_file_path in paths],
        everything=False,
    )


def _kept(last: LastSync, judged: frozenset[str]) -> list[Finding]:
    """Return the findings of the last sync about files that are not judged again."""
    return [
        Finding(**finding)
        for finding in (*last.errors, *last.warnings)
        if finding["code"] != CONTENT_CHANGED and finding["file"] not in judged
    ]
