"""What stands in fields: Slack's shapes of state.values, and the client's own checks."""

from __future__ import annotations

from typing import Any

import pytest

from bot.playground.inputs import (
    Untypable,
    carry_over,
    client_errors,
    entry_of,
    initial_state,
    state_values,
)

Json = dict[str, Any]
OPTIONS = [
    {"text": {"type": "plain_text", "text": text}, "value": value}
    for text, value in (("Small", "s"), ("Large", "l"))
]
SMALL, LARGE = OPTIONS


def element(kind: str, **more: Any) -> Json:
    return {"type": kind, "action_id": "a", **more}


def field(of: Json, block_id: str = "b", **more: Any) -> Json:
    return {"type": "input", "block_id": block_id, "element": of, **more}


@pytest.mark.parametrize(
    ("of", "given", "entry"),
    [
        (element("plain_text_input"), "x", {"value": "x"}),
        (element("plain_text_input"), "", {"value": None}),
        (element("number_input"), 7, {"value": "7"}),
        (element("static_select", options=OPTIONS), "s", {"selected_option": SMALL}),
        (element("static_select", options=OPTIONS), "Large", {"selected_option": LARGE}),
        (element("static_select", options=OPTIONS), None, {"selected_option": None}),
        (element("radio_buttons", options=OPTIONS), SMALL, {"selected_option": SMALL}),
        (element("checkboxes", options=OPTIONS), ["s", "l"], {"selected_options": OPTIONS}),
        (element("checkboxes", options=OPTIONS), None, {"selected_options": []}),
        (element("checkboxes", options=OPTIONS), "s", {"selected_options": [SMALL]}),
        (element("multi_static_select", options=OPTIONS), [], {"selected_options": []}),
        (element("users_select"), "U1", {"selected_user": "U1"}),
        (element("multi_users_select"), ["U1"], {"selected_users": ["U1"]}),
        (element("datepicker"), "2026-11-24", {"selected_date": "2026-11-24"}),
        (element("timepicker"), "09:30", {"selected_time": "09:30"}),
        (element("datetimepicker"), "1700000000", {"selected_date_time": 1_700_000_000}),
    ],
)
def test_what_is_typed_has_slacks_shape(of, given, entry):
    assert entry_of(of, given, []) == {"type": of["type"], **entry}


def test_an_external_option_is_one_that_was_offered():
    picker = element("external_select")
    assert entry_of(picker, "s", [SMALL])["selected_option"] == SMALL
    with pytest.raises(Untypable):
        entry_of(picker, "l", [SMALL])


def test_an_untouched_form_holds_its_initial_values():
    blocks = [
        field(element("plain_text_input", initial_value="x"), "text"),
        field(element("multi_static_select", options=OPTIONS), "many"),
        {"type": "section", "block_id": "s", "accessory": element("button")},
    ]
    assert state_values(initial_state(blocks)) == {
        "text": {"a": {"type": "plain_text_input", "value": "x"}},
        "many": {"a": {"type": "multi_static_select", "selected_options": []}},
    }


def test_an_element_of_another_type_starts_anew_under_the_same_ids():
    before = initial_state([field(element("plain_text_input", initial_value="x"))])
    after = carry_over(before, [field(element("number_input", initial_value="7"))])
    assert after["b", "a"] == {"type": "number_input", "value": "7"}


@pytest.mark.parametrize(
    ("of", "given", "sentence"),
    [
        (element("plain_text_input"), "", "required"),
        (element("plain_text_input", min_length=3), "ab", "at least 3"),
        (element("plain_text_input", max_length=3), "abcd", "no more than 3"),
        (element("plain_text_input", max_length=3), "🚀🚀🚀", None),
        (element("number_input", is_decimal_allowed=True), "1,5", "enter a number"),
        (element("number_input", is_decimal_allowed=False), "1.5", "whole number"),
        (element("number_input", is_decimal_allowed=False, min_value="2"), "1", "at least 2"),
        (element("number_input", is_decimal_allowed=True, max_value="2"), "2.01", "at most 2"),
        (element("number_input", is_decimal_allowed=True), "NaN", "enter a number"),
        (element("number_input", is_decimal_allowed=False), "2", None),
        (element("email_text_input"), "nobody", "email"),
        (element("email_text_input"), "a@example.com", None),
        (element("url_text_input"), "example.com", "URL"),
        (element("url_text_input"), "https://example.com/x", None),
        (element("datepicker"), "24.11.2026", "date"),
        (element("checkboxes", options=OPTIONS), [], "required"),
        (element("multi_static_select", options=OPTIONS, max_selected_items=1), ["s", "l"], "more"),
    ],
)
def test_the_client_checks_before_it_sends(of, given, sentence):
    state = {("b", "a"): entry_of(of, given, [])}
    error = client_errors([field(of)], state).get("b")
    assert error is None if sentence is None else sentence in error


def test_an_optional_field_may_stay_empty():
    blocks = [field(element("email_text_input"), optional=True)]
    assert client_errors(blocks, initial_state(blocks)) == {}
