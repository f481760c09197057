"""Documents made to cost much are answered in findings, and patterns match in linear time.

No clock is read here: what is asserted is that the limits speak. A test that hangs is the failure.
"""

from __future__ import annotations

import pytest

from engine.catalog.layout import Layout
from engine.catalog.validation import validate_set
from engine.regexps import bounded_effort, compile_pattern

ITEM = """\
name: item
version: 1.0.0
description: An item.
owner: platform
presentation: {fields: [FIELDS]}
fulfillment: {manual: {system: email, template: {to: a@example.com, subject: "{{ parameters }}"}}}
"""


def found(text: str) -> list[str]:
    files = {"catalog/any/x.yaml": text.encode()}
    return [finding.code for finding in validate_set(files, Layout()).findings]


def fields(*specs: str) -> str:
    return ITEM.replace("FIELDS", ", ".join(specs))


def test_a_pattern_that_backtracks_elsewhere_answers_at_once() -> None:
    assert not compile_pattern("(a+)+b").matches("a" * 50_000)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?=a)", "look-around"),
        (r"(a)\1", "backreferences"),
        ("(a", "unclosed group"),
        ("((a{100}){100}){100}", "repeats too much"),
        (r"\w{999}\w{999}", "repeats too much"),
        ("a" * 2001, "longer than"),
    ],
)
def test_a_pattern_that_cannot_be_taken_says_why(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "whole", "part"),
    [
        ("[0-9]{4}", "1234", True, True),
        ("[0-9]{4}", "x1234", False, True),
        ("a|bc", "bc", True, True),
        ("a$", "a\n", False, False),
        ("(?x) a # all", "a", True, True),
        (r"\d+", "٣", True, True),
    ],
)
def test_patterns_match_the_whole_text_or_a_part(
    pattern: str, text: str, whole: bool, part: bool
) -> None:
    assert compile_pattern(pattern).matches(text) is whole
    assert compile_pattern(pattern).found_in(text) is part


def compile_many() -> None:
    for number in range(100, 200):
        compile_pattern(rf"\w{{{number}}}\s")


def test_patterns_of_one_file_are_bounded_together() -> None:
    with bounded_effort(), pytest.raises(ValueError, match="together"):
        compile_many()


def test_hundreds_of_large_patterns_in_a_file_end_at_the_limit() -> None:
    specs = [rf"{{name: f{i}, type: string, regexp: '\w{{90}}\w{{{i}}}'}}" for i in range(1, 400)]
    assert "invalid-regexp" in found(fields(*specs))


def test_a_thousand_comparisons_with_a_thousand_options() -> None:
    options = ", ".join(f"o{i}" for i in range(3000))
    values = ", ".join(f"p{i}" for i in range(3000))
    text = fields(
        f"{{name: a, type: selection, oneof: [{options}]}}",
        f"{{name: b, type: string, conditional: {{field: a, value: [{values}]}}}}",
    )
    assert found(text).count("impossible-condition") == 3000


def test_a_thousand_steps_in_a_row() -> None:
    steps = ", ".join(
        f"{{name: s{i}, type: HttpPost, template: {{url: 'https://a.example.com/"
        f"{{{{ steps.s{max(i - 1, 0)}.outputs.x }}}}'}}}}"
        for i in range(1000)
    )
    text = fields().replace('"{{ parameters }}"}}', f'"x"}}}}, automation: {{steps: [{steps}]}}')
    assert found(text) == ["unknown-name"]


def test_a_thousand_documents_that_name_what_does_not_exist() -> None:
    one = fields() + "dependencies: [{catalog_item: nowhere}]\n"
    text = "---\n".join(one.replace("name: item", f"name: item-{i}") for i in range(900))
    assert found(text) == ["unknown-item"] * 900
