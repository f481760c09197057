"""The sync: from the repository's newest commit to the catalog in the database.

    begin (row "running") --fetch--> commit --survey--> what changed --digest--> one transaction
        |                     |                            |
        +---------------------+----------------------------+--> failed: the row says why

Facts that the database owns: which commit is in service, what was wrong with each file, that a sync
runs. One sync at a time across all processes, by an advisory lock on a connection of its own; the
very connection that holds the lock writes the result, so a sync that lost its lock cannot write.
No transaction is open while git or the validator work.

What a death leaves behind: before the transaction a row "running", which the next sync closes (it
holds the lock, so nobody runs); the mirror's stale locks, which the next fetch removes; never half a
catalog. Whatever fails, the catalog that is in service stays.

Reading is done in a thread; parsing, where it is much, in a process of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from typing import Any, Literal

import structlog

from engine.catalog import plugins
from engine.catalog.addresses import compare_url
from engine.catalog.checks import Known
from engine.catalog.child import Child, child
from engine.catalog.commits import in_thread
from engine.catalog.digest import changed_paths, digest, is_settled
from engine.catalog.documents import Kind
from engine.catalog.findings import Finding
from engine.catalog.git_errors import MirrorBroken
from engine.catalog.outcome import CONTENT_CHANGED, Before, Digest
from engine.catalog.repository import FETCH_SECONDS, Mirror
from engine.catalog.small_change import around, judged, look
from engine.catalog.survey import BrokenSettings, Survey, survey
from engine.config import EngineConfig
from engine.errors import ConfigurationError, PaoError
from engine.results import SyncReport
from engine.store import catalog as store
from engine.store.catalog_rows import LastSync, SyncEnd
from engine.store.pool import Connection, retried_on_conflict

Trigger = Literal["command", "start", "interval", "cli", "webhook"]

MANY_FILES = 100
"""From here on a child process is worth its start (half a second); fewer are read in a thread."""

TOLD = 50
"""Findings and changes of each sort that the event of a sync names; the row has all of them."""

RULES = 3
"""Raised when the same document would be judged or stored in another way than before."""

WORDS: Mapping[Kind, str] = {
    "CatalogItem": "items",
    "CatalogBundle": "bundles",
    "UpdateItem": "updates",
    "UpgradeItem": "upgrades",
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """Which repository is synced, and how it is read.

    `dsn` reaches the server itself, not a transaction pooler: the lock is a session's.
    """

    dsn: str
    mirror: Mirror
    known: Known = field(default_factory=Known)
    fetch_seconds: float = FETCH_SECONDS

    @classmethod
    def of(cls, config: EngineConfig, url: str | None = None, branch: str | None = None) -> Source:
        """Return the repository of the settings, or another one that is named.

        Raises ConfigurationError where none is, InvalidInput for an address that is not safe.
        """
        address = url or config.catalog_url
        if address is None:
            raise ConfigurationError(
                "There is no catalog to sync",
                "CATALOG_URL is not set",
                "Set it to the address of the catalog's Git repository",
                code="no_catalog",
            )
        return cls(
            dsn=config.database_direct_url or config.database_url,
            mirror=Mirror.of(config, address, branch or config.catalog_branch),
            known=replace(
                plugins.installed(),
                module_allow=config.terraform_module_allow,
                outbound_allow=config.outbound_allow,
            ),
        )


async def sync(source: Source, trigger: Trigger) -> SyncReport:
    """Bring the catalog up to the repository's newest commit.

    A sync that fails (a remote that cannot be reached, a missing branch) gives a report with the
    status `failed`, the reason and its code; so does one under way elsewhere that does not end.
    Raises Unavailable when the database is away.
    """
    async with store.locked_for_sync(source.dsn) as connection:
        return await _Run(source, connection, trigger).to_its_end()


class _Run:
    """One sync, with the lock held."""

    def __init__(self, source: Source, connection: Connection, trigger: Trigger) -> None:
        self._source = source
        self._mirror = source.mirror
        self._connection = connection
        self._trigger = trigger
        self._rules = _rules(source.known)
        self._id = 0
        self._last: LastSync | None = None

    async def to_its_end(self) -> SyncReport:
        url, branch = self._mirror.url, self._mirror.branch
        self._last = await store.last_sync(self._connection)
        self._id = await store.begin_sync(self._connection, url, branch, self._trigger)
        try:
            report = await self._sync()
        except PaoError as error:
            report = await self._failed(error)
        if report.status == "completed":
            await self._clean_up()
        log.info(
            "catalog_synced",
            status=report.status,
            commit=report.commit,
            trigger=self._trigger,
            errors=len(report.errors),
            duration_ms=report.duration_ms,
            reason=report.error_message,
        )
        return report

    async def _sync(self) -> SyncReport:
        """Bring the catalog up to date; where all is read, who reads it starts during the fetch."""
        if self._counts():
            return await self._fetched_and_written(None)
        async with child(digest.__module__) as reader:
            return await self._fetched_and_written(reader)

    async def _fetched_and_written(self, reader: Child | None) -> SyncReport:
        limit = self._source.fetch_seconds
        commit = await in_thread(self._mirror, self._mirror.fetch, limit)
        if self._is_in_service(commit):
            return await self._unchanged(commit)
        try:
            outcome = await self._small_change(commit) or await self._digest(commit, reader)
        except MirrorBroken as broken:
            log.warning("catalog_mirror_broken", error=str(broken))
            commit = await in_thread(self._mirror, self._mirror.remake, limit)
            outcome = await self._digest(commit, None)
        return await self._write(commit, outcome)

    async def _small_change(self, commit: str) -> Digest | None:
        """Judge only what the change concerns, where that is enough; else return None."""
        last = self._last
        if last is None or last.commit_hash is None or not self._counts():
            return None
        mirror, known = self._mirror, self._source.known
        with mirror.objects(commit) as objects:  # starts and ends within a millisecond or two
            seen = await in_thread(mirror, look, mirror, objects, last.commit_hash, commit, known)
            before = None if seen is None else await around(self._connection, seen)
            if seen is None or before is None:
                return None
            return await in_thread(mirror, judged, objects, seen, before, last)

    async def _digest(self, commit: str, reader: Child | None) -> Digest:
        found = await in_thread(self._mirror, survey, self._mirror, commit)
        before = await self._before()
        work = (self._mirror.for_reading(), found, before, self._source.known)
        if self._is_much(found, before):
            async with nullcontext(reader) if reader else child(digest.__module__) as one:
                return await one.call(digest, *work, processes=len(os.sched_getaffinity(0)))
        return await in_thread(self._mirror, digest, *work)

    async def _before(self) -> Before:
        rows = await store.files(self._connection)
        documents = await store.documents(self._connection)
        return Before({row.path: row for row in rows}, documents, everything=not self._counts())

    @retried_on_conflict
    async def _write(self, commit: str, outcome: Digest) -> SyncReport:
        """Put everything of a commit into service at once; submissions hold documents meanwhile."""
        report = replace(
            await asyncio.to_thread(_report, commit, self._last, outcome),
            repository_url=self._mirror.url,
            compare_url=self._compare_url(commit),
        )
        connection, before = self._connection, _commit_of(self._last)
        async with connection.transaction():
            if outcome.broken is not None:
                await store.mark_broken(connection, outcome.broken, outcome.newly_broken, before)
            if outcome.gone:
                await store.deactivate(connection, outcome.gone)
            await store.merge(connection, outcome.documents, commit)
            await store.replace_files(connection, outcome.replaced, outcome.files)
            changed = [(change.kind, change.name) for change in outcome.changes]
            await store.refresh_eligibility(connection, changed)
            report = await self._end(report)
            await store.tell(connection, _told(report))
        return report

    async def _unchanged(self, commit: str) -> SyncReport:
        last = self._last
        assert last is not None  # noqa: S101  (what is in service came from a sync)
        report = SyncReport(
            status="unchanged",
            commit=commit,
            previous_commit=commit,
            counts=_counts(()),
            unchanged=last.in_service,
            errors=last.errors,
            warnings=[w for w in last.warnings if w.get("code") != CONTENT_CHANGED],
        )
        async with self._connection.transaction():
            report = await self._end(report)
            await store.forget_idle_syncs(self._connection, self._id, commit)
        return report

    async def _failed(self, error: PaoError) -> SyncReport:
        errors = error.errors if isinstance(error, BrokenSettings) else ()
        report = SyncReport(
            status="failed",
            commit=None,
            previous_commit=_commit_of(self._last),
            counts=_counts(()),
            unchanged=0,
            errors=[finding.as_json() for finding in errors],
            warnings=(),
            error_message=str(error),
            error_code=error.code,
        )
        is_news = await store.last_failure(self._connection) != report.error_message
        async with self._connection.transaction():
            report = await self._end(report)
            if is_news:
                await store.tell(self._connection, _told(report))
        return report

    async def _end(self, report: SyncReport) -> SyncReport:
        status = "failed" if report.status == "failed" else "completed"
        end = SyncEnd(
            status=status,
            commit=report.commit,
            rules=self._rules,
            unchanged=report.unchanged,
            counts=report.counts,
            errors=report.errors,
            warnings=report.warnings,
            error_message=report.error_message,
        )
        duration = await store.end_sync(self._connection, self._id, end)
        return replace(report, duration_ms=duration)

    async def _clean_up(self) -> None:
        """Tidy the mirror; a catalog that is in service does not depend on it."""
        try:
            await in_thread(self._mirror, self._mirror.clean_up)
        except PaoError as error:
            log.warning("catalog_mirror_untidy", error=str(error))

    def _compare_url(self, commit: str) -> str | None:
        """Return where the repository's host shows what changed, after a sync of the same one."""
        previous = _commit_of(self._last)
        if self._last is None or previous is None or self._last.repository_url != self._mirror.url:
            return None
        return compare_url(self._mirror.url, previous, commit)

    def _is_in_service(self, commit: str) -> bool:
        return self._counts() and self._last is not None and self._last.commit_hash == commit

    def _counts(self) -> bool:
        """Whether the last sync was of this repository and branch, by the rules of today."""
        last = self._last
        if last is None or last.rules != self._rules:
            return False
        return (last.repository_url, last.branch) == (self._mirror.url, self._mirror.branch)

    def _is_much(self, found: Survey, before: Before) -> bool:
        if not is_settled(found, before):
            return len(found.documents) >= MANY_FILES
        return len(changed_paths(found, before)) >= MANY_FILES


