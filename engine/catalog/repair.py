"""What stands in for the parts of a document that cannot be read, so that the rest can be judged.

The smallest part around a fault is replaced where the document needs something there, else taken out.
An element of a list is never taken out, since the places of those after it would be others: where
nothing can stand in for it, the list goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.catalog.findings import Path, value_at

_MANUAL: Final = {"system": "unreadable", "template": {}}
_PLACEHOLDERS: Final[Mapping[str, Any]] = {
    "name": "unreadable",
    "version": "0.0.0",
    "presentation": {},
    "fulfillment": {"manual": _MANUAL},
    "manual": _MANUAL,
    "targets": {"catalog_items": [{"name": "unreadable", "version_range": "*"}]},
    "bundle": {},
}


def repair_all(data: Any, paths: Iterable[Path]) -> set[Path]:
    """Repair around each place; a place in a part that went for another one's sake went with it."""
    gone: set[Path] = set()
    for path in paths:
        if not any(path[:length] in gone for length in range(len(path) + 1)):
            gone.add(_repair(data, path))
    return gone


def _repair(data: Any, path: Path) -> Path:
    """Take out or replace the smallest part around a place; returns the place of that part."""
    for length in range(len(path), 0, -1):
        parent = value_at(data, path[: length - 1])
        key = path[length - 1]
        if isinstance(parent, dict):
            stand_in = _PLACEHOLDERS.get(str(key)) if length <= 2 else None
            if stand_in is not None and parent.get(key) != stand_in:
                parent[key] = stand_in
                return path[:length]
            if key in parent:
                del parent[key]
                return path[:length]
        elif isinstance(parent, list) and isinstance(key, int) and key < len(parent):
            stand_in = _element(path[length - 2], parent[key], key)
            if stand_in is not None and parent[key] != stand_in:
                parent[key] = stand_in
                return path[:length]
    return path


def copied(data: Any) -> Any:
    """Return plain data that may be repaired: an alias shares its objects."""
    if isinstance(data, dict):
        return {key: copied(value) for key, value in data.items()}
    return [copied(value) for value in data] if isinstance(data, list) else data


def _element(kind: str | int, value: Any, index: int) -> Any:
    """Return what stands in for an element of a list; None where nothing can."""
    name = value.get("name") if isinstance(value, dict) else None
    known = name if isinstance(name, str) and name.isidentifier() else f"unreadable{index}"
    match kind:
        case "fields" | "bundle_fields":
            return {"name": known, "type": "json"}
        case "groups":
            fields = value.get("fields") if isinstance(value, dict) else None
            return {"name": known, "fields": fields if isinstance(fields, list) else []}
        case "steps":
            return {"name": known, "type": "unreadable"}
        case "verification":
            return {"type": "unreadable"}
        case "pre_execution_checks":
            return {"check": "unreadable"}
        case "oneof" | "options" | "fallback":
            return {"value": f"unreadable{index}"}
        case "required_items" | "optional_items":
            item = value.get("catalog_item") if isinstance(value, dict) else None
            readable = isinstance(item, str) and bool(item)
            return {"name": known, "catalog_item": item if readable else "unreadable"}
        case "catalog_items":
            return {"name": known, "version_range": "*", **_target_parameters(value)}
    return None


def _target_parameters(value: Any) -> dict[str, list[str]]:
    """Return the parameters that a broken target names: templates may use them all the same."""
    lists = {key: value.get(key) for key in ("required_parameters", "optional_parameters")}
    return {
        key: [name for name in names if isinstance(name, str) and name]
        for key, names in lists.items()
        if isinstance(names, list)
    }
