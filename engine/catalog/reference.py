"""The reference page of documents, from the models: `python -m engine.catalog.reference`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.catalog.document_schema import document_schema
from engine.catalog.documents import KINDS

Json = Any

_INTRODUCTION: Final = """\
# Catalog reference

Every section and key of catalog documents. This page is written by
`python -m engine.catalog.reference` from the models that read documents; the guide is
[catalog.md](catalog.md), what the validator says is [catalog-errors.md](catalog-errors.md).
A **bold** key must be there.
"""
_NAMES: Final[Mapping[str, str]] = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "mapping",
    "array": "list",
    "null": "nothing",
}


def reference() -> str:
    """Return the page as Markdown."""
    definitions = document_schema()["$defs"]
    order = [*KINDS, *sorted(name for name in definitions if name not in KINDS)]
    sections = [_section(name, definitions[name]) for name in order if name != "OwnTypeField"]
    return "\n".join([_INTRODUCTION, *sections])


def _section(name: str, definition: Mapping[str, Json]) -> str:
    lines = [f"## {name}", "", definition.get("description", ""), ""]
    lines += ["| key | value | default | |", "| --- | --- | --- | --- |"]
    lines += _rows(definition)
    return "\n".join(lines) + "\n"


def _rows(definition: Mapping[str, Json]) -> Iterator[str]:
    required = definition.get("required", ())
    for key, part in definition.get("properties", {}).items():
        name = f"**{key}**" if key in required else key
        cells = [name, _value(part), _default(part), part.get("description", "")]
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _value(part: Mapping[str, Json]) -> str:
    """Say what a value is: `text`, `list of Option`, one of some words."""
    if "$ref" in part:
        name = str(part["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in part:
        return f"`{part['const']}`"
    if "enum" in part:
        return ", ".join(f"`{word}`" for word in part["enum"])
    for key in ("anyOf", "oneOf"):
        if key in part:
            return " or ".join(dict.fromkeys(_alternatives(part[key])))
    kinds = part.get("type", "any value")
    if isinstance(kinds, list):
        return " or ".join(_NAMES[kind] for kind in kinds)
    if kinds == "array":
        return f"list of {_value(part.get('items', {}))}"
    if kinds == "object" and isinstance(part.get("additionalProperties"), dict):
        return f"mapping to {_value(part['additionalProperties'])}"
    return _NAMES.get(kinds, kinds) + _bounds(part)


def _alternatives(parts: list[Mapping[str, Json]]) -> Iterator[str]:
    is_field = any(str(part.get("$ref", "")).endswith("/OwnTypeField") for part in parts)
    if is_field:
        yield "a field of any type"
        return
    yield from (_value(part) for part in parts if part.get("type") != "null")


def _bounds(part: Mapping[str, Json]) -> str:
    words = {
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minimum": "from {}",
        "maximum": "to {}",
        "exclusiveMinimum": "above {}",
    }
    found = [
        text.format(part[key])
        for key, text in words.items()
        if key in part and (key, part[key]) != ("minLength", 1)
    ]
    is_plain = part.get("maximum") == 2**63 - 1
    return f" ({', '.join(found)})" if found and not is_plain else ""


def _default(part: Mapping[str, Json]) -> str:
    default = part.get("default")
    if default is None or default in ([], {}) or "const" in part:
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201
