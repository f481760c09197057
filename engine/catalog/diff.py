"""What lies between two commits of a catalog: what a pull request changes, for its reviewers.

Only the files that differ are read, unless the settings or the own types do: these concern every
document. Documents are compared as they are judged: own types expanded, owner and category filled
in. A file moved within its category changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from engine.catalog.checks import Known, Subject
from engine.catalog.commits import Commits
from engine.catalog.documents import Kind, Operation, slugify
from engine.catalog.survey import Survey, survey
from engine.catalog.validation import collector_paused, read_file, types_of

Verb = Literal["added", "removed", "changed"]
Key = tuple[Kind, str]

_NOT_COMPARED: Final = frozenset({"kind", "name", "version"})
_ORDER: Final[Sequence[Verb]] = ("removed", "changed", "added")


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """A property of a field; None where it is not given."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of a form; `properties` are those that differ."""

    name: str
    change: Verb
    properties: tuple[PropertyChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """Whose instances a document is about: of an item or bundle (kind None: either), in a range."""

    kind: Kind | None
    slug: str
    version_range: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """What became of one document.

    `parts` are its top-level keys that differ (and category and owner where they come from the
    folder); `version_kept` is what the sync warns of: another content by the same version.
    """

    kind: Kind
    name: str
    change: Verb
    file: str
    from_version: str | None
    to_version: str | None
    parts: tuple[str, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    targets: tuple[Target, ...] = ()

    @property
    def version_kept(self) -> bool:
        """Whether the content changed and the version did not."""
        return self.change == "changed" and self.from_version == self.to_version


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file with a document that could not be compared, at one of the two commits."""

    commit: str
    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class CatalogDiff:
    """What differs between the commits `old` and `new`."""

    old: str
    new: str
    changes: tuple[DocumentChange, ...]
    unreadable: tuple[Unreadable, ...]


def compare(mirror: Commits, old: str, new: str, known: Known) -> CatalogDiff:
    """Compare two commits. Blocks; for a process that does nothing else.

    Raises BrokenSettings where a commit's `pao-catalog.yml` cannot be read.
    """
    sides = survey(mirror, old), survey(mirror, new)
    paths = _differing(*sides)
    with collector_paused():
        before, after = (_Side.read(mirror, side, paths, known) for side in sides)
    keys = sorted(before.documents.keys() | after.documents.keys())
    changes = [_change(before.documents.get(key), after.documents.get(key)) for key in keys]
    return CatalogDiff(
        old,
        new,
        tuple(sorted(filter(None, changes), key=lambda change: _ORDER.index(change.change))),
        before.unreadable + after.unreadable,
    )


@dataclass(frozen=True, slots=True)
class _Side:
    documents: Mapping[Key, Subject]
    unreadable: tuple[Unreadable, ...]

    @classmethod
    def read(cls, mirror: Commits, side: Survey, paths: frozenset[str], known: Known) -> _Side:
        types, _ = types_of(dict(mirror.read_blobs(side.settings)), side.layout)
        known = replace(known, has_module=side.folders.__contains__)
        documents: dict[Key, Subject] = {}
        lost = [_unreadable(side, path, [found.text]) for path, found in side.refused.items()]
        wanted = {path: entry for path, entry in side.documents.items() if path in paths}
        for path, content in mirror.read_blobs(wanted):
            result = read_file(path, content, side.layout, types=types, known=known)
            for subject in result.subjects:
                documents.setdefault((subject.document.kind, subject.document.name), subject)
            if errors := [finding.text for finding in result.findings if finding.is_error]:
                lost.append(_unreadable(side, path, errors))
        return cls(documents, tuple(lost))


def _unreadable(side: Survey, path: str, reasons: Sequence[str]) -> Unreadable:
    more = f" And {len(reasons) - 1} more." if len(reasons) > 1 else ""
    return Unreadable(side.commit, path, reasons[0] + more)


def _differing(before: Survey, after: Survey) -> frozenset[str]:
    paths = before.documents.keys() | after.documents.keys()
    if _blobs(before.settings) != _blobs(after.settings):
        return frozenset(paths)
    old, new = _blobs(before.documents), _blobs(after.documents)
    return frozenset(path for path in paths if old.get(path) != new.get(path))


def _blobs(entries: Mapping[str, Any]) -> dict[str, str]:
    return {path: entry.blob for path, entry in entries.items()}


def _change(before: Subject | None, after: Subject | None) -> DocumentChange | None:
    """Return what differs; None where nothing does, or nothing that anybody asked about."""
    one = after or before
    if one is None:
        return None
    old, new = _compared(before), _compared(after)
    parts = tuple(sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key)))
    from_version, to_version = _version(before), _version(after)
    if before and after and not parts and from_version == to_version:
        return None
    return DocumentChange(
        kind=one.document.kind,
        name=one.document.name,
        change="added" if before is None else "removed" if after is None else "changed",
        file=one.source.file,
        from_version=from_version,
        to_version=to_version,
        parts=parts if before and after else (),
        fields=tuple(_field_changes(_fields(before), _fields(after))) if before and after else (),
        targets=tuple(dict.fromkeys([*_targets(before), *_targets(after)])),
    )


def _compared(subject: Subject | None) -> dict[str, Any]:
    if subject is None:
        return {}
    data = {key: value for key, value in subject.data.items() if key not in _NOT_COMPARED}
    return data | {"category": subject.category, "owner": subject.owner}


def _version(subject: Subject | None) -> str | None:
    return None if subject is None else subject.document.version


def _fields(subject: Subject | None) -> dict[str, Mapping[str, Any]]:
    """Return the fields of a document's form by name, whatever group they stand in."""
    presentation = {} if subject is None else subject.data.get("presentation") or {}
    groups = [presentation, *_mappings(presentation.get("groups"))]
    lists = (group.get(key) for group in groups for key in ("fields", "bundle_fields"))
    return {str(field.get("name")): field for fields in lists for field in _mappings(fields)}


def _field_changes(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> Iterator[FieldChange]:
    for name in dict.fromkeys([*before, *after]):
        if name not in after:
            yield FieldChange(name, "removed")
        elif name not in before:
            yield FieldChange(name, "added")
        elif before[name] != after[name]:
            yield FieldChange(name, "changed", tuple(_property_changes(before[name], after[name])))


def _property_changes(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[PropertyChange]:
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            yield PropertyChange(key, before.get(key), after.get(key))


def _targets(subject: Subject | None) -> Iterator[Target]:
    """Yield whose instances feel a change: a document's own, or those that an operation is for."""
    if subject is None:
        return
    document = subject.document
    if not isinstance(document, Operation):
        yield Target(document.kind, document.slug)
        return
    for target in document.targets.catalog_items:
        yield Target(None, slugify(target.name), target.version_range)


def _mappings(value: Any) -> Iterable[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
