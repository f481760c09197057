"""Documents as lists, details and forms show them, and what a sync did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from engine.results.shared import Json, Kind

if TYPE_CHECKING:
    from engine.catalog.fields import AnyField, Condition


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A document as lists show it."""

    kind: Kind
    name: str
    slug: str
    display_name: str
    version: str
    category: str | None
    owner: str
    tags: tuple[str, ...]
    description: str | None
    lifecycle: str
    icon: str | None = None
    replaced_by: str | None = None


@dataclass(frozen=True, slots=True)
class ComponentOutline:
    """A component of a bundle as its document names it, and whether it may be left out."""

    name: str
    catalog_item: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class CatalogDetails:
    """One document whole: its sections as written, and the bundles it belongs to."""

    entry: CatalogEntry
    presentation: Mapping[str, Json]
    fulfillment: Mapping[str, Json] | None
    bundle: Mapping[str, Json] | None
    targets: Mapping[str, Json] | None
    dependencies: Sequence[Mapping[str, Json]]
    access: Mapping[str, Json] | None
    approval: Mapping[str, Json] | None
    channel: str | None
    bundles: Sequence[Mapping[str, Json]]
    """[{name, version, is_required, version_constraint}] of active bundles that contain the item."""
    commit: str | None
    content_hash: str
    """Hash of the document that a form is drawn from; Submission.content_hash carries it back."""
    path: str | None = None

    @property
    def components(self) -> Sequence[ComponentOutline]:
        """What a bundle is made of, required components first; empty for every other kind."""
        bundle = self.bundle or {}
        return [
            ComponentOutline(
                one.get("name") or one["catalog_item"], one["catalog_item"], key == "required_items"
            )
            for key in ("required_items", "optional_items")
            for one in bundle.get(key) or ()
        ]


@dataclass(frozen=True, slots=True)
class ComponentForm:
    """What a form asks of one component of a bundle."""

    name: str
    """What the rest of the bundle calls it."""
    display_name: str
    required: bool
    enabled: bool
    """Whether it is ordered before anybody chooses; an optional one may be left out."""
    enabled_when: Condition | None
    """Over the bundle's fields, where it is no choice."""
    role: str | None
    fields: tuple[AnyField, ...]
    """The item's fields without the fixed ones."""
    fixed: Mapping[str, Json]
    """What the bundle gives and nobody is asked: as far as it is known, else templates as written."""
    details: CatalogDetails
    version: str
    provided: Mapping[str, str] = field(default_factory=dict)
    """Dependencies of the item that another component provides: {dependency: component}."""
    late: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Fixed ones that only the running request knows: {name: components that they come from}."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did. `status`: completed (also with errors in single files), failed, unchanged."""

    status: str
    commit: str | None
    previous_commit: str | None
    counts: Mapping[str, Mapping[str, int]]
    """{items|bundles|updates|upgrades: {added, updated, removed}}"""
    unchanged: int
    errors: Sequence[Mapping[str, Json]]
    warnings: Sequence[Mapping[str, Json]]
    error_message: str | None = None
    error_code: str | None = None
    duration_ms: int = 0
    changes: Sequence[Mapping[str, Json]] = ()
    """[{kind, name, change: added|updated|removed, from_version, to_version}]"""
    repository_url: str | None = None
    """Of a sync that found something new."""
    compare_url: str | None = None
    """Where the repository's host shows what changed since the previous commit."""


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """What a sync did to one document; `change` is added, updated or removed."""

    title: str
    kind: str
    name: str
    change: str
    from_version: str | None
    to_version: str | None
    at: datetime
