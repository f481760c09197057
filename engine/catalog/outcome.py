"""From the verdict on documents to everything that one transaction writes.

What is put into service is good by itself and with all others. A broken file keeps in service what the
catalog has of it. The rows are made here as text for COPY, since this runs in a thread or, where it is
much, in another process, and the event loop has no time for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.catalog.columns import Row
from engine.catalog.documents import Document, Kind
from engine.catalog.findings import Finding, in_order
from engine.catalog.source import Source
from engine.catalog.summary import NO_SUMMARY, Summary
from engine.catalog.survey import Survey
from engine.catalog.validation import FileResult
from engine.store.catalog_rows import DocumentRow, FileRow
from engine.store.copying import Json, copy_line

Key = tuple[Kind, str]
"""Kind and name of a document."""

CONTENT_CHANGED = "content-changed"
"""Code of the warning about a content that changed while its version did not. It is about a change,
not about a file, so it is told once and not kept."""

NO_BLOB = ""
"""What stands for the blob of a file that was refused, such as a link that leads nowhere."""


@dataclass(frozen=True, slots=True)
class Before:
    """What the catalog holds. `everything`: no verdict of an earlier sync counts any more."""

    files: Mapping[str, FileRow]
    documents: Sequence[DocumentRow]
    everything: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one document: added, updated or removed."""

    kind: Kind
    name: str
    change: str
    from_version: str | None
    to_version: str | None

    def as_json(self) -> dict[str, str | None]:
        """Return the change as the report of a sync has it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Digest:
    """Everything that a sync writes.

    `documents`, by their kind, and `files` are rows for COPY, `replaced` the files whose old row goes, `broken` those
    of which an earlier version is served; None where that stays as it was.
    """

    documents: Mapping[Kind, bytes]
    gone: tuple[Key, ...]
    files: bytes
    replaced: tuple[str, ...]
    broken: tuple[str, ...] | None
    newly_broken: tuple[str, ...]
    changes: tuple[Change, ...]
    unchanged: int
    findings: tuple[Finding, ...]


class Outcome:
    """From the verdict to what is written."""

    def __init__(
        self,
        survey: Survey,
        before: Before,
        summaries: Mapping[str, Summary],
        findings: Sequence[Finding],
        whole: Callable[[Sequence[str]], Mapping[str, FileResult]],
    ) -> None:
        """Take the files that were judged, what is wrong, and a way to find files whole."""
        self._survey = survey
        self._before = before
        self._summaries = summaries
        self._findings = list(findings)
        self._whole = whole

    def digest(self, good: Sequence[Row]) -> Digest:
        """Return what is written when these documents are good, by themselves and with others."""
        broken = self._files_with_faults(good)
        good = self._without_clashes(good, broken)
        broken |= self._files_with_faults(good)
        incoming = {_key(row): row for row in good}
        rows = {(row.kind, row.name): row for row in self._before.documents if row.is_active}
        changes = list(_changes(incoming, rows))
        self._warn_of_changed_content(incoming, rows)
        slugs = {(row.kind, row.slug) for row in good}
        gone = [
            row
            for key, row in rows.items()
            if key not in incoming and ((row.kind, row.slug) in slugs or self._is_gone(row, broken))
        ]
        changes += [Change(row.kind, row.name, "removed", row.version, None) for row in gone]
        served = {row.source_file_path for key, row in rows.items() if key not in incoming}
        broken = {path for path in broken if path in served} | self._still_broken()
        return Digest(
            documents=_moved(incoming, rows),
            gone=tuple((row.kind, row.name) for row in gone),
            files=b"".join(self._file_lines(broken)),
            replaced=tuple(self._replaced()),
            broken=tuple(sorted(broken)),
            newly_broken=tuple(sorted(p for p in broken if not self._was_broken(p))),
            changes=tuple(sorted(changes, key=lambda change: (change.kind, change.name))),
            unchanged=len(rows) - sum(change.change != "added" for change in changes),
            findings=tuple(in_order([*self._findings, *self._kept_findings()])),
        )

    def _files_with_faults(self, good: Sequence[Row]) -> set[str]:
        """Return the judged files that have an error, or a document that is not good."""
        faults = {finding.file for finding in self._findings if finding.is_error}
        number: defaultdict[str, int] = defaultdict(int)
        for row in good:
            number[row.file] += 1
        return {
            path
            for path, summary in self._summaries.items()
            if path in faults or summary.documents != number[path]
        }

    def _without_clashes(self, good: Sequence[Row], broken: set[str]) -> list[Row]:
        """Leave out a document whose slug another one has that a broken file keeps in service."""
        names = {_key(row) for row in good}
        kept = {
            (row.kind, row.slug): row
            for row in self._before.documents
            if row.is_active
            and row.source_file_path in broken
            and (row.kind, row.name) not in names
        }
        free = []
        for row in good:
            other = kept.get((row.kind, row.slug))
            if other is None or other.source_file_path == row.file:
                free.append(row)
                continue
            message = (
                f"the name means the same as {other.name!r} of {other.source_file_path}, which is "
                "broken and stays in service as it was until it is mended"
            )
            (source,) = self._sources([row])
            self._findings.append(source.find("duplicate-name", ("name",), message))
        return free

    def _warn_of_changed_content(
        self, incoming: Mapping[Key, Row], rows: Mapping[Key, DocumentRow]
    ) -> None:
        suspects = [
            (new, row.source_file_hash)
            for key, new in incoming.items()
            if (row := rows.get(key)) is not None
            and row.version == new.version
            and row.source_file_hash not in (None, new.content_hash)
        ]
        sources = self._sources([new for new, _ in suspects])
        for (new, before), source in zip(suspects, sources, strict=True):
            message = (
                f"the content changed and the version is still {new.version} "
                f"(hash {before} before, {new.content_hash} now)"
            )
            self._findings.append(
                source.find(CONTENT_CHANGED, ("version",), message, severity="warning")
            )

    def _sources(self, rows: Sequence[Row]) -> list[Source]:
        """Return where each document stands."""
        files = self._whole(list({row.file for row in rows}))
        return [
            next(s.source for s in files[row.file].subjects if _key(s.document) == _key(row))
            for row in rows
        ]

    def _is_gone(self, row: DocumentRow, broken: set[str]) -> bool:
        """Whether a document in service, not among the good ones, is in no file any more."""
        path = row.source_file_path
        if path in self._summaries:
            return path not in broken
        return path not in self._survey.documents

    def _still_broken(self) -> set[str]:
        """Return the files that were broken and are not judged this time."""
        return {
            path
            for path, row in self._before.files.items()
            if row.is_broken and path in self._survey.documents and path not in self._summaries
        }

    def _was_broken(self, path: str) -> bool:
        row = self._before.files.get(path)
        return row is not None and row.is_broken

    def _replaced(self) -> Iterator[str]:
        """Yield the files whose row is written anew, and those that are gone."""
        yield from self._summaries
        yield from self._survey.settings
        yield from (
            path
            for path in self._before.files
            if path not in self._survey.documents and path not in self._survey.settings
        )

    def _file_lines(self, broken: set[str]) -> Iterator[bytes]:
        by_file: defaultdict[str, list[Finding]] = defaultdict(list)
        for finding in self._findings:
            if finding.code != CONTENT_CHANGED:
                by_file[finding.file].append(finding)
        entries = {**self._survey.documents, **self._survey.settings}
        for path in (*self._summaries, *self._survey.settings):
            summary = self._summaries.get(path, NO_SUMMARY)
            yield copy_line(
                [
                    path,
                    entries[path].blob if path in entries else NO_BLOB,
                    summary.defines,
                    sorted(summary.facts.mentions),
                    sorted(summary.facts.modules),
                    Json([finding.as_json() for finding in by_file[path]]),
                    path in broken,
                ]
            )

    def _kept_findings(self) -> Iterator[Finding]:
        """Yield what is still wrong with files that nothing concerned."""
        for path, row in self._before.files.items():
            if path in self._survey.documents and path not in self._summaries:
                yield from (Finding(**finding) for finding in row.findings or ())


def _key(document: Row | Document) -> Key:
    return document.kind, document.name


def _changes(incoming: Mapping[Key, Row], rows: Mapping[Key, DocumentRow]) -> Iterator[Change]:
    for key, new in incoming.items():
        row = rows.get(key)
        if row is None:
            yield Change(*key, "added", None, new.version)
        elif row.source_file_hash != new.content_hash:
            yield Change(*key, "updated", row.version, new.version)


def _moved(incoming: Mapping[Key, Row], rows: Mapping[Key, DocumentRow]) -> dict[Kind, bytes]:
    """Return the rows of documents that are new, changed, or in another file than before."""
    lines: defaultdict[Kind, list[bytes]] = defaultdict(list)
    for key, new in incoming.items():
        row = rows.get(key)
        now = (new.content_hash, new.file)
        if row is None or (row.source_file_hash, row.source_file_path) != now:
            lines[new.kind].append(new.line)
    return {kind: b"".join(its) for kind, its in lines.items()}
