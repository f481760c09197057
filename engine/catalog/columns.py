"""A checked document as the columns of its table: its sections as written, own types expanded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.catalog.documents import CatalogBundle, Kind, Operation
from engine.catalog.validation import CheckedDocument
from engine.store.catalog_rows import CONTENTS
from engine.store.copying import Json, copy_text

LONGEST_DURATION = 50
"""Characters of the column; only a duration padded with zeros is longer."""

_JSON = frozenset(
    {
        "tags",
        "presentation",
        "fulfillment",
        "bundle_definition",
        "targets",
        "access",
        "approval",
        "dependencies",
    }
)


@dataclass(frozen=True, slots=True)
class Row:
    """A document as it goes into service; `content_hash` is that of what it says, in any file."""

    kind: Kind
    name: str
    slug: str
    version: str
    file: str
    content_hash: str
    line: bytes
    """The row for COPY, in the order of INCOMING."""


def row_of(document: CheckedDocument) -> Row:
    """Return what is stored of a document."""
    model = document.document
    values = _values(document)
    contents = copy_text([_typed(name, values[name]) for name in CONTENTS])
    content_hash = hashlib.sha256(contents.encode()).hexdigest()
    line = f"{contents}\t{copy_text([document.file, content_hash])}\n".encode()
    return Row(model.kind, model.name, model.slug, model.version, document.file, content_hash, line)


def _values(document: CheckedDocument) -> dict[str, Any]:
    model, data = document.document, document.data
    return {
        "kind": model.kind,
        "name": model.name,
        "version": model.version,
        "description": model.description,
        "owner": document.owner,
        "tags": list(model.tags),
        "category": document.category,
        "presentation": data["presentation"],
        "fulfillment": data.get("fulfillment"),
        "bundle_definition": data["bundle"] if isinstance(model, CatalogBundle) else None,
        "display_name": model.display_name,
        "icon": model.icon,
        "access": data.get("access"),
        "approval": data.get("approval"),
        "lifecycle": model.lifecycle,
        "replaced_by": model.replaced_by,
        "channel": document.channel,
        "dependencies": data.get("dependencies") or [],
        **_operation_columns(model if isinstance(model, Operation) else None, data),
    }


def _operation_columns(model: Operation | None, data: Mapping[str, Any]) -> dict[str, Any]:
    if model is None:
        nothing = ("targets", "destructive", "downtime_required", "estimated_duration")
        return dict.fromkeys(nothing)
    # The table's own defaults: an upgrade is heavy unless it says otherwise.
    heavy = model.kind == "UpgradeItem"
    destructive, downtime = model.targets.destructive, model.targets.downtime_required
    duration = data["targets"].get("estimated_duration")
    return {
        "targets": data["targets"],
        "destructive": heavy if destructive is None else destructive,
        "downtime_required": heavy if downtime is None else downtime,
        "estimated_duration": None if duration is None else str(duration)[:LONGEST_DURATION],
    }


def _typed(name: str, value: Any) -> Any:
    return Json(value) if name in _JSON and value is not None else value
