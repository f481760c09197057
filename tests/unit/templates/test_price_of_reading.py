"""What comparisons and filters read is paid for, so that no loop over long texts takes for ever."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import TemplateError
from engine.templates import check_template
from engine.templates.running import MOST_WORK, READ_IN_A_ROUND, Run

OPERATORS = ["==", "!=", "<", "<=", ">", ">=", "in", "not in"]
LENGTHS = st.integers(0, 5 * READ_IN_A_ROUND)


def work_of(source: str, scope: dict[str, Any]) -> int:
    """How many rounds a rendering pays for."""
    run = Run(scope)
    check_template(source, statements=True)._block(run)
    return MOST_WORK - run.work


@given(st.sampled_from(OPERATORS), LENGTHS, LENGTHS, st.integers(0, 20))
def test_a_comparison_costs_a_round_for_each_thousand_characters(
    operator: str, left: int, right: int, rounds: int
) -> None:
    source = "{% for i in items %}{{ 1 if a " + operator + " b else 2 }}{% endfor %}"
    scope = {"a": "x" * left, "b": "x" * right, "items": list(range(rounds))}
    paid = work_of(source, scope)
    assert paid == rounds + 1 + rounds * ((left + right) // READ_IN_A_ROUND)


@given(st.lists(st.text(max_size=400), max_size=20), st.integers(1, 10))
def test_what_stands_deep_in_a_value_is_read_too(texts: list[str], rounds: int) -> None:
    source = "{% for i in items %}{{ 1 if one in many else 2 }}{% endfor %}"
    scope = {"one": "y", "many": {"texts": texts}, "items": list(range(rounds))}
    read = 1 + 1 + len("texts") + 1 + sum(map(len, texts))
    assert work_of(source, scope) >= rounds * (read // READ_IN_A_ROUND)


@given(st.sampled_from(["lower", "trim", "length", "tojson", "urlencode"]), LENGTHS)
def test_a_filter_pays_for_what_it_reads(name: str, length: int) -> None:
    paid = work_of("{{ text | " + name + " }}", {"text": "x" * length})
    assert paid == length // READ_IN_A_ROUND


@pytest.mark.parametrize("expression", ["text == same", "text in same", "(text | lower) == 'a'"])
def test_a_loop_over_long_texts_ends_with_a_reason(expression: str) -> None:
    long = "x" * 250_000
    scope = {"text": long, "same": long, "items": list(range(50_000))}
    source = "{% for i in items %}{{ 1 if " + expression + " else 2 }}{% endfor %}"
    with pytest.raises(TemplateError, match="takes too long"):
        check_template(source, statements=True).render(scope)


def test_short_texts_cost_nothing() -> None:
    assert work_of("{{ 1 if environment == 'prod' else 2 }}", {"environment": "dev"}) == 0
