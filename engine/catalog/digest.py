"""What a commit makes of the catalog: which files are judged again, what is put into service.

Given are the commit's files (`survey`) and what the catalog holds (`Before`). Only what a change
concerns is read and judged (`concerns`); the verdict on all other files is the one that was kept.
Of what is read, most stands alone: its verdict and its row come from the reader (`reading`), and
only documents that refer to each other are looked at together.

Out comes everything that one transaction writes (`outcome`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from engine.catalog.checks import Known
from engine.catalog.columns import row_of
from engine.catalog.commits import Commits
from engine.catalog.concerns import Concerns, Facts, concerned, named
from engine.catalog.documents import Kind
from engine.catalog.facts import facts_of_row, has_errors, kind_and_name_of, uses_type
from engine.catalog.findings import Finding
from engine.catalog.layout import SETTINGS_FILE
from engine.catalog.outcome import Before, Digest, Outcome
from engine.catalog.own_types import FILE_NAMES
from engine.catalog.reading import Reading, Rules, readers
from engine.catalog.summary import NO_SUMMARY, Summary
from engine.catalog.survey import Survey
from engine.catalog.validation import FileResult, judge, types_of


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


def digest(
    commits: Commits, survey: Survey, before: Before, known: Known, processes: int = 1
) -> Digest:
    """Read and judge what a commit changed, and return what is to be written."""
    settings = dict(commits.read_blobs(survey.settings))
    types, findings = types_of(settings, survey.layout)
    known = replace(known, has_module=lambda path: path.strip("/") in survey.folders)
    rules = Rules(survey.layout, types, known)
    with readers(processes, commits, rules) as reading:
        return _Judgement(reading, rules, survey, before).digest(findings)


class _Judgement:
    """Reading and judging: up to the documents that are good and all that is wrong."""

    def __init__(self, reading: Reading, rules: Rules, survey: Survey, before: Before) -> None:
        self._reading = reading
        self._rules = rules
        self._survey = survey
        self._before = before
        self._summaries: dict[str, Summary] = {}

    def digest(self, findings: Sequence[Finding]) -> Digest:
        concerns = self._concerns()
        self._read(concerns.judged | concerns.context)
        summaries = {path: self._summaries[path] for path in concerns.judged}
        alone = self._alone(concerns.judged)
        together = sorted(concerns.judged - alone)
        around = named(together, {p: s.facts for p, s in self._summaries.items()})
        around = (around | concerns.context) - set(together)
        whole = self._whole([*together, *around])
        report = judge(
            [whole[path] for path in together],
            self._survey.layout,
            also=[s for path in sorted(around) for s in whole[path].subjects],
            lost=[
                *self._unread(),
                *self._names(self._summaries.keys() - {*together, *around}),
                *(name for path in around for name in whole[path].lost),
            ],
        )
        broken = self._rules.types.broken
        good = [
            row_of(document)
            for document in report.documents
            if not uses_type(document.written, broken)
        ]
        good += [row for path in sorted(alone) if (row := summaries[path].row)]
        found = [*report.findings, *findings]
        found += [finding for path in alone for finding in summaries[path].findings]
        return Outcome(self._survey, self._before, summaries, found, self._whole).digest(good)

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
            {path: self._summaries[path].facts for path in changed} | refused,
            removed=earlier.keys() - present,
            suspects=[path for path in earlier if has_errors(self._before.files[path])],
            has_module=self._has_module,
        )

    def _read(self, paths: Iterable[str]) -> None:
        """Read the files that were not read yet."""
        for path in paths:
            if path in self._survey.refused:
                self._summaries[path] = NO_SUMMARY
        documents = self._survey.documents
        wanted = {path: documents[path] for path in paths if path not in self._summaries}
        self._summaries |= self._reading.read(wanted)

    def _whole(self, paths: Iterable[str]) -> dict[str, FileResult]:
        refused = self._survey.refused
        read = [path for path in paths if path not in refused]
        return self._reading.whole(read) | {
            path: FileResult(path, findings=(refused[path],)) for path in paths if path in refused
        }

    def _alone(self, judged: Iterable[str]) -> set[str]:
        """Return the files on which no other has a say, one of the same name included."""
        definers = Counter(slug for s in self._summaries.values() for slug in s.facts.defines)
        return {
            path
            for path in judged
            if (summary := self._summaries[path]).is_alone
            and all(definers[slug] == 1 for slug in summary.facts.defines)
        }

    def _unread(self) -> Iterator[tuple[Kind | None, str]]:
        """Yield documents that exist and are not read this time: names may still be meant."""
        for path, row in self._before.files.items():
            if path in self._survey.documents and path not in self._summaries:
                yield from map(kind_and_name_of, row.defines)

    def _names(self, paths: Iterable[str]) -> Iterator[tuple[Kind | None, str]]:
        for path in paths:
            yield from self._summaries[path].names

    def _has_module(self, path: str) -> bool:
        return path.strip("/") in self._survey.folders
