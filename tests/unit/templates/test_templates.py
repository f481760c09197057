"""The template language: types kept, names checked, nothing reachable, everything bounded."""

from __future__ import annotations

import string
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import TemplateError
from engine.templates import (
    SecretLookup,
    check_condition,
    check_template,
    evaluate,
    json_text,
    render,
)


class Nosy:
    """An object that must never be asked for anything."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


def secret(key: str) -> str:
    if key != "token":
        raise TemplateError(f"There is no secret {key!r}")
    return "s3cret"


SCOPE: dict[str, Any] = {
    "name": "shop",
    "replicas": 2,
    "ratio": Decimal("1.10"),
    "nothing": None,
    "tags": ["b", "a", "b"],
    "flag": True,
    "parameters": [{"name": "x", "value": 1}, {"name": "y", "value": "z"}],
    "steps": {"net": {"outputs": {"vpc_id": "v1", "items": 3}}},
    "dependencies": {"primary-db": {"outputs": {"port": 5432}}},
    "secrets": SecretLookup(secret),
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{ replicas }}", 2),
        ("  {{ replicas }}\n", 2),
        ("{{ replicas }}x", "2x"),
        ("{{ name }}-db", "shop-db"),
        ("{{ ratio }}", Decimal("1.10")),
        ("{{ ratio }} and more", "1.10 and more"),
        ("{{ nothing }}", None),
        ("<{{ nothing }}>", "<>"),
        ("{{ nothing.a.b }}", None),
        ("{{ nothing | default('x') }}", "x"),
        ("{{ missing | default(3) }}", 3),
        ("{{ tags | unique | sort | join(', ') }}", "a, b"),
        ("{{ tags }} as text", '["b", "a", "b"] as text'),
        ("{{ steps.net.outputs.vpc_id }}", "v1"),
        ("{{ steps.net.outputs.items }}", 3),
        ("{{ dependencies['primary-db'].outputs.port + 1 }}", 5433),
        ("{{ tags[0] }}{{ tags[-1] }}", "bb"),
        ("{{ secrets.token }}", "s3cret"),
        ("{{ 7 / 2 }}", Decimal("3.5")),
        ("{{ 6 / 2 }}", 3),
        ("{{ 7 // 2 }}", 3),
        ("{{ 0.1 + 0.2 }}", Decimal("0.3")),
        ("{{ name + 'x' }}{{ name ~ replicas }}", "shopxshop2"),
        ("{{ 'big' if replicas > 1 else 'small' }}", "big"),
        ("{{ 1 < replicas <= 2 and 'a' in tags }}", True),
        ("{{ 'a b' | urlencode }}", "a%20b"),
        ("{{ ratio | round(1) }}", Decimal("1.1")),
        ("{{ '12' | int }}", 12),
        ("{{ 'x' | int(0) }}", 0),
        ("{{ [replicas, name] }}", [2, "shop"]),
        ("{{ tags | length }}", 3),
        ("{{ parameters | tojson }}", '[{"name": "x", "value": 1}, {"name": "y", "value": "z"}]'),
        ("{{ missing is defined }}", False),
        ("{{ name is string }}", True),
        ("no template", "no template"),
        ("{# a comment #}{{ name }}!", "shop!"),
    ],
)
def test_values_keep_their_type_unless_text_stands_around(source: str, value: object) -> None:
    found = check_template(source).render(SCOPE)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ nope }}", "There is no 'nope' here"),
        ("{{ steps.net.outputs.vpc }}", "steps.net.outputs has no 'vpc'"),
        ("{{ replicas.x }}", "replicas has no 'x'"),
        ("{{ tags[7] }}", "tags has no 7"),
        ("{{ 1 / 0 }}", "no result"),
        ("{{ name - 1 }}", "'shop' is not a number"),
        ("{{ name < 1 }}", "cannot be compared"),
        ("{{ 'x' | int }}", "'x' is not a number"),
        ("{{ [1, 'a'] | sort }}", "one kind"),
    ],
)
def test_what_does_not_exist_or_fit_is_an_error(source: str, reason: str) -> None:
    with pytest.raises(TemplateError, match=reason):
        check_template(source).render(SCOPE)


@pytest.mark.parametrize(
    "source",
    [
        "{{ long | int }}",
        "{{ long - 1 }}",
        "{{ long < 1 }}",
        "{{ huge | join }}",
        "{{ 1.5 | round(0, long) }}",
    ],
)
def test_an_error_names_no_part_of_a_long_value_which_redaction_would_not_find(source: str) -> None:
    with pytest.raises(TemplateError, match="a value of 100 characters") as refused:
        check_template(source).render({"long": "abcde" * 20, "huge": 10**99})
    assert "abcde" not in str(refused.value)
    assert "0000" not in str(refused.value)


def test_a_condition_names_no_part_of_a_long_value() -> None:
    with pytest.raises(TemplateError, match="a value of 100 characters") as refused:
        check_condition("long").decide({"long": "abcde" * 20})
    assert "abcde" not in str(refused.value)


@pytest.mark.parametrize(
    "source",
    [
        "{{ name.upper() }}",
        "{{ ().__class__ }}",
        "{{ name.__class__ }}",
        "{{ name['__class__'] }}",
        "{{ _private }}",
        "{{ 2 ** 9 }}",
        "{{ {'a': 1} }}",
        "{{ tags[0:1] }}",
        "{{ secrets }}",
        "{{ secrets.a.b }}",
        "{{ name | center(9) }}",
        "{{ name | attr('x') }}",
        "{{ name is callable }}",
        "{{ range(9) }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% set x = 1 %}",
        "{% macro m() %}{% endmacro %}",
        "{% if name %}x{% endif %}",
        "{{ name",
        "{{ }}",
        "{{ " + "(" * 3000 + "name" + ")" * 3000 + " }}",
        "{{ " + "-" * 300 + "1 }}",
        "{{ " + "9" * 5000 + " }}",
        "{{ 1e999 }}",
        "x" * 9000,
    ],
)
def test_what_is_not_in_the_language_is_refused_before_anything_runs(source: str) -> None:
    with pytest.raises(TemplateError):
        check_template(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 1000000000 }}",
        "{{ 99999999999999999999 * 99999999999999999999 * 1%s }}" % ("0" * 99),
        "{{ name | replace('', name | replace('', name | replace('', name * 1))) }}",
    ],
)
def test_what_would_grow_without_bound_is_refused(source: str) -> None:
    with pytest.raises(TemplateError):
        check_template(source).render({"name": "x" * 1000})


def test_texts_that_double_again_and_again_end_at_the_limit() -> None:
    doubled = "(a ~ a)"
    for _ in range(9):
        doubled = f"({doubled} ~ {doubled})"
    with pytest.raises(TemplateError, match="too long"):
        check_template(f"{{{{ {doubled} }}}}").render({"a": "x" * 1000})


def test_loops_within_loops_end_at_the_limit() -> None:
    loops = "{% for a in l %}{% for b in l %}{% for c in l %}{% endfor %}{% endfor %}{% endfor %}"
    with pytest.raises(TemplateError, match="takes too long"):
        check_template(loops, statements=True).render({"l": [1] * 1000})


def test_statements_stand_only_where_they_are_allowed() -> None:
    source = (
        "{% for p in parameters if p.value %}{{ loop.index }}:{{ p.name }} {% else %}-{% endfor %}"
    )
    assert check_template(source, statements=True).render(SCOPE) == "1:x 2:y "
    with pytest.raises(TemplateError, match="not allowed here"):
        check_template(source)


def test_an_object_in_scope_is_never_touched() -> None:
    with pytest.raises(TemplateError):
        check_template("{{ thing.name }}").render({"thing": Nosy()})


def test_references_are_whole_chains_without_what_loops_bind() -> None:
    source = (
        "{{ steps['net'].outputs.x }} {% for p in parameters %}{{ p.name }}{{ flag }}{% endfor %}"
    )
    found = check_template(source, statements=True).references
    assert [str(reference) for reference in found] == ["steps.net.outputs.x", "parameters", "flag"]


def test_references_know_their_line() -> None:
    found = check_template("a\n{{ x }}\n{{ y | upper }}").references
    assert [(str(reference), reference.line) for reference in found] == [("x", 2), ("y", 3)]


def test_a_tree_is_rendered_leaf_by_leaf_and_an_error_names_its_place() -> None:
    tree = {"a": [1, "{{ replicas }}", {"b": "{{ name }}!"}], "c": None, "d": True}
    assert render(tree, SCOPE) == {"a": [1, 2, {"b": "shop!"}], "c": None, "d": True}
    with pytest.raises(TemplateError) as caught:
        render({"a": [{"b": "{{ nope }}"}]}, SCOPE)
    assert caught.value.field == "a[0].b"


@pytest.mark.parametrize("source", ["replicas > 1", "{{ replicas > 1 }}", " {{ flag }} ", "flag"])
def test_conditions_go_with_and_without_braces(source: str) -> None:
    assert evaluate(source, SCOPE) is True


def test_a_condition_gives_true_or_false() -> None:
    assert evaluate("nothing", SCOPE) is False
    with pytest.raises(TemplateError, match="must give true or false"):
        evaluate("replicas", SCOPE)
    with pytest.raises(TemplateError, match="not a condition"):
        check_condition("text {{ flag }}")


def test_a_text_is_compiled_once() -> None:
    assert check_template("{{ name }}-once") is check_template("{{ name }}-once")


WORDS = "{{ }} {% %} name tags | default join . [0] ( ) 'a' + ~ * - if else for in is not 1 2.5 == < secrets"
PARTS = st.one_of(st.sampled_from(WORDS.split()), st.text(string.printable, max_size=3))


@settings(deadline=None, max_examples=300)
@given(st.lists(PARTS, max_size=14))
def test_any_text_renders_or_is_refused(parts: list[str]) -> None:
    for source in ("".join(parts), "{{ " + " ".join(parts) + " }}"):
        try:
            value = check_template(source, statements=True).render(SCOPE)
            json_text(value)
        except TemplateError:
            continue


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.decimals(-9, 9, places=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_one_expression_gives_the_very_value(value: Any) -> None:
    assert check_template("{{ x }}").render({"x": value}) is value


@given(st.text(max_size=20))
def test_a_value_is_never_read_as_a_template(text: str) -> None:
    assert render({"a": "<{{ x }}>"}, {"x": text}) == {"a": f"<{text}>"}
