"""What one file defines and refers to, found in its data without knowing what it means.

A reference is any text under a key that names a document or a module, wherever it stands: a
document that is too broken to be read as one still refers to others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from engine.catalog.concerns import Facts
from engine.catalog.documents import Kind, slugify
from engine.catalog.validation import FileResult
from engine.store.catalog_rows import FileRow

ANY_KIND = "*"
"""The kind of a document that could not be read."""

_DOCUMENT_KEYS = frozenset({"catalog_item", "replaced_by"})
_MODULE_KEYS = frozenset({"module_source"})


def facts_of(result: FileResult) -> Facts:
    """Return the facts of a file that was read."""
    names: list[str] = []
    modules: list[str] = []
    for subject in result.subjects:
        _collect(subject.source.data, names, modules)
        names += _targets(subject.source.data)
    return Facts(
        defines=frozenset(slug_of(defined) for defined in defined_by(result)),
        mentions=frozenset(map(slugify, names)),
        modules=frozenset(filter(_is_local, modules)),
    )


def facts_of_row(row: FileRow) -> Facts:
    """Return the facts of a file as they were kept."""
    slugs = frozenset(slug_of(defined) for defined in row.defines)
    return Facts(slugs, frozenset(row.mentions), frozenset(row.modules))


def defined_by(result: FileResult) -> Iterator[str]:
    """Yield the documents of a file as they are kept: kind:slug:name."""
    for subject in result.subjects:
        yield f"{subject.document.kind}:{subject.document.slug}:{subject.document.name}"
    for kind, name in result.lost:
        yield f"{kind or ANY_KIND}:{slugify(name)}:{name}"


def slug_of(defined: str) -> str:
    """Return the slug of a document as it is kept."""
    return defined.split(":", 2)[1]


def kind_and_name_of(defined: str) -> tuple[Kind | None, str]:
    """Return the kind (None: unknown) and the name of a document as it is kept."""
    kind, _, name = defined.split(":", 2)
    return (None if kind == ANY_KIND else cast("Kind", kind)), name


def has_errors(row: FileRow) -> bool:
    """Whether the kept verdict on a file has errors."""
    return any(finding["severity"] == "error" for finding in row.findings or ())


def uses_type(data: Any, types: frozenset[str]) -> bool:
    """Whether some field of a document is of one of these types."""
    if not types:
        return False
    if isinstance(data, dict):
        named = data.get("type")
        return (isinstance(named, str) and named in types) or any(
            uses_type(value, types) for value in data.values()
        )
    return isinstance(data, list) and any(uses_type(part, types) for part in data)


def _collect(data: Any, names: list[str], modules: list[str]) -> None:
    """Add the documents and modules that are named anywhere inside; most values are texts."""
    if isinstance(data, dict):
        for key, value in data.items():
            if not isinstance(value, str):
                if isinstance(value, dict | list):
                    _collect(value, names, modules)
            elif key in _DOCUMENT_KEYS:
                names.append(value)
            elif key in _MODULE_KEYS:
                modules.append(value)
    else:
        for part in data:
            if isinstance(part, dict | list):
                _collect(part, names, modules)


def _targets(data: Mapping[str, Any]) -> Iterator[str]:
    targets = data.get("targets")
    items = targets.get("catalog_items") if isinstance(targets, dict) else None
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            yield item["name"]


def _is_local(module: str) -> bool:
    return "{{" not in module and ":" not in module and not module.startswith("/")
