"""The catalog's rows as the store takes and gives them, for those that do not talk to the database.

A process that reads documents imports this and not the driver, whose import takes its time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from engine.results import Kind

CONTENTS = (
    "kind",
    "name",
    "version",
    "description",
    "owner",
    "tags",
    "category",
    "presentation",
    "fulfillment",
    "bundle_definition",
    "targets",
    "destructive",
    "downtime_required",
    "estimated_duration",
    "display_name",
    "icon",
    "access",
    "approval",
    "lifecycle",
    "replaced_by",
    "channel",
    "dependencies",
)
"""What a document says, as columns."""

INCOMING = (*CONTENTS, "source_file_path", "source_file_hash")
"""The columns of a document on its way in."""

FILES = ("path", "blob_hash", "defines", "mentions", "modules", "findings", "is_broken")
"""The columns of a file."""


class FileRow(NamedTuple):
    """A file as the last sync read it. A tuple: there may be ten thousand at once."""

    path: str
    blob_hash: str
    defines: Sequence[str]
    mentions: Sequence[str]
    modules: Sequence[str]
    findings: Sequence[Mapping[str, Any]] | None
    """None where nothing is wrong."""
    is_broken: bool


class DocumentRow(NamedTuple):
    """What a sync must know of a document that the catalog has. A tuple, as FileRow."""

    kind: Kind
    name: str
    slug: str
    version: str
    source_file_path: str | None
    source_file_hash: str | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class LastSync:
    """The completed sync that the catalog serves."""

    id: int
    repository_url: str
    branch: str
    commit_hash: str | None
    errors: Sequence[Mapping[str, Any]]
    warnings: Sequence[Mapping[str, Any]]
    rules: str | None
    sync_completed_at: datetime
    in_service: int
    """How many documents there are."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a commit came from."""

    repository_url: str
    branch: str


@dataclass(frozen=True, slots=True)
class SyncRow:
    """One sync as status pages list it."""

    id: int
    status: str
    trigger: str | None
    repository_url: str
    branch: str
    commit_hash: str | None
    sync_started_at: datetime
    sync_completed_at: datetime | None
    duration_ms: int | None
    error_message: str | None
    unchanged: int
    error_count: int
    warning_count: int


@dataclass(frozen=True, slots=True)
class SyncEnd:
    """How a sync ended, for its row."""

    status: str
    commit: str | None = None
    rules: str | None = None
    unchanged: int = 0
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    errors: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[Mapping[str, Any]] = ()
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A document as lists show it; `score` orders the hits of a search."""

    kind: Kind
    name: str
    slug: str
    display_name: str
    version: str
    category: str | None
    owner: str
    tags: Sequence[str] | None
    description: str | None
    lifecycle: str
    icon: str | None
    replaced_by: str | None
    score: int


@dataclass(frozen=True, slots=True)
class WholeRow:
    """A document whole."""

    kind: Kind
    name: str
    slug: str
    display_name: str
    version: str
    category: str | None
    owner: str
    tags: Sequence[str] | None
    description: str | None
    lifecycle: str
    icon: str | None
    replaced_by: str | None
    access: Mapping[str, Any] | None
    approval: Mapping[str, Any] | None
    channel: str | None
    dependencies: Sequence[Mapping[str, Any]]
    presentation: Mapping[str, Any]
    fulfillment: Mapping[str, Any] | None
    bundle: Mapping[str, Any] | None
    targets: Mapping[str, Any] | None
    is_active: bool
    source_file_path: str | None
    source_file_hash: str | None
    commit: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class BundleRow:
    """A bundle that contains an item."""

    name: str
    version: str
    is_required: bool
    version_constraint: str | None


@dataclass(frozen=True, slots=True)
class TouchedRow:
    """Instances that a change is about: how many, and the ids of the oldest hundred."""

    number: int
    count: int
    instance_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to, and for whom it is."""

    teams: Sequence[str]
    sees_all: bool
    kind: str | None = None
    category: str | None = None
    tag: str | None = None
    owner: str | None = None
    requestable: bool = False
