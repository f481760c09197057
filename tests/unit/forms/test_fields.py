"""The table of field types: what is drawn, Slack takes; what is read back is what was entered."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from bot.forms.fields import FIELD_TYPES, block_id, input_blocks, is_text, read_field
from bot.messages.blocks import modal
from bot.playground.inputs import entry_of, initial_state, state_values
from bot.playground.limits import check_view
from engine import BaseField, Presentation, check_values
from engine.catalog.fields import FIELD_TYPES as DOCUMENT_TYPES

Json = Any


def field(**written: Json) -> BaseField:
    presentation = Presentation.model_validate({"fields": [{"name": "it", **written}]})
    return presentation.all_fields[0]


def drawn(one: BaseField, value: Json = None) -> dict[str, Any]:
    return input_blocks(one, value)[0]["element"]


def read_back(one: BaseField, value: Json) -> Json:
    """Draw a field with a value, touch nothing, and read the view's state as the bot does."""
    blocks = input_blocks(one, value)
    check_view(modal("Form", blocks, callback_id="form", submit="Submit"), "modal")
    return read_field(one, state_values(initial_state(blocks)) or {})


def entered(one: BaseField, given: Json) -> Json:
    blocks = input_blocks(one)
    block = blocks[0]
    entry = entry_of(block["element"], given, [])
    return read_field(one, {block["block_id"]: {block["element"]["action_id"]: entry}})


def test_every_type_of_a_document_has_its_row() -> None:
    assert set(FIELD_TYPES) == set(DOCUMENT_TYPES)


OPTIONS = {count: [f"option-{n}" for n in range(count)] for count in (1, 5, 6, 10, 11, 100, 101)}


@pytest.mark.parametrize(
    ("written", "element"),
    [
        ({"type": "string"}, "plain_text_input"),
        ({"type": "string", "format": "email"}, "email_text_input"),
        ({"type": "string", "format": "url"}, "url_text_input"),
        ({"type": "textarea"}, "plain_text_input"),
        ({"type": "integer"}, "number_input"),
        ({"type": "int"}, "number_input"),
        ({"type": "number"}, "number_input"),
        ({"type": "percentage"}, "number_input"),
        ({"type": "boolean"}, "checkboxes"),
        ({"type": "date"}, "datepicker"),
        ({"type": "datetime"}, "datetimepicker"),
        ({"type": "time"}, "timepicker"),
        ({"type": "time", "format": "HH:MM:SS"}, "plain_text_input"),
        ({"type": "selection", "oneof": OPTIONS[5]}, "radio_buttons"),
        ({"type": "selection", "oneof": OPTIONS[6]}, "static_select"),
        ({"type": "selection", "oneof": OPTIONS[100]}, "static_select"),
        ({"type": "selection", "oneof": OPTIONS[101]}, "external_select"),
        ({"type": "selection", "options_from": {"url": "https://a.example"}}, "external_select"),
        ({"type": "multiselect", "options": OPTIONS[10]}, "checkboxes"),
        ({"type": "multiselect", "options": OPTIONS[11]}, "multi_static_select"),
        ({"type": "multiselect", "options": OPTIONS[101]}, "multi_external_select"),
        ({"type": "secret"}, "plain_text_input"),
        ({"type": "json"}, "plain_text_input"),
        ({"type": "instance"}, "external_select"),
        ({"type": "user"}, "users_select"),
        ({"type": "team"}, "external_select"),
    ],
)
def test_each_type_is_drawn_as_its_element(written: dict[str, Json], element: str) -> None:
    one = field(**written)

    assert drawn(one)["type"] == element
    assert read_back(one, None) in {None, False}


@pytest.mark.parametrize(
    ("written", "value", "back"),
    [
        ({"type": "string"}, "web", "web"),
        ({"type": "textarea"}, "a\nb", "a\nb"),
        ({"type": "integer"}, 3, "3"),
        ({"type": "number"}, Decimal("1.10"), "1.10"),
        ({"type": "number"}, Decimal("1e2"), "100"),
        ({"type": "percentage"}, Decimal(50), "50"),
        ({"type": "boolean"}, True, True),
        ({"type": "boolean"}, False, False),
        ({"type": "date"}, "2026-11-24", "2026-11-24"),
        ({"type": "datetime"}, "2026-11-24T10:00:00+02:00", "2026-11-24T08:00:00+00:00"),
        ({"type": "time"}, "22:30", "22:30"),
        ({"type": "selection", "oneof": ["a", "b"]}, "b", "b"),
        ({"type": "selection", "oneof": [1, 2]}, 2, 2),
        ({"type": "selection", "oneof": [True, False]}, False, False),
        ({"type": "selection", "oneof": OPTIONS[101]}, "option-100", "option-100"),
        ({"type": "multiselect", "options": [1, 2, 3]}, [1, 3], [1, 3]),
        ({"type": "multiselect", "options": OPTIONS[11]}, ("option-3",), ["option-3"]),
        ({"type": "json"}, {"a": [1]}, '{\n  "a": [\n    1\n  ]\n}'),
        ({"type": "user"}, "U0ADA", "U0ADA"),
        ({"type": "instance"}, "si-1", "si-1"),
        ({"type": "team"}, "platform", "platform"),
    ],
)
def test_what_a_form_shows_is_what_it_brings_back(
    written: dict[str, Json], value: Json, back: Json
) -> None:
    assert read_back(field(**written), value) == back


