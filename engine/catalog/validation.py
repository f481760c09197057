"""The validator: files in, documents and findings out; no database, no network.

The command line reads the files from a folder (folder.py), the sync from a commit; both come here.
`read_file` needs one file only and may run in another process; `judge` looks across documents.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from engine.catalog.checks import Known, Subject, check_document
from engine.catalog.checks.cross import Catalog, check_across
from engine.catalog.documents import KINDS, MODELS, Document, Kind, infer_kind
from engine.catalog.findings import Finding, in_order
from engine.catalog.layout import Layout
from engine.catalog.own_types import OwnTypes, expand, read_types
from engine.catalog.reader import MOST_DOCUMENTS, read
from engine.catalog.shape import Shape, read_shape
from engine.catalog.source import Source
from engine.catalog.suggest import closest
from engine.regexps import bounded_effort

Json = Any


@dataclass(frozen=True, slots=True)
class FileResult:
    """What one file gave: its documents, what is wrong, and the names of lost documents."""

    file: str
    subjects: tuple[Subject, ...] = ()
    findings: tuple[Finding, ...] = ()
    lost: tuple[tuple[Kind | None, str], ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether nothing keeps the file's documents out of service (other documents aside)."""
        own = [finding for subject in self.subjects for finding in subject.findings]
        return not any(finding.is_error for finding in (*self.findings, *own))


@dataclass(frozen=True, slots=True)
class CheckedDocument:
    """A document that can go into service.

    `data` is the document as written, with fields of own types as fields of their bases; `owner`
    and `channel` are completed from the category. `written` is it with its own types.
    """

    file: str
    line: int
    document: Document
    data: Mapping[str, Json]
    category: str | None
    owner: str
    channel: str | None
    written: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome: documents without errors, and everything that is wrong, in order."""

    documents: tuple[CheckedDocument, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that keep documents out of service."""
        return tuple(finding for finding in self.findings if finding.is_error)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings about what is probably not meant."""
        return tuple(finding for finding in self.findings if not finding.is_error)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Read many documents without the garbage collector: twice as fast.

    What is made all lives to the end and holds no circles, so each pass of the collector would look
    at all of it in vain. For a process of its own (the command line, the sync's child) only.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def validate_set(files: Mapping[str, bytes], layout: Layout, known: Known | None = None) -> Report:
    """Validate the files of a whole repository (those that the layout takes)."""
    known = known or Known()
    types, findings = types_of(files, layout)
    results = [
        read_file(path, content, layout, types=types, known=known)
        for path, content in sorted(files.items())
        if layout.is_document(path)
    ]
    report = judge(results, layout)
    return Report(
        report.documents, tuple(in_order([*layout.findings, *findings, *report.findings]))
    )


def types_of(files: Mapping[str, bytes], layout: Layout) -> tuple[OwnTypes, list[Finding]]:
    """Read the own types of a repository."""
    found = {p: read(p, content) for p, content in sorted(files.items()) if layout.is_types(p)}
    return read_types(found) if found else (OwnTypes(), [])


def read_file(
    path: str, content: bytes, layout: Layout, *, types: OwnTypes, known: Known
) -> FileResult:
    """Read one file and apply every rule that needs no other document. Never raises."""
    with bounded_effort():
        return _read_file(path, content, layout, types=types, known=known)


def _read_file(
    path: str, content: bytes, layout: Layout, *, types: OwnTypes, known: Known
) -> FileResult:
    reading = read(path, content)
    findings = list(reading.findings)
    lost: list[tuple[Kind | None, str]] = [(None, name) for name in reading.lost]
    subjects: list[Subject] = []
    if len(reading.sources) > MOST_DOCUMENTS:
        message = f"the file has more than {MOST_DOCUMENTS} documents"
        findings.append(Finding("too-many-documents", path, 1, 1, "", message))
    for source in reading.sources[:MOST_DOCUMENTS]:
        found = _subject(source, layout, types, known)
        if isinstance(found, Subject):
            check_document(found, known)
            subjects.append(found)
            continue
        findings += found
        if isinstance(name := source.data.get("name"), str):
            lost.append((None, name))
    return FileResult(path, tuple(subjects), tuple(findings), tuple(lost))


def judge(
    results: Sequence[FileResult],
    layout: Layout,
    *,
    also: Iterable[Subject] = (),
    lost: Iterable[tuple[Kind | None, str]] = (),
) -> Report:
    """Look across documents and collect everything.

    `also` and `lost` are documents of the set that were not read this time: they exist for the
    others and are not judged themselves.
    """
    subjects = [subject for result in results for subject in result.subjects]
    gone = [name for result in results for name in result.lost]
    catalog = Catalog.of([*subjects, *also], [*gone, *lost])
    check_across(subjects, catalog)
    findings = [finding for result in results for finding in result.findings]
    findings += [finding for subject in subjects for finding in subject.findings]
    good = [checked(subject, layout) for subject in subjects if is_good(subject)]
    return Report(tuple(good), tuple(in_order(findings)))


def is_good(subject: Subject) -> bool:
    """Whether nothing that was found so far keeps the document out of service."""
    return not subject.source.complaints and not any(f.is_error for f in subject.findings)


def checked(subject: Subject, layout: Layout) -> CheckedDocument:
    """Return a good document as it goes into service."""
    source, document = subject.source, subject.document
    return CheckedDocument(
        file=source.file,
        line=source.line,
        document=document,
        data=subject.data,
        category=subject.category,
        owner=subject.owner or "",
        channel=document.channel or layout.defaults(subject.category).channel,
        written=source.data,
    )


def _subject(
    source: Source, layout: Layout, types: OwnTypes, known: Known
) -> Subject | list[Finding]:
    """Read the shape of a document; only findings when nothing of it makes sense."""
    kind, problem = _kind(source)
    if problem is not None:
        return [problem]
    data, findings = expand(source, source.data, types)
    shape: Shape[Document] = read_shape(source, {**data, "kind": kind}, MODELS[kind])
    findings += _with_type_names(shape.findings, types)
    if shape.document is None:
        return findings
    category = layout.category(source.file)
    owner = shape.document.owner or layout.defaults(category).owner
    return Subject(
        source, shape.document, shape, data, category, owner, known.outbound_allow, findings
    )


def _kind(source: Source) -> tuple[Kind, Finding | None]:
    named = source.data.get("kind")
    if named is not None and named not in KINDS:
        suggestion = closest(named, KINDS)
        message = f"there is no kind {named!r}"
        allowed = ", ".join(KINDS)
        return "CatalogItem", source.find(
            "unknown-kind", ("kind",), message, allowed=allowed, suggestion=suggestion
        )
    return infer_kind(source.data, source.file), None


def _with_type_names(findings: Iterable[Finding], types: OwnTypes) -> list[Finding]:
    """Complete what an unknown field type might be by the own types."""
    if not types.names:
        return list(findings)
    return [
        Finding(
            finding.code,
            finding.file,
            finding.line,
            finding.column,
            finding.path,
            finding.message,
            finding.found,
            f"{finding.allowed}, {', '.join(types.names)}",
            finding.suggestion or closest(finding.message.split("'")[-2], types.names) or "",
        )
        if finding.code == "unknown-type" and "string, textarea" in finding.allowed
        else finding
        for finding in findings
    ]
