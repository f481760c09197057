"""A checked document as the columns of its table: its sections as written, own types expanded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.catalog.documents import CatalogBundle, Operation
from engine.catalog.validation import CheckedDocument
from engine.store.catalog import INCOMING
from engine.store.copying import Json, copy_line, json_text

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
class Columns:
    """The columns of a document and the hash of their contents, wherever the file is."""

    values: Mapping[str, Any]
    content_hash: str

    def as_copy(self, file: str) -> bytes:
        """Return the row for COPY into catalog_incoming."""
        every = {
            **self.values,
            "source_file_path": file,
            "source_file_hash": self.content_hash,
        }
        return copy_line([_typed(name, every[name]) for name in INCOMING])


def columns_of(document: CheckedDocument) -> Columns:
    """Return what is stored of a document."""
    model, data = document.document, document.data
    values: dict[str, Any] = {
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
    return Columns(values, hashlib.sha256(json_text(values).encode()).hexdigest())


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