def _rules(known: Known) -> str:
    """Return what a verdict depends on beside the repository: this release, plug-ins, settings."""
    try:
        release = metadata.version("pao")
    except metadata.PackageNotFoundError:
        release = "source"
    steps = sorted(
        (name, sorted(step.verifications), sorted(step.outputs or ()))
        for name, step in known.plugin_steps.items()
    )
    sets = (known.plugin_verifications, known.plugin_systems, known.plugin_checks)
    settings = (known.module_allow, known.outbound_allow)
    facts = (RULES, release, settings, steps, *map(sorted, sets))
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _commit_of(last: LastSync | None) -> str | None:
    return None if last is None else last.commit_hash


def _report(commit: str, last: LastSync | None, outcome: Digest) -> SyncReport:
    return SyncReport(
        status="completed",
        commit=commit,
        previous_commit=_commit_of(last),
        counts=_counts(outcome.changes),
        unchanged=outcome.unchanged,
        errors=_json(outcome.findings, errors=True),
        warnings=_json(outcome.findings, errors=False),
        changes=[change.as_json() for change in outcome.changes],
    )


def _counts(changes: Sequence[Any]) -> dict[str, dict[str, int]]:
    counts = {word: dict.fromkeys(("added", "updated", "removed"), 0) for word in WORDS.values()}
    for change in changes:
        counts[WORDS[change.kind]][change.change] += 1
    return counts


def _json(findings: Sequence[Finding], *, errors: bool) -> list[dict[str, Any]]:
    return [finding.as_json() for finding in findings if finding.is_error == errors]


def _told(report: SyncReport) -> dict[str, Any]:
    """Return what the event of a sync holds: all numbers, and the first of each list."""
    told = replace(
        report,
        errors=list(report.errors[:TOLD]),
        warnings=list(report.warnings[:TOLD]),
        changes=list(report.changes[:TOLD]),
    )
    return asdict(told) | {
        "error_count": len(report.errors),
        "warning_count": len(report.warnings),
        "change_count": len(report.changes),
    }
