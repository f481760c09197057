"""The JSON Schema says what the validator says, wherever a schema can judge."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from engine.catalog.document_schema import document_schema
from engine.catalog.documents import KINDS, MODELS, infer_kind
from engine.catalog.findings import path_text
from engine.catalog.layout import Layout
from engine.catalog.own_types import OwnTypes
from engine.catalog.reader import read
from engine.catalog.shape import read_shape
from engine.catalog.source import Source
from engine.catalog.validation import validate_set

CORPUS = Path(__file__).parents[2] / "corpus"
SCHEMA = jsonschema_rs.Draft202012Validator(document_schema())


def plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [plain(value) for value in tree]
    return float(tree) if isinstance(tree, Decimal) else tree


GOOD = [
    plain(source.data)
    for path in sorted((CORPUS / "good").glob("*.yaml"))
    for source in read(path.name, path.read_bytes()).sources
]


@pytest.mark.parametrize("document", GOOD, ids=lambda document: document["name"])
def test_good_documents_meet_the_schema(document: Any) -> None:
    assert [error.message for error in SCHEMA.iter_errors(document)] == []


def broken_shapes() -> list[tuple[str, Any]]:
    """Each good document with one fault that a schema can see."""
    found: list[tuple[str, Any]] = []
    for document in GOOD:
        found += [
            (f"no {key}", {k: v for k, v in document.items() if k != key})
            for key in ("name", "version", "presentation")
        ]
        found.append(("unknown key", {**document, "nmae": "x"}))
        found.append(("wrong type", {**document, "tags": "sql"}))
        found.append(("wrong word", {**document, "lifecycle": "obsolete"}))
        found.append(("wrong kind", {**document, "kind": "Item"}))
        found.append(("empty name", {**document, "name": ""}))
        found.append(
            ("approver", {**document, "approval": {"approvers": [{"user": "U", "team": "t"}]}})
        )
        condition = {"name": "c", "type": "string", "conditional": {"field": "a"}}
        found.append(("condition", {**document, "presentation": {"fields": [condition]}}))
        found.append(("both", {**document, "presentation": {"fields": [], "groups": []}}))
        found.append(("number", {**document, "presentation": {"fields": [{"name": "c"}]}}))
    return found


@pytest.mark.parametrize(("fault", "document"), broken_shapes())
def test_schema_and_validator_refuse_the_same(fault: str, document: Any) -> None:
    content = json.dumps(document).encode()
    report = validate_set({"catalog/any/x.yaml": content}, Layout())
    assert not SCHEMA.is_valid(document), fault
    assert report.errors, fault


BROKEN = [
    pytest.param(source, id=f"{path.stem}-{source.line}")
    for path in sorted((CORPUS / "broken").glob("*.yaml"))
    for source in read(path.name, path.read_bytes()).sources
    if source.data.get("kind", "CatalogItem") in KINDS
]

BEYOND_A_SCHEMA = {
    "empty-slug",
    "impossible-range",
    "invalid-approver",
    "invalid-duration",
    "invalid-icon",
    "invalid-range",
    "invalid-regexp",
    "invalid-version",
    "reserved-name",
}
"""What takes more than the shape of a value to see."""


@pytest.mark.parametrize("source", BROKEN)
def test_over_the_broken_corpus_both_refuse_at_the_same_places(source: Source) -> None:
    kind = infer_kind(source.data, source.file)
    data = {**source.data, "kind": kind}
    shape = read_shape(source, data, MODELS[kind])
    schema = jsonschema_rs.Draft202012Validator(document_schema(kind))
    refused = [path_text(tuple(e.instance_path)) for e in schema.iter_errors(plain(data))]
    for finding in shape.findings:
        if finding.code not in BEYOND_A_SCHEMA:
            assert any(finding.path.startswith(path) for path in refused), finding
    for path in refused:
        assert any(finding.path.startswith(path) for finding in shape.findings), path


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_has_a_schema_of_its_own(kind: Any) -> None:
    schema = document_schema(kind)
    jsonschema_rs.Draft202012Validator(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]["kind"]["const"] == kind


def test_the_schema_of_all_is_one_of_four() -> None:
    schema = document_schema()
    assert len(schema["oneOf"]) == 4
    assert {f"#/$defs/{kind}" for kind in KINDS} == {part["$ref"] for part in schema["oneOf"]}


def test_own_types_are_any_identifier_until_they_are_known() -> None:
    document = {
        **next(d for d in GOOD if d["name"] == "store"),
        "presentation": {"fields": [{"name": "code", "type": "cost_center"}]},
    }
    assert SCHEMA.is_valid(document)
    known = jsonschema_rs.Draft202012Validator(
        document_schema(types=OwnTypes({"cost_center": {"type": "string"}}))
    )
    assert known.is_valid(document)
    other = jsonschema_rs.Draft202012Validator(document_schema(types=OwnTypes()))
    assert not other.is_valid(document)


def test_every_property_is_described() -> None:
    schema = document_schema()
    missing = [
        f"{name}.{key}"
        for name, definition in schema["$defs"].items()
        for key, part in definition.get("properties", {}).items()
        if "description" not in part and "const" not in part and "enum" not in part
    ]
    assert missing == []
