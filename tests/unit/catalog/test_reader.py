"""The YAML reader: core schema, places of everything, limits that hold against hostile files."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.catalog.composer import DEEPEST, MOST_NODES
from engine.catalog.reader import LARGEST_FILE, MOST_DOCUMENTS, Reading, read


def reading(text: str | bytes) -> Reading:
    return read("f.yaml", text if isinstance(text, bytes) else text.encode())


def data(text: str) -> Any:
    found = reading(text)
    assert found.findings == []
    return found.sources[0].data


def faults(text: str | bytes) -> list[tuple[str, int, int]]:
    return [(f.code, f.line, f.column) for f in reading(text).findings]


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("on", "on"),
        ("null", None),
        ("~", None),
        ("", None),
        ("22:30", "22:30"),
        ("2026-01-01", "2026-01-01"),
        ("014", 14),
        ("0o14", 12),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1.10", Decimal("1.10")),
        ("1e3", Decimal(1000)),
        ("-.5", Decimal("-0.5")),
        ("'1'", "1"),
        ('"\\u00e9"', "é"),
        ("!!str 5", "5"),
        ("=", "="),
        (".", "."),
        ("-", None),
    ],
)
def test_bare_words_mean_what_yaml_1_2_says(scalar: str, value: object) -> None:
    found = data(f"a: {scalar}\n")["a"] if scalar != "-" else None
    assert found == value
    assert type(found) is type(value)


def test_merge_keys_fill_what_a_mapping_does_not_have() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 9}\n"
    assert data(text)["c"] == {"x": 9, "y": 1, "z": 2}


def test_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    found = reading(b"\xef\xbb\xbfa: 1\r\nb: [2]\r\n").sources[0]
    assert found.data == {"a": 1, "b": [2]}
    assert found.place(("b", 0)) == (2, 5)


def test_everything_has_a_place() -> None:
    source = reading("# c\na:\n  - b: 1\n    c:\n      d: x\n").sources[0]
    assert source.place(("a",)) == (2, 1)
    assert source.place(("a", 0)) == (3, 5)
    assert source.place(("a", 0, "b")) == (3, 8)
    assert source.place(("a", 0, "b"), at_key=True) == (3, 5)
    assert source.place(("a", 0, "c")) == (4, 5)
    assert source.place(("a", 0, "missing")) == (3, 5)
    assert source.place(("missing",)) == (1, 1)


def test_a_broken_document_does_not_hide_the_others_of_its_file() -> None:
    found = reading("name: one\n---\nname: two\nb: [\n---\nname: three\n---\nc: {\n")
    assert [source.data["name"] for source in found.sources] == ["one", "three"]
    assert [source.line for source in found.sources] == [1, 5]
    assert found.lost == ["two"]
    assert [f.code for f in found.findings] == ["yaml-syntax", "yaml-syntax"]


def test_empty_documents_between_markers_are_skipped() -> None:
    assert [s.data for s in reading("---\n---\na: 1\n---\n# c\n").sources] == [{"a": 1}]


@pytest.mark.parametrize("text", ["", "# only\n", "---\n", "\n\n"])
def test_a_file_without_a_document_is_a_warning(text: str) -> None:
    (finding,) = reading(text).findings
    assert (finding.code, finding.severity) == ("empty-file", "warning")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: 2\na: 3\n", ("duplicate-key", 3, 1)),
        ("a:\n\tb: 1\n", ("tab", 2, 1)),
        ("a: {{ x }}\n", ("unquoted-template", 1, 4)),
        ("a: {{ x }}/y\n", ("unquoted-template", 1, 4)),
        ("a: !!python/object:os.system x\n", ("unsafe-tag", 1, 4)),
        ("a: !local x\n", ("unsafe-tag", 1, 4)),
        ("a: *nobody\n", ("bad-alias", 1, 4)),
        ("a: &x [*x]\n", ("bad-alias", 1, 8)),
        ("a: {<<: 1}\n", ("bad-merge", 1, 9)),
        ("1: a\n", ("bad-key", 1, 1)),
        ("? [a]\n: b\n", ("bad-key", 1, 3)),
        ("a: .nan\n", ("not-finite", 1, 4)),
        ("a: 99999999999999999999\n", ("number-too-large", 1, 4)),
        ("a: 1e999\n", ("number-too-large", 1, 4)),
        (f"a: {'9' * 5000}\n", ("number-too-large", 1, 4)),
        ('a: "\\0"\n', ("control-character", 1, 4)),
        ("a: \0\n", ("control-character", 1, 4)),
        ("a: \x1b\n", ("control-character", 1, 4)),
        (b"a: 1\nb: \xff\n", ("not-utf-8", 2, 4)),
        (b"a: \xed\xa0\x80\n", ("not-utf-8", 1, 4)),
        ("a: 1\n".encode("utf-16"), ("not-utf-8", 1, 1)),
        ("- a\n", ("not-a-mapping", 1, 1)),
        (b"#" * (LARGEST_FILE + 1), ("file-too-large", 1, 1)),
        ("[" * 200_000, ("too-deep", 1, DEEPEST + 1)),
        ("{" * 200_000, ("too-deep", 1, DEEPEST + 1)),
        ("- " * 200_000, ("too-deep", 1, 2 * DEEPEST + 1)),
    ],
)
def test_a_fault_has_one_finding_at_its_place(
    text: str | bytes, fault: tuple[str, int, int]
) -> None:
    assert faults(text) == [fault]


def test_aliases_that_multiply_end_at_the_limit_of_nodes() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    assert [f.code for f in reading("\n".join(lines)).findings] == ["too-many-nodes"]


def test_aliases_that_nest_end_at_the_limit_of_depth() -> None:
    nested = "[" * 30 + "]" * 30
    assert [f.code for f in reading(f"a: &a {nested}\nb: {'[' * 25}*a{']' * 25}\n").findings] == [
        "too-deep"
    ]


def test_nodes_are_counted_for_each_document() -> None:
    one = "a: [" + "x, " * (MOST_NODES - 100) + "]\n"
    assert faults(f"{one}---\n{one}") == []
    assert [f.code for f in reading("a: [" + "x, " * MOST_NODES + "]\n").findings] == [
        "too-many-nodes"
    ]


def test_a_file_of_thousands_of_broken_documents_ends_at_a_limit() -> None:
    found = reading("---\n[\n" * 3000)
    assert found.findings[-1].code == "too-many-documents"
    assert len(found.findings) == MOST_DOCUMENTS + 1
