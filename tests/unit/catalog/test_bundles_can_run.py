"""A bundle that the engine could not run is refused when it is validated."""

from __future__ import annotations

import pytest

from engine.catalog.layout import Layout
from engine.catalog.validation import validate_set

ITEM = """\
name: db
version: 2.0.0
owner: o
description: d
presentation: {fields: [{name: size, type: integer, max_value: 5}, {name: pw, type: secret}]}
fulfillment:
  manual:
    system: jira
    template: {project: P, issue_type: T, summary: "s {{ size }} {{ pw }}"}
  automation:
    steps: [{name: STEP, type: HttpGet, template: {url: "https://api.example.com/"}}]
"""
BUNDLE = """\
name: b
version: 1.0.0
owner: o
description: d
presentation: {bundle_fields: []}
bundle: {required_items: ITEMS}
"""

TWICE = "[{on: c, name: z}, {on: c, name: z, type: network}]"


def found(items: str, step: str = "call") -> list[tuple[str, str, str]]:
    files = {"catalog/c/db.yaml": ITEM.replace("STEP", step), "catalog/c/b.yaml": BUNDLE}
    contents = {path: text.replace("ITEMS", items).encode() for path, text in files.items()}
    findings = validate_set(contents, Layout()).findings
    return [(f.severity, f.code, f.path.partition("[0].")[2]) for f in findings]


@pytest.mark.parametrize(
    ("items", "code", "path"),
    [
        ("[{catalog_item: db, parameters: {sise: 2}}]", "unknown-parameter", "parameters.sise"),
        ("[{catalog_item: db, parameters: {size: 9}}]", "invalid-parameter", "parameters.size"),
        ("[{catalog_item: db, name: a.b}]", "invalid-name", "name"),
        ("[{catalog_item: db, name: a/b}]", "invalid-name", "name"),
        (f"[{{catalog_item: db, name: {'x' * 101}}}]", "too-long", "name"),
        (f"[{{catalog_item: db, role: {'x' * 101}}}]", "too-long", "role"),
        ("[{catalog_item: db, depends_on: nobody}]", "unknown-component", "depends_on"),
        (
            "[{catalog_item: db, name: a, depends_on: b}, {catalog_item: db, name: b, depends_on: a}]",
            "cycle",
            "",
        ),
        (
            "[{catalog_item: db, dependencies: [{on: c}, {on: c, name: z}]}, {catalog_item: db, name: c}]",
            "duplicate-name",
            "dependencies[1]",
        ),
        (
            f"[{{catalog_item: db, dependencies: {TWICE}}}, {{catalog_item: db, name: c}}]",
            "duplicate-name",
            "dependencies[1]",
        ),
    ],
)
def test_what_cannot_run_is_an_error(items: str, code: str, path: str) -> None:
    assert found(items) == [("error", code, path)]


def test_a_component_and_its_longest_step_have_a_name_together() -> None:
    items = f"[{{catalog_item: db, name: {'x' * 100}}}]"
    assert found(items, "s" * 154) == []
    assert found(items, "s" * 155) == [("error", "too-long", "name")]


def test_a_secret_in_the_catalog_is_a_warning() -> None:
    items = "[{catalog_item: db, parameters: {pw: hunter2-hunter2}}]"
    assert found(items) == [("warning", "secret-field", "parameters.pw")]
