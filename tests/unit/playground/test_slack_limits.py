"""What Slack takes and what it refuses, a line each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.playground.limits import (
    check_blocks,
    check_field_errors,
    check_message,
    check_suggestions,
    check_view,
)
from bot.playground.refusals import Refused

Json = dict[str, Any]


def plain(text: str = "text", **more: Any) -> Json:
    return {"type": "plain_text", "text": text, **more}


def mrkdwn(text: str = "text", **more: Any) -> Json:
    return {"type": "mrkdwn", "text": text, **more}


def option(value: str = "v", text: str = "t", **more: Any) -> Json:
    return {"text": plain(text), "value": value, **more}


def options(count: int) -> list[Json]:
    return [option(str(n)) for n in range(count)]


def section(**fields: Any) -> Json:
    return {"type": "section", **({"text": mrkdwn()} | fields)}


def element(kind: str, **fields: Any) -> Json:
    return {"type": kind, "action_id": "a", **fields}


def button(**fields: Any) -> Json:
    return element("button", **({"text": plain()} | fields))


def actions(*elements: Json, **fields: Any) -> Json:
    return {"type": "actions", "elements": list(elements), **fields}


def field(of: Json, **fields: Any) -> Json:
    return {"type": "input", "label": plain(), "element": of, **fields}


def modal(*blocks: Json, **fields: Any) -> Json:
    view = {"type": "modal", "title": plain(), "submit": plain(), "blocks": list(blocks)}
    return {**view, **fields}


def number(**fields: Any) -> Json:
    return element("number_input", **({"is_decimal_allowed": True} | fields))


def confirm(**fields: Any) -> Json:
    dialog = {"title": plain(), "text": mrkdwn(), "confirm": plain(), "deny": plain()}
    return {**dialog, **fields}


def without(body: Json, *names: str) -> Json:
    return {name: value for name, value in body.items() if name not in names}


def static(**fields: Any) -> Json:
    return element("static_select", **({"options": options(2)} | fields))


TEXT_INPUT = element("plain_text_input")

TAKEN_IN_MESSAGES = [
    section(),
    section(text=mrkdwn("x" * 3000)),
    section(fields=[mrkdwn("x" * 2000)] * 10),
    without(section(fields=[plain()]), "text"),
    section(accessory={"type": "image", "image_url": "https://e.com/i.png", "alt_text": "i"}),
    section(accessory=button()),
    section(accessory=static()),
    section(accessory=element("multi_static_select", options=options(2))),
    section(text=mrkdwn("🚀" * 3000)),
    {"type": "header", "text": plain("x" * 150)},
    {"type": "divider"},
    {"type": "context", "elements": [mrkdwn()] * 10},
    {"type": "image", "image_url": "https://e.com/i.png", "alt_text": "i", "title": plain()},
    actions(*(button(action_id=str(n)) for n in range(25))),
    actions(button(value="x" * 2000, style="danger", confirm=confirm())),
    actions(element("overflow", options=options(5))),
    actions(element("datetimepicker", initial_date_time=1_700_000_000)),
    actions(element("datepicker", initial_date="2026-11-24")),
    actions(element("timepicker", initial_time="23:59")),
    actions(element("external_select", min_query_length=0, initial_option=option())),
    actions(element("checkboxes", options=[option(text="b"), option("w")])),
    field(TEXT_INPUT),
    {
        "type": "rich_text",
        "elements": [
            {"type": "rich_text_section", "elements": [{"type": "text", "text": "hello"}]},
            {
                "type": "rich_text_list",
                "style": "bullet",
                "elements": [{"type": "rich_text_section", "elements": []}],
            },
        ],
    },
]

REFUSED_IN_MESSAGES = [
    (section(text=mrkdwn("")), "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
    (section(text=mrkdwn("x" * 3001)), "must be less than 3001 characters"),
    (section(text="hello"), "must provide an object [json-pointer:/blocks/0/text]"),
    (section(text=plain(verbatim=True)), "invalid additional property: verbatim"),
    (section(text=mrkdwn(emoji=True)), "invalid additional property: emoji"),
    (section(colour="red"), "invalid additional property: colour [json-pointer:/blocks/0]"),
    (section(block_id="x" * 256), "must be less than 256 characters"),
    (section(block_id=7), "must provide a string [json-pointer:/blocks/0/block_id]"),
    (section(fields=[mrkdwn()] * 11), "no more than 10 items allowed [json-pointer:/blocks/0/fi"),
    (section(fields=[]), "no less than 1 items allowed"),
    (section(fields=[mrkdwn("x" * 2001)]), "must be less than 2001 characters"),
    ({"type": "section"}, "must define either `text` or `fields`"),
    (section(accessory=element("datetimepicker")), "unsupported type: datetimepicker"),
    (section(accessory=TEXT_INPUT), "unsupported type: plain_text_input"),
    ({"text": mrkdwn()}, "missing required field: type [json-pointer:/blocks/0]"),
    ({"type": "marquee"}, "unsupported type: marquee [json-pointer:/blocks/0/type]"),
    ({"type": "header", "text": mrkdwn()}, "unsupported type: mrkdwn"),
    ({"type": "header", "text": plain("x" * 151)}, "must be less than 151 characters"),
    ({"type": "divider", "text": plain()}, "invalid additional property: text"),
    ({"type": "context", "elements": [mrkdwn()] * 11}, "no more than 10 items allowed"),
    ({"type": "context", "elements": [button()]}, "unsupported type: button"),
    ({"type": "image", "image_url": "https://e.com"}, "missing required field: alt_text"),
    ({"type": "image", "alt_text": "i"}, "must define either `image_url` or `slack_file`"),
    (
        {"type": "image", "alt_text": "i", "image_url": "https://e.com/" + "x" * 3000},
        "must be less than 3001 characters",
    ),
    (actions(), "no less than 1 items allowed"),
    (actions(*(button(action_id=str(n)) for n in range(26))), "no more than 25 items allowed"),
    (actions(button(), button()), "`action_id` must be unique in its block: a"),
    (actions(element("multi_static_select", options=options(1))), "unsupported type: multi_st"),
    (actions(button(text=mrkdwn())), "unsupported type: mrkdwn"),
    (actions(button(text=plain("x" * 76))), "must be less than 76 characters"),
    (actions(button(value="x" * 2001)), "must be less than 2001 characters"),
    (actions(button(style="primery")), "must be one of primary, danger"),
    (actions(button(url="javascript:alert(1)")), "failed to match pattern"),
    (actions(button(action_id="x" * 256)), "must be less than 256 characters"),
    (actions(button(confirm=without(confirm(), "deny"))), "missing required field: deny"),
    (actions(button(confirm=confirm(title=plain("x" * 101)))), "must be less than 101 char"),
    (actions(button(confirm=confirm(text=plain("x" * 301)))), "must be less than 301 char"),
    (actions(button(confirm=confirm(deny=plain("x" * 31)))), "must be less than 31 char"),
    (actions(element("overflow", options=options(6))), "no more than 5 items allowed"),
    (actions(element("overflow", options=[])), "no less than 1 items allowed"),
    (actions(element("radio_buttons", options=options(11))), "no more than 10 items allowed"),
    (actions(static(options=options(101))), "no more than 100 items allowed"),
    (actions(static(options=[])), "no less than 1 items allowed"),
    (actions(element("static_select")), "must define either `options` or `option_groups`"),
    (actions(static(option_groups=[])), "no less than 1 items allowed"),
    (
        actions(static(option_groups=[{"label": plain(), "options": options(1)}])),
        "must define either `options` or `option_groups`",
    ),
    (actions(static(initial_option=option("other"))), "initial option must match one of"),
    (actions(static(options=[option(text="x" * 76)])), "must be less than 76 characters"),
    (actions(static(options=[option("x" * 151)])), "must be less than 151 characters"),
    (
        actions(static(options=[option(description=plain("x" * 76))])),
        "must be less than 76 characters",
    ),
    (actions(static(options=[option(url="https://e.com")])), "invalid additional property: url"),
    (actions(static(options=[{"text": mrkdwn(), "value": "v"}])), "unsupported type: mrkdwn"),
    (actions(static(placeholder=plain("x" * 151))), "must be less than 151 characters"),
    (actions(static(placeholder=mrkdwn())), "unsupported type: mrkdwn"),
    (actions(element("datepicker", initial_date="24.11.2026")), "must be a date as YYYY-MM-DD"),
    (actions(element("timepicker", initial_time="24:00")), "failed to match pattern"),
    (actions(element("datetimepicker", initial_date_time="1700000000")), "must provide an int"),
    (field(number()), "unsupported type: number_input"),
    (field(element("email_text_input")), "unsupported type: email_text_input"),
    (field(element("url_text_input")), "unsupported type: url_text_input"),
]


@pytest.mark.parametrize("block", TAKEN_IN_MESSAGES)
def test_a_message_may_hold(block):
    check_blocks([block])


@pytest.mark.parametrize(("block", "message"), REFUSED_IN_MESSAGES)
def test_a_message_may_not_hold(block, message):
    with pytest.raises(Refused) as refused:
        check_blocks([block])
    assert refused.value.error == "invalid_blocks"
    assert any(message in text for text in refused.value.messages), refused.value.messages
    answer = refused.value.answer()
    assert answer["ok"] is False
    assert answer["response_metadata"]["messages"][0].startswith("[ERROR] ")


TAKEN_IN_MODALS = [
    modal(),
    modal(*[section()] * 100),
    without(modal(section()), "submit"),
    modal(private_metadata="x" * 3000, callback_id="x" * 255, external_id="x" * 255),
    modal(field(TEXT_INPUT, hint=plain("x" * 2000), optional=True, dispatch_action=True)),
    modal(field(element("plain_text_input", min_length=3, max_length=3, initial_value="abc"))),
    modal(field(number(initial_value="1.5", min_value="-1", max_value="2"))),
    modal(field(number(is_decimal_allowed=False, initial_value="7"))),
    modal(field(element("email_text_input", initial_value="a@example.com"))),
    modal(field(element("url_text_input", focus_on_load=True))),
    modal(field(element("multi_external_select", max_selected_items=2))),
    modal(field(element("multi_static_select", options=options(2), initial_options=options(2)))),
    modal(field(element("users_select", initial_user="U1"))),
    modal(field(element("conversations_select", response_url_enabled=True))),
    modal(
        field(
            element(
                "plain_text_input",
                dispatch_action_config={"trigger_actions_on": ["on_character_entered"]},
            )
        )
    ),
]

REFUSED_IN_MODALS = [
    (without(modal(), "title"), "missing required field: title [json-pointer:/view]"),
    (without(modal(), "blocks"), "missing required field: blocks [json-pointer:/view]"),
    (without(modal(), "type"), "missing required field: type [json-pointer:/view]"),
    (modal(type="home"), "unsupported type: home"),
    (modal(title=plain("x" * 25)), "must be less than 25 characters [json-pointer:/view/title"),
    (modal(submit=plain("x" * 25)), "must be less than 25 characters"),
    (modal(close=plain("x" * 25)), "must be less than 25 characters"),
    (modal(private_metadata="x" * 3001), "must be less than 3001 characters"),
    (modal(callback_id="x" * 256), "must be less than 256 characters"),
    (modal(external_id="x" * 256), "must be less than 256 characters"),
    (modal(*[section()] * 101), "no more than 100 items allowed [json-pointer:/view/blocks]"),
    (modal(id="V1", hash="1.x", state={}), "invalid additional property: id"),
    (without(modal(field(TEXT_INPUT)), "submit"), "missing required field: submit"),
    (modal(section(block_id="b"), section(block_id="b")), "`block_id` must be unique: b"),
    (modal(field(TEXT_INPUT, label=mrkdwn())), "unsupported type: mrkdwn"),
    (modal(field(TEXT_INPUT, label=plain("x" * 2001))), "must be less than 2001 characters"),
    (modal(field(TEXT_INPUT, hint=plain("x" * 2001))), "must be less than 2001 characters"),
    (modal(field(button())), "unsupported type: button"),
    (modal(field(element("plain_text_input", initial_value=""))), "more than 0 characters"),
    (modal(field(element("plain_text_input", max_length=3001))), "must be between 1 and 3000"),
    (modal(field(element("plain_text_input", max_length="9"))), "must provide an integer"),
    (
        modal(field(element("plain_text_input", min_length=9, max_length=3))),
        "min_length must not be greater than max_length",
    ),
    (
        modal(field(element("plain_text_input", max_length=3, initial_value="four"))),
        "must be less than 4 characters",
    ),
    (modal(field(without(number(), "is_decimal_allowed"))), "missing required field: is_decimal"),
    (modal(field(number(min_value=1))), "must provide a string"),
    (modal(field(number(min_value="one"))), "must be a number as a string"),
    (modal(field(number(is_decimal_allowed=False, min_value="1.5"))), "must be a number as a"),
    (modal(field(number(min_value="3", max_value="2"))), "min_value must not be greater"),
    (modal(field(number(initial_value="3", max_value="2"))), "must be within min_value and max"),
    (modal(field(element("multi_static_select", options=options(2), initial_options=[]))), "no le"),
    (
        modal(
            field(
                element(
                    "multi_static_select",
                    options=options(2),
                    initial_options=options(2),
                    max_selected_items=1,
                )
            )
        ),
        "no more than 1 items allowed",
    ),
    (
        modal(
            field(element("url_text_input", focus_on_load=True)),
            field(element("url_text_input", focus_on_load=True)),
        ),
        "only one element may have focus_on_load",
    ),
    (
        modal(field(element("checkboxes", options=options(2), initial_options=[option("z")]))),
        "initial option must match one of the options exactly",
    ),
]


@pytest.mark.parametrize("view", TAKEN_IN_MODALS)
def test_a_modal_may_be(view):
    check_view(view, "modal")


@pytest.mark.parametrize(("view", "message"), REFUSED_IN_MODALS)
def test_a_modal_may_not_be(view, message):
    with pytest.raises(Refused) as refused:
        check_view(view, "modal")
    assert refused.value.error == "invalid_arguments"
    assert any(message in text for text in refused.value.messages), refused.value.messages


@pytest.mark.parametrize(
    ("view", "message"),
    [
        ({"type": "home", "blocks": [], "title": plain()}, "invalid additional property: title"),
        ({"type": "home", "blocks": [], "close": plain()}, "invalid additional property: close"),
        (
            {"type": "home", "blocks": [actions(element("datetimepicker"))]},
            "unsupported type: datetimepicker",
        ),
        ({"type": "home", "blocks": [field(number())]}, "unsupported type: number_input"),
    ],
)
def test_a_home_may_not_be(view, message):
    with pytest.raises(Refused) as refused:
        check_view(view, "home")
    assert any(message in text for text in refused.value.messages)


def test_a_home_needs_no_title():
    check_view({"type": "home", "blocks": [section()], "private_metadata": "x"}, "home")


def test_a_view_over_250_kilobytes_is_too_large():
    with pytest.raises(Refused) as refused:
        check_view(modal(*[section(text=mrkdwn("é" * 3000))] * 60), "modal")
    assert refused.value.error == "view_too_large"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "no_text"),
        ({"text": ""}, "no_text"),
        ({"blocks": []}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": 7}, "invalid_arguments"),
        ({"text": "x", "blocks": "[{"}, "invalid_blocks_format"),
        ({"text": "x", "blocks": [["divider"]]}, "invalid_blocks_format"),
        ({"text": "x", "blocks": [section()] * 51}, "invalid_blocks"),
    ],
)
def test_a_message_may_not_be(body, error):
    with pytest.raises(Refused) as refused:
        check_message(body)
    assert refused.value.error == error


def test_lengths_are_counted_in_code_points():
    check_message({"text": "🚀" * 40_000})


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"options": options(101)},
        {"options": options(1), "option_groups": []},
        {"options": [{"text": "bare", "value": "v"}]},
        {"options": [option(extra=1)]},
    ],
)
def test_suggestions_may_not_be(answer):
    with pytest.raises(Refused):
        check_suggestions(answer)


def test_suggestions_may_be_empty():
    check_suggestions({"options": []})


@pytest.mark.parametrize("errors", [None, {}, {"other": "Wrong."}, {"name": ""}, {"name": 7}])
def test_field_errors_may_not_be(errors):
    view = modal(field(TEXT_INPUT, block_id="name"), section(block_id="other"))
    with pytest.raises(Refused):
        check_field_errors(errors, view)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
BLOCK_LIKE = st.dictionaries(
    st.sampled_from(["type", "text", "fields", "accessory", "elements", "element", "label"]),
    JSON | st.sampled_from(["section", "actions", "input", "context", "button"]),
)


def error_of(check, *arguments) -> str | None:
    try:
        check(*arguments)
    except Refused as refused:
        return refused.error
    return None


@given(st.lists(BLOCK_LIKE | JSON, max_size=3) | JSON)
def test_whatever_blocks_are_sent_are_taken_or_refused(blocks):
    assert error_of(check_blocks, blocks) in {None, "invalid_blocks", "invalid_blocks_format"}


@given(JSON | st.dictionaries(st.sampled_from(["type", "title", "blocks", "submit"]), JSON))
def test_whatever_view_is_sent_is_taken_or_refused(view):
    assert error_of(check_view, view, "modal") in {None, "invalid_arguments"}
