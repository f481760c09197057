"""What a commit makes of the catalog: which files are judged again, what is put into service.

Given are the commit's files (`survey`) and what the catalog holds (`Before`). Only what a change
concerns is read and judged (`concerns`); the verdict on all other files is the one that was kept.
Out comes everything that one transaction writes, the rows already as text for COPY, since this runs
in a thread or, where it is much, in another process, and the event loop has no time for it.

What is put into service is good by itself and with all others. A broken file keeps in service what
the catalog has of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.catalog.checks import Known, Subject
from engine.catalog.columns import Columns, columns_of
from engine.catalog.concerns import Concerns, Facts, concerned
from engine.catalog.documents import Kind
from engine.catalog.facts import (
    defined_by,
    facts_of,
    facts_of_row,
    has_errors,
    kind_and_name_of,
    uses_type,
)
from engine.catalog.findings import Finding, in_order
from engine.catalog.layout import SETTINGS_FILE
from engine.catalog.own_types import FILE_NAMES, OwnTypes
from engine.catalog.repository import Mirror
from engine.catalog.survey import Survey
from engine.catalog.validation import CheckedDocument, FileResult, judge, read_file, types_of
from engine.store.catalog import DocumentRow, FileRow
from engine.store.copying import Json, copy_line

Key = tuple[Kind, str]
"""Kind and name of a document."""

CONTENT_CHANGED = "content-changed"
"""Code of the warning about a content that changed while its version did not. It is about a change,
not about a file, so it is told once and not kept."""


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


@dataclass(frozen=True, slots=True)
class Digest:
    """Everything that a sync writes.

    `documents` and `files` are rows for COPY, `replaced` the files whose old row goes, `broken` those
    of which an earlier version is served.
    """

    documents: bytes
    gone: tuple[Key, ...]
    files: bytes
    replaced: tuple[str, ...]
    broken: tuple[str, ...]
    newly_broken: tuple[str, ...]
    changes: tuple[Change, ...]
    unchanged: int
    findings: tuple[Finding, ...]


def is_settled(survey: Survey, before: Before) -> bool:
    """Whether settings and own types are those of the last sync, so that its verdicts count."""
    now = {path: entry.blob for path, entry in survey.settings.items()}
    then = {
        path: row.blob_hash
        for path, row in before.files.items()
        if path == SETTINGS_FILE or (path.endswith(FILE_NAMES) and survey.layout.is_types(path))
    }
    return not before.everything and now == then


def changed_paths(survey: Survey, before: Before) -> list[str]:
    """Return the files of documents that are new or changed: how much there is to do at least."""
    return [
        path
        for path, entry in survey.documents.items()
        if (row := before.files.get(path)) is None or row.blob_hash != entry.blob
    ]


def digest(mirror: Mirror, survey: Survey, before: Before, known: Known) -> Digest:
    """Read and judge what a commit changed, and return what is to be written."""
    return _Judgement(mirror, survey, before, known).digest()


class _Judgement:
    """Reading and judging: up to the documents that are good and all that is wrong."""

    def __init__(self, mirror: Mirror, survey: Survey, before: Before, known: Known) -> None:
        self._mirror = mirror
        self._survey = survey
        self._before = before
        self._known = replace(known, has_module=self._has_module)
        self._types = OwnTypes()
        self._results: dict[str, FileResult] = {}

    def digest(self) -> Digest:
        settings = dict(self._mirror.read_blobs(self._survey.settings))
        self._types, findings = types_of(settings, self._survey.layout)
        concerns = self._concerns()
        self._read(concerns.judged | concerns.context)
        report = judge(
            [self._results[path] for path in sorted(concerns.judged)],
            self._survey.layout,
            also=[s for path in sorted(concerns.context) for s in self._results[path].subjects],
            lost=list(self._unread(concerns)),
        )
        good = [document for document in report.documents if self._is_servable(document)]
        results = {path: self._results[path] for path in concerns.judged}
        outcome = Outcome(self._survey, self._before, results, [*report.findings, *findings])
        return outcome.digest(good)

    def _concerns(self) -> Concerns:
        refused = {path: Facts() for path in self._survey.refused}
        present = self._survey.documents.keys() | refused.keys()
        if not is_settled(self._survey, self._before):
            return Concerns(frozenset(present), frozenset())
        changed = changed_paths(self._survey, self._before)
        self._read(changed)
        earlier = {
            path: facts_of_row(row)
            for path, row in self._before.files.items()
            if path not in self._survey.settings
        }
        return concerned(
            earlier,
            {path: facts_of(self._results[path]) for path in changed} | refused,
            removed=earlier.keys() - present,
            suspects=[path for path in earlier if has_errors(self._before.files[path])],
            has_module=self._has_module,
        )

    def _read(self, paths: Iterable[str]) -> None:
        """Read the files that were not read yet."""
        for path in paths:
            if path in self._survey.refused:
                self._results[path] = FileResult(path, findings=(self._survey.refused[path],))
        wanted = {path: self._survey.documents[path] for path in paths if path not in self._results}
        for path, content in self._mirror.read_blobs(wanted):
            self._results[path] = read_file(
                path, content, self._survey.layout, types=self._types, known=self._known
            )

    def _unread(self, concerns: Concerns) -> Iterator[tuple[Kind | None, str]]:
        """Yield documents that exist and are not before the judge: names may still be meant."""
        for path, row in self._before.files.items():
            if path in self._survey.documents and path not in self._results:
                yield from map(kind_and_name_of, row.defines)
        for path in concerns.context:
            yield from self._results[path].lost

    def _is_servable(self, document: CheckedDocument) -> bool:
        """Whether a good document is as it was meant: a broken own type stands for nothing."""
        source = _subject_of(document, self._results[document.file]).source
        return not uses_type(source.data, self._types.broken)

    def _has_module(self, path: str) -> bool:
        return path.strip("/") in self._survey.folders


class Outcome:
    """From the verdict to what is written."""

    def __init__(
        self,
        survey: Survey,
        before: Before,
        results: Mapping[str, FileResult],
        findings: Sequence[Finding],
    ) -> None:
        self._survey = survey
        self._before = before
        self._results = results
        self._findings = list(findings)

    def digest(self, good: Sequence[CheckedDocument]) -> Digest:
        """Return what is written when these documents are good, by themselves and with others."""
        broken = self._files_with_faults(good)
        good = self._without_clashes(good, broken)
        broken |= self._files_with_faults(good)
        incoming = {_key(document): (document, columns_of(document)) for document in good}
        rows = {(row.kind, row.name): row for row in self._before.documents if row.is_active}
        changes = list(self._changes(incoming, rows))
        slugs = {(document.document.kind, document.document.slug) for document in good}
        gone = [
            row
            for key, row in rows.items()
            if key not in incoming and ((row.kind, row.slug) in slugs or self._is_gone(row, broken))
        ]
        changes += [Change(row.kind, row.name, "removed", row.version, None) for row in gone]
        served = {row.source_file_path for key, row in rows.items() if key not in incoming}
        broken = {path for path in broken if path in served} | self._still_broken()
        return Digest(
            documents=b"".join(_moved(incoming, rows)),
            gone=tuple((row.kind, row.name) for row in gone),
            files=b"".join(self._file_lines(broken)),
            replaced=tuple(self._replaced()),
            broken=tuple(sorted(broken)),
            newly_broken=tuple(sorted(p for p in broken if not self._was_broken(p))),
            changes=tuple(sorted(changes, key=lambda change: (change.kind, change.name))),
            unchanged=len(rows) - sum(change.change != "added" for change in changes),
            findings=tuple(in_order([*self._findings, *self._kept_findings()])),
        )

    def _files_with_faults(self, good: Sequence[CheckedDocument]) -> set[str]:
        """Return the judged files that have an error, or a document that is not good."""
        faults = {finding.file for finding in self._findings if finding.is_error}
        number: defaultdict[str, int] = defaultdict(int)
        for document in good:
            number[document.file] += 1
        return {
            path
            for path, result in self._results.items()
            if path in faults or len(result.subjects) != number[path]
        }

    def _without_clashes(
        self, good: Sequence[CheckedDocument], broken: set[str]
    ) -> list[CheckedDocument]:
        """Leave out a document whose slug another one has that a broken file keeps in service."""
        names = {_key(document) for document in good}
        kept = {
            (row.kind, row.slug): row
            for row in self._before.documents
            if row.is_active
            and row.source_file_path in broken
            and (row.kind, row.name) not in names
        }
        free = []
        for document in good:
            row = kept.get((document.document.kind, document.document.slug))
            if row is None or row.source_file_path == document.file:
                free.append(document)
                continue
            message = (
                f"the name means the same as {row.name!r} of {row.source_file_path}, which is "
                "broken and stays in service as it was until it is mended"
            )
            source = _subject_of(document, self._results[document.file]).source
            self._findings.append(source.find("duplicate-name", ("name",), message))
        return free

    def _changes(
        self,
        incoming: Mapping[Key, tuple[CheckedDocument, Columns]],
        rows: Mapping[Key, DocumentRow],
    ) -> Iterator[Change]:
        for key, (document, columns) in incoming.items():
            row, version = rows.get(key), document.document.version
            if row is None:
                yield Change(*key, "added", None, version)
            elif row.source_file_hash != columns.content_hash:
                yield Change(*key, "updated", row.version, version)
                if row.version == version and row.source_file_hash:
                    self._warn_of_changed_content(document, row.source_file_hash, columns)

    def _warn_of_changed_content(
        self, document: CheckedDocument, before: str, columns: Columns
    ) -> None:
        source = _subject_of(document, self._results[document.file]).source
        message = (
            f"the content changed and the version is still {document.document.version} "
            f"(hash {before} before, {columns.content_hash} now)"
        )
        self._findings.append(
            source.find(CONTENT_CHANGED, ("version",), message, severity="warning")
        )

    def _is_gone(self, row: DocumentRow, broken: set[str]) -> bool:
        """Whether a document in service, not among the good ones, is in no file any more."""
        path = row.source_file_path
        if path in self._results:
            return path not in broken
        return path not in self._survey.documents

    def _still_broken(self) -> set[str]:
        """Return the files that were broken and are not judged this time."""
        return {
            path
            for path, row in self._before.files.items()
            if row.is_broken and path in self._survey.documents and path not in self._results
        }

    def _was_broken(self, path: str) -> bool:
        row = self._before.files.get(path)
        return row is not None and row.is_broken

    def _replaced(self) -> Iterator[str]:
        """Yield the files whose row is written anew, and those that are gone."""
        yield from self._results
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
        for path in (*self._results, *self._survey.settings):
            result = self._results.get(path, FileResult(path))
            facts = facts_of(result)
            yield copy_line(
                [
                    path,
                    entries[path].blob if path in entries else "",
                    sorted(defined_by(result)),
                    sorted(facts.mentions),
                    sorted(facts.modules),
                    Json([finding.as_json() for finding in by_file[path]]),
                    path in broken,
                ]
            )

    def _kept_findings(self) -> Iterator[Finding]:
        """Yield what is still wrong with files that nothing concerned."""
        for path, row in self._before.files.items():
            if path in self._survey.documents and path not in self._results:
                yield from (Finding(**finding) for finding in row.findings or ())


def _key(document: CheckedDocument) -> Key:
    return document.document.kind, document.document.name


def _moved(
    incoming: Mapping[Key, tuple[CheckedDocument, Columns]], rows: Mapping[Key, DocumentRow]
) -> Iterator[bytes]:
    """Yield the rows of documents that are new, changed, or in another file than before."""
    for key, (document, columns) in incoming.items():
        row = rows.get(key)
        as_before = row is not None and (row.source_file_hash, row.source_file_path) == (
            columns.content_hash,
            document.file,
        )
        if not as_before:
            yield columns.as_copy(document.file)


def _subject_of(document: CheckedDocument, result: FileResult) -> Subject:
    return next(s for s in result.subjects if s.document is document.document)
