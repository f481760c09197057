"""The JSON Schema (draft 2020-12) of documents, from the models: editors complete and check by it.

It says what a schema can say. What needs a look at another place (names that exist, bounds in
order, templates) is the validator's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter

from engine.catalog.documents import (
    MODELS,
    CatalogBundle,
    CatalogItem,
    Kind,
    UpdateItem,
    UpgradeItem,
)
from engine.catalog.fields import ALIASES, FIELD_TYPES
from engine.catalog.own_types import BUILT_IN, OwnTypes

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE: Final = "#/$defs/"
_ONE_OF_ALL: Final = TypeAdapter(CatalogItem | CatalogBundle | UpdateItem | UpgradeItem)

Json = Any


def document_schema(kind: Kind | None = None, types: OwnTypes | None = None) -> dict[str, Json]:
    """Return the schema of one kind, or of all four.

    With `types` those own types are known by name; without, any other identifier may be one.
    """
    schema = MODELS[kind].model_json_schema() if kind else _ONE_OF_ALL.json_schema()
    if kind is None:
        schema["oneOf"] = schema.pop("anyOf")
        schema["title"] = "PAO catalog document"
    definitions = schema["$defs"]
    definitions["OwnTypeField"] = _own_type_field(definitions, types)
    for definition in definitions.values():
        _open_fields(definition)
    _open_fields(schema)
    return {"$schema": DIALECT, **schema}


def _own_type_field(definitions: Mapping[str, Json], types: OwnTypes | None) -> dict[str, Json]:
    """Return the form of a field whose type is the organisation's own."""
    common = dict(definitions["StringField"]["properties"])
    for key in ("min_length", "max_length", "regexp", "format", "default"):
        del common[key]
    if types is None:
        allowed: dict[str, Json] = {"not": {"enum": sorted(BUILT_IN)}}
    else:
        allowed = {"enum": sorted(types.names)}
    name = {"description": "The type's name.", "type": "string", **allowed}
    return {
        "title": "OwnTypeField",
        "description": "A field of a type that the organisation defines in types.yaml.",
        "type": "object",
        "properties": {**common, "type": name},
        "required": ["name", "type"],
    }


def _open_fields(node: Json) -> None:
    """Let every place that takes a field take one of an own type as well."""
    if isinstance(node, list):
        for part in node:
            _open_fields(part)
    elif isinstance(node, dict):
        mapping = node.get("discriminator", {}).get("mapping", {})
        if {*FIELD_TYPES, *ALIASES} <= mapping.keys():
            del node["discriminator"]
            node["oneOf"].append({"$ref": f"{_REFERENCE}OwnTypeField"})
        for part in node.values():
            _open_fields(part)
