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
from engine.store.catalog import FileRow

ANY_KIND = "*"
"""The kind of a document that could not be read."""

_DOCUMENT_KEYS = frozenset({"catalog_item", "replaced_by"})
_MODULE_KEYS = frozenset({"module_source"})
_TYPE_KEYS = frozenset({"type"})


def facts_of(result: FileResult) -> Facts:
    """Return the facts of a file that was read."""
    data = [subject.source.data for subject in result.subjects]
    names = (name for part in data for name in (*_texts(part, _DOCUMENT_KEYS), *_targets(part)))
    modules = (path for part in data for path in _texts(part, _MODULE_KEYS))
    return Facts(
        defines=frozenset(slug_of(defined) for defined in defined_by(result)),
        mentions=frozenset(slugify(name) for name in names),
        modules=frozenset(path for path in modules if _is_local(path)),
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


def uses_type(data: Mapping[str, Any], types: frozenset[str]) -> bool:
    """Whether some field of a document is of one of these types."""
    return bool(types) and not types.isdisjoint(_texts(data, _TYPE_KEYS))


def _texts(data: Any, keys: frozenset[str]) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            if key in keys and isinstance(value, str):
                yield value
            else:
                yield from _texts(value, keys)
    elif isinstance(data, list):
        for part in data:
            yield from _texts(part, keys)


def _targets(data: Mapping[str, Any]) -> Iterator[str]:
    targets = data.get("targets")
    items = targets.get("catalog_items") if isinstance(targets, dict) else None
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            yield item["name"]


def _is_local(module: str) -> bool:
    return "{{" not in module and ":" not in module and not module.startswith("/")
