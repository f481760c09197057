"""The one value check: every type from text and from values, defaults, conditions, sentences."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.fields import FIELD_TYPES, InstanceField
from engine.catalog.moments import Clock
from engine.catalog.presentation import Presentation
from engine.catalog.value_types import BY_TYPE, Surroundings
from engine.catalog.values import Checked, check_values, default_values

NOW = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
AROUND = Surroundings(clock=Clock(NOW, "Europe/Berlin"))


def field(kind: str, **properties: Any) -> dict[str, Any]:
    return {"name": "x", "type": kind, **properties}


def fields(*specs: dict[str, Any]) -> tuple[Any, ...]:
    return Presentation.model_validate({"fields": list(specs)}).fields or ()


def checked(spec: dict[str, Any], value: Any, *, text: bool = False) -> Checked:
    return check_values(fields(spec), {"x": value}, texts={"x"} if text else (), around=AROUND)


@pytest.mark.parametrize(
    ("spec", "text", "value"),
    [
        (field("string"), " a b ", " a b "),
        (field("string", regexp="[a-z]+[0-9]"), "abc1", "abc1"),
        (field("string", format="email"), "a.b@example.com", "a.b@example.com"),
        (field("string", format="hostname"), "db-1.example.com", "db-1.example.com"),
        (
            field("string", format="url"),
            "https://example.com:8443/x?y",
            "https://example.com:8443/x?y",
        ),
        (field("textarea"), "a\r\nb", "a\nb"),
        (field("integer", min_value=1, step=2), " 5 ", 5),
        (field("int"), "-3", -3),
        (field("number", precision=2), "1.10", Decimal("1.10")),
        (field("number", step=0.1), "0.3", Decimal("0.3")),
        (field("number"), "12345678901234567890.123", Decimal("12345678901234567890.123")),
        (field("percentage"), "99.5", Decimal("99.5")),
        (field("boolean"), "Yes", True),
        (field("bool"), "off", False),
        (field("date"), "2026-12-31", "2026-12-31"),
        (field("date", format="DD.MM.YYYY"), "31.12.2026", "2026-12-31"),
        (field("date"), "today", "2026-11-25"),
        (field("date", min_date="today", max_date="today+90d"), "today+90d", "2027-02-23"),
        (field("datetime"), "2026-12-01T10:00", "2026-12-01T10:00:00+01:00"),
        (field("datetime", timezone="Asia/Tokyo"), "2026-12-01T10:00", "2026-12-01T10:00:00+09:00"),
        (field("datetime"), "2026-12-01T10:00:00Z", "2026-12-01T11:00:00+01:00"),
        (field("time"), "08:05", "08:05"),
        (field("time", format="HH:MM:SS"), "08:05:09", "08:05:09"),
        (field("selection", oneof=[1, "b"]), "1", 1),
        (field("selection", oneof=["b"], allow_custom=True), "c", "c"),
        (field("multiselect", options=["a", "b", "c,d"]), "a, b", ["a", "b"]),
        (field("multiselect", options=["a", "b", "c,d"]), ["a", "c,d"], ["a", "c,d"]),
        (field("secret", min_length=4), "pass word", "pass word"),
        (field("json"), '{"a": [1, 2.50, null]}', {"a": [1, Decimal("2.50"), None]}),
        (field("instance"), "si-abc", "si-abc"),
        (field("user"), "U024BE7LH", "U024BE7LH"),
        (field("team"), "dba", "dba"),
    ],
)
def test_text_is_read_by_the_type_of_the_field(spec: Any, text: Any, value: Any) -> None:
    found = checked(spec, text, text=True)
    assert found.errors == ()
    assert found.values == {"x": value}
    assert type(found.values["x"]) is type(value)


@pytest.mark.parametrize(
    ("spec", "value", "code", "words"),
    [
        (field("string", min_length=3), "ab", "too_short", "At least 3 characters"),
        (field("string", max_length=1), "ab", "too_long", "At most 1 character are allowed"),
        (field("string", regexp="[a-z]+"), "abc1", "pattern", "[a-z]+"),
        (field("string", regexp="(a+)+"), "a" * 5000 + "b", "pattern", "(a+)+"),
        (field("string"), "a\nb", "several_lines", "one line"),
        (field("string"), "a\0b", "control_character", "control"),
        (field("string"), 5, "wrong_type", "the number 5"),
        (field("string", format="email"), "a@b@c", "format", "e-mail"),
        (field("string", format="url"), "javascript:alert(1)", "format", "https://"),
        (field("integer"), "2", "wrong_type", "whole number"),
        (field("integer"), True, "wrong_type", "boolean"),
        (field("integer", min_value=1, max_value=9), 0, "too_small", "at least 1 and at most 9"),
        (field("integer", max_value=9), 10, "too_large", "at most 9"),
        (field("integer", min_value=1, step=2), 4, "step", "multiple of 2, counted from 1"),
        (field("integer"), 2**63, "too_large", "64 bits"),
        (field("number", precision=1), Decimal("1.25"), "precision", "1 digits"),
        (field("number"), Decimal("NaN"), "not_finite", "finite"),
        (field("number"), Decimal("1e5000"), "too_large", "too large"),
        (field("percentage"), 101, "too_large", "at most 100"),
        (field("boolean"), "true", "wrong_type", "true or false"),
        (field("date"), "2026-02-30", "format", "calendar"),
        (field("date", min_date="today"), "2026-11-24", "too_small", "2026-11-25"),
        (field("datetime"), "yesterday", "format", "offset"),
        (field("time"), "25:00", "format", "HH:MM"),
        (field("time", max_time="18:00"), "18:01", "too_large", "18:00"),
        (
            field("selection", oneof=["small", "large"]),
            "smal",
            "not_an_option",
            "Did you mean 'small'?",
        ),
        (field("selection", oneof=[1]), "1", "not_an_option", "Allowed: 1"),
        (field("selection", oneof=[1]), True, "not_an_option", "Allowed: 1"),
        (field("selection", oneof=[1]), Decimal("sNaN"), "not_an_option", "Allowed: 1"),
        (field("multiselect", options=["a"]), ["a", "a"], "twice", "twice"),
        (
            field("multiselect", options=["a", "b"], min_selections=2),
            ["a"],
            "too_few",
            "at least 2",
        ),
        (
            field("multiselect", options=["a", "b"], max_selections=1),
            ["a", "b"],
            "too_many",
            "at most 1",
        ),
        (field("secret", min_length=8), "short", "too_short", "At least 8"),
        (field("json", schema={"type": "object"}), [1], "schema", "object"),
        (field("json", schema={"required": ["a"]}), {}, "schema", "lacks a"),
        (field("team"), " ", "format", "255"),
    ],
)
def test_a_refusal_says_what_is_allowed(spec: Any, value: Any, code: str, words: str) -> None:
    (error,) = checked(spec, value).errors
    assert (error.field, error.code) == ("x", code)
    assert words in error.message
    assert error.message.endswith((".", "?"))


def test_what_is_absent_takes_its_default_and_what_is_cleared_does_not() -> None:
    form = fields(field("string", default="d"))
    assert check_values(form, {}).values == {"x": "d"}
    assert check_values(form, {"x": None}).values == {}
    assert check_values(form, {"x": ""}, texts={"x"}).values == {}


def test_a_required_field_without_a_value_is_an_error_only_when_it_is_asked() -> None:
    form = fields(
        {"name": "size", "type": "selection", "oneof": ["s", "l"]},
        {
            "name": "why",
            "type": "string",
            "required": True,
            "conditional": {"field": "size", "value": "l"},
        },
    )
    assert [e.field for e in check_values(form, {"size": "l"}).errors] == ["why"]
    assert check_values(form, {"size": "s", "why": "x"}).values == {"size": "s"}
    assert check_values(form, {"size": "s"}).dropped == {"why"}


def test_a_false_condition_wins_over_hidden() -> None:
    form = fields(
        {"name": "on", "type": "boolean", "default": False},
        {
            "name": "plan",
            "type": "string",
            "hidden": True,
            "default": "a",
            "conditional": {"field": "on", "value": True},
        },
    )
    assert check_values(form, {}).values == {"on": False}
    assert check_values(form, {"on": True}).values == {"on": True, "plan": "a"}


def test_conditions_on_a_dropped_field_are_false_both_ways() -> None:
    form = fields(
        {"name": "a", "type": "boolean", "default": False},
        {
            "name": "b",
            "type": "string",
            "default": "x",
            "conditional": {"field": "a", "value": True},
        },
        {
            "name": "c",
            "type": "string",
            "default": "y",
            "conditional": {"field": "b", "value": "x"},
        },
        {
            "name": "d",
            "type": "string",
            "default": "z",
            "conditional": {"field": "b", "not_value": "x"},
        },
        {
            "name": "e",
            "type": "string",
            "default": "w",
            "conditional": {"not": {"field": "b", "value": "x"}},
        },
    )
    assert check_values(form, {}).values == {"a": False, "e": "w"}
    assert check_values(form, {"a": True}).values == {"a": True, "b": "x", "c": "y"}


def test_comparisons_are_typed() -> None:
    form = fields(
        {"name": "n", "type": "integer"},
        {
            "name": "is_one",
            "type": "string",
            "default": "x",
            "conditional": {"field": "n", "value": [1, 2]},
        },
        {
            "name": "is_true",
            "type": "string",
            "default": "x",
            "conditional": {"field": "n", "value": True},
        },
    )
    assert check_values(form, {"n": 1}).values == {"n": 1, "is_one": "x"}


def test_an_unknown_parameter_is_refused_with_did_you_mean() -> None:
    (error,) = check_values(fields({"name": "size", "type": "string"}), {"siez": 1}).errors
    assert error.code == "unknown_parameter"
    assert "Did you mean 'size'?" in error.message


def test_what_nobody_may_fill_in_keeps_its_default() -> None:
    form = fields(field("string", readonly=True, default="a"))
    assert check_values(form, {"x": "a"}).values == {"x": "a"}
    (error,) = check_values(form, {"x": "b"}).errors
    assert error.code == "readonly"


def test_limits_by_team_narrow_the_options() -> None:
    form = fields(field("selection", oneof=["s", "l"]))
    around = Surroundings(narrowed={"x": ["s"]})
    assert check_values(form, {"x": "s"}, around=around).is_good
    assert "Allowed: s." in check_values(form, {"x": "l"}, around=around).errors[0].message


def test_what_the_world_says_about_a_reference_is_the_message() -> None:
    class World:
        def instance_problem(self, field: InstanceField, instance_id: str) -> str | None:
            return f"there is no {field.catalog_item} {instance_id}"

        def user_problem(self, user_id: str) -> str | None:
            return f"there is no {user_id}"

        def team_problem(self, team: str) -> str | None:
            return f"there is no {team}"

    form = fields(field("instance", catalog_item="network"))
    (error,) = check_values(form, {"x": "si-1"}, around=Surroundings(references=World())).errors
    assert (error.message, error.code) == ("There is no network si-1.", "reference")


def test_defaults_are_what_an_untouched_form_shows() -> None:
    form = fields(
        field("multiselect", options=["a", "b"], default=["a"]),
        {"name": "needed", "type": "string", "required": True},
    )
    assert default_values(form).values == {"x": ["a"]}
    assert default_values(form).is_good


def test_every_field_type_has_its_row() -> None:
    assert BY_TYPE.keys() == FIELD_TYPES.keys()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.decimals(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
SPECS = [
    *(field(kind) for kind in FIELD_TYPES if kind not in ("selection", "multiselect")),
    field("selection", oneof=["a", 1, True]),
    field("multiselect", options=["a", 1, True]),
]


@given(st.sampled_from(SPECS), ANYTHING)
def test_any_value_is_taken_or_refused_in_a_sentence(spec: Any, value: Any) -> None:
    found = checked(spec, value)
    assert all(error.message.endswith((".", "?")) for error in found.errors)


@given(st.sampled_from(SPECS), st.text(max_size=20))
def test_any_text_is_taken_or_refused_in_a_sentence(spec: Any, text: str) -> None:
    found = checked(spec, text, text=True)
    assert all(error.message.endswith((".", "?")) for error in found.errors)


@given(st.sampled_from(SPECS), ANYTHING)
def test_what_was_taken_is_taken_again(spec: Any, value: Any) -> None:
    once = checked(spec, value)
    if once.is_good and once.values:
        assert checked(spec, once.values["x"]).values == once.values