def test_a_secret_is_never_prefilled() -> None:
    assert "initial_value" not in drawn(field(type="secret"), "hunter2!")


def test_the_value_of_a_long_option_is_its_index() -> None:
    one = field(type="selection", oneof=["short", "x" * 151])

    assert [option["value"] for option in drawn(one)["options"]] == ["short", "1"]
    assert entered(one, "1") == "x" * 151


def test_an_option_that_looks_like_an_index_is_told_apart_by_its_label() -> None:
    one = field(type="selection", oneof=["1", "x" * 151])
    blocks = input_blocks(one, "x" * 151)

    assert read_field(one, state_values(initial_state(blocks))) == "x" * 151
    assert entered(one, "1") == "1"


def test_another_value_may_be_typed_where_the_field_allows_it() -> None:
    one = field(type="selection", oneof=["a", "b"], allow_custom=True, required=True)
    blocks = input_blocks(one, "c")

    assert [block["optional"] for block in blocks] == [True, True]
    assert read_field(one, state_values(initial_state(blocks))) == "c"
    assert read_back(one, "a") == "a"


def test_bounds_reach_slack_as_its_first_filter() -> None:
    assert drawn(field(type="integer", min_value=1, max_value=9)) == {
        "type": "number_input",
        "action_id": "field",
        "is_decimal_allowed": False,
        "min_value": "1",
        "max_value": "9",
    }
    assert drawn(field(type="percentage"))["max_value"] == "100"


def test_an_initial_value_that_slack_would_refuse_is_left_out() -> None:
    assert "initial_value" not in drawn(field(type="integer", max_value=3), "7")
    assert "initial_value" not in drawn(field(type="integer"), "many")
    assert "initial_value" not in drawn(field(type="string"), "x" * 3001)


def test_a_long_name_has_a_short_and_stable_block_id() -> None:
    assert block_id("n" * 400) == block_id("n" * 400)
    assert len(block_id("n" * 400)) <= 255
    assert block_id("n" * 400) != block_id("n" * 401)


LABELS = st.text(min_size=1, max_size=300)
SCALARS = st.one_of(st.text(max_size=200), st.integers(-(2**63), 2**63 - 1), st.booleans())
OPTION = st.one_of(
    SCALARS, st.fixed_dictionaries({"value": SCALARS, "label": LABELS, "description": LABELS})
)


def _option_key(option: Json) -> str:
    value = option["value"] if isinstance(option, dict) else option
    return str(value).lower() if isinstance(value, bool) else str(value)


COMMON = st.fixed_dictionaries(
    {},
    optional={
        "label": LABELS,
        "help_text": LABELS,
        "placeholder": LABELS,
        "required": st.booleans(),
    },
)
CHOICES = st.lists(OPTION, min_size=1, max_size=130, unique_by=_option_key)
TYPES = st.one_of(
    st.sampled_from(
        [{"type": name} for name in DOCUMENT_TYPES if name not in {"selection", "multiselect"}]
    ),
    CHOICES.map(lambda choices: {"type": "selection", "oneof": choices}),
    CHOICES.map(lambda choices: {"type": "multiselect", "options": choices}),
    st.integers(0, 5000).map(lambda n: {"type": "string", "min_length": n, "max_length": n}),
)


@given(COMMON, TYPES)
def test_slack_takes_every_field_that_a_document_may_hold(
    common: dict[str, Json], written: dict[str, Json]
) -> None:
    try:
        one = field(**common, **written)
    except ValueError:  # not a document: control characters in a label, and the like
        reject()
    blocks = input_blocks(one)

    check_view(modal("Form", blocks, callback_id="form", submit="Submit"), "modal")
    json.dumps(blocks)


@given(CHOICES, st.data())
def test_every_option_comes_back_as_its_own_value(choices: list[Json], data: st.DataObject) -> None:
    try:
        one = field(type="selection", oneof=choices)
    except ValueError:
        reject()
    chosen = data.draw(st.sampled_from(one.choices))  # type: ignore[attr-defined]
    back = read_back(one, chosen.value)
    checked = check_values([one], {"it": back}, texts=["it"] if is_text(one) else [])

    if len(one.choices) <= 100:  # type: ignore[attr-defined]
        assert checked.values == {"it": chosen.value} or chosen.value == ""
