"""Whatever stands in a file, the validator answers with findings: no traceback, bounded work."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.catalog.layout import Layout
from engine.catalog.reader import LARGEST_FILE, read
from engine.catalog.validation import validate_set

# No timed assertions: a busy machine is slow now and then.
UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

CORPUS = Path(__file__).parents[2] / "corpus"
GOOD = [path.read_bytes() for path in sorted((CORPUS / "good").rglob("*.yaml"))]

SCRAPS = st.sampled_from(
    [
        *("{{ size }}", "{{", "{% if a %}", "&a", "*a", "<<: *a", "- ", "? ", ": ", "\t", "---\n"),
        *("!!python/x ", "|\n ", ">", "'", '"', "[", "]", "{", "}", "#", "\n", "\x00", "\ud7ff"),
        *(
            "name: x\n",
            "kind: CatalogBundle\n",
            "bundle: []\n",
            "targets: 1\n",
            ".inf",
            "0x",
            "1e999",
        ),
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["{{ size }}", "{{ steps.a.outputs.b }}", "{{ x | y }}", "5m", ">=1", "today"]),
)
KEYS = st.sampled_from(
    [
        "name",
        "version",
        "owner",
        "kind",
        "presentation",
        "fields",
        "groups",
        "bundle_fields",
        "type",
        "default",
        "regexp",
        "oneof",
        "options",
        "schema",
        "conditional",
        "field",
        "value",
        "all",
        "any",
        "not",
        "fulfillment",
        "manual",
        "system",
        "template",
        "automation",
        "steps",
        "depends_on",
        "when",
        "verification",
        "outputs",
        "retry_policy",
        "bundle",
        "required_items",
        "optional_items",
        "catalog_item",
        "parameters",
        "enabled_when",
        "dependencies",
        "on",
        "targets",
        "catalog_items",
        "version_range",
        "access",
        "limits",
        "approval",
        "approvers",
        "url",
        "headers",
        "body",
        "async",
        "min_value",
        "max_value",
    ]
)
TREES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=30,
)


def checked(content: bytes) -> None:
    report = validate_set({"catalog/databases/x.yaml": content}, Layout())
    for finding in report.findings:
        assert finding.line >= 1
        assert finding.column >= 1
        assert finding.message
        assert finding.text.endswith((".", "?"))


@settings(**UNTIMED)
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    checked(content)


@settings(**UNTIMED)
@given(st.lists(st.one_of(SCRAPS, st.text(string.printable, max_size=5)), max_size=40))
def test_any_scraps_of_yaml(parts: list[str]) -> None:
    checked("".join(parts).encode("utf-8", "surrogatepass"))


@settings(**UNTIMED)
@given(st.dictionaries(KEYS, TREES, max_size=8))
def test_any_tree_of_known_keys(tree: dict[str, Any]) -> None:
    checked(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))


@settings(max_examples=200, **UNTIMED)
@given(st.data())
def test_any_good_document_with_one_value_replaced(data: st.DataObject) -> None:
    tree = read("x", data.draw(st.sampled_from(GOOD))).sources[0].data
    text = yaml.safe_dump(_plain(tree))
    replaced = yaml.safe_load(text)
    place, key = data.draw(st.sampled_from(list(_places(replaced))))
    place[key] = data.draw(TREES)
    checked(yaml.safe_dump(replaced, allow_unicode=True).encode("utf-8", "surrogatepass"))


@settings(max_examples=200, **UNTIMED)
@given(st.data())
def test_any_good_document_with_a_scrap_somewhere(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(GOOD)).decode()
    at = data.draw(st.integers(0, len(text)))
    end = at + data.draw(st.integers(0, 20))
    checked((text[:at] + data.draw(SCRAPS) + text[end:]).encode("utf-8", "surrogatepass"))


@given(
    st.sampled_from(
        ["[", "{", "- ", "? ", "{a: ", "&a ", "*a ", "!x ", "a:\n", "k: v\n", "---\n[\n"]
    )
)
@settings(max_examples=11, **UNTIMED)
def test_a_full_file_of_one_thing(unit: str) -> None:
    checked((unit * (LARGEST_FILE // len(unit))).encode())


def _places(tree: Any) -> Any:
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in entries:
        yield tree, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(value) for value in tree]
    return tree if tree is None or isinstance(tree, (str, bool, int)) else float(tree)
