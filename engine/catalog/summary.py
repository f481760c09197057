"""What the rest of a sync must know of a file that was read by itself.

Most documents refer to nothing: their verdict is whole when they have been read, and their row is
ready. Of these no more than this goes from one process to another; what others refer to, or refers to
others, is fetched whole (`reading`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.catalog.columns import Row, row_of
from engine.catalog.concerns import Facts
from engine.catalog.documents import CatalogItem, Kind
from engine.catalog.facts import defined_by, facts_of, uses_type
from engine.catalog.findings import Finding
from engine.catalog.layout import Layout
from engine.catalog.own_types import OwnTypes
from engine.catalog.validation import FileResult, checked, is_good

Name = tuple[Kind | None, str]


@dataclass(frozen=True, slots=True)
class Summary:
    """One file, read by itself."""

    facts: Facts
    defines: tuple[str, ...]
    """The documents of the file as they are kept: kind:slug:name, sorted."""
    names: tuple[Name, ...]
    """Kind and name of each document; a kind is None where nobody can tell it."""
    documents: int
    """How many of them could be read."""
    is_alone: bool
    """Whether no other document but one of the same name can change the verdict on it."""
    findings: tuple[Finding, ...] = ()
    """All that is wrong with a file that is alone."""
    row: Row | None = None
    """The row of a file that is alone and good."""


NO_SUMMARY: Final = Summary(Facts(), (), (), 0, is_alone=False)
"""Of a file that holds no document, or was not read."""


def summary_of(result: FileResult, layout: Layout, types: OwnTypes) -> Summary:
    """Return the summary of a file; `types` are those by which it was read."""
    facts = facts_of(result)
    subjects = result.subjects
    is_alone = (
        len(subjects) == 1
        and not result.lost
        and not facts.mentions
        and isinstance(subjects[0].document, CatalogItem)
    )
    names: list[Name] = [(s.document.kind, s.document.name) for s in subjects]
    row = None
    if is_alone and is_good(subjects[0]) and not uses_type(subjects[0].source.data, types.broken):
        row = row_of(checked(subjects[0], layout))
    return Summary(
        facts,
        tuple(sorted(defined_by(result))),
        (*names, *result.lost),
        len(subjects),
        is_alone,
        (*result.findings, *subjects[0].findings) if is_alone else (),
        row,
    )
