"""Any text passes: escaped, cut by code points, never empty, never refused by Slack."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.messages import text
from bot.messages.blocks import actions, button, columns, context, header, modal, section
from bot.playground.limits import check_blocks, check_view

ANYTHING = st.text(st.characters(), max_size=5000)
MARKUP = st.lists(
    st.sampled_from(["<@U123>", "<https://a.example|b>", "&amp;", "`x`", "```y```", "word ", "\n"]),
    max_size=700,
).map("".join)


@given(ANYTHING)
def test_foreign_text_can_neither_mention_nor_link(foreign: str) -> None:
    shown = text.escape(foreign)

    assert "<" not in shown
    assert ">" not in shown
    assert re.fullmatch(r"(?s)[^&]*(&(amp|lt|gt);[^&]*)*", shown)


@given(ANYTHING, st.integers(2, 100))
def test_escaped_text_is_never_cut_inside_an_escape(foreign: str, limit: int) -> None:
    shown = text.escaped(foreign, limit)

    assert len(shown) <= limit
    assert re.fullmatch(r"(?s)[^&]*(&(amp|lt|gt);[^&]*)*", shown)


@given(ANYTHING, st.integers(1, 60))
def test_a_cut_says_so(foreign: str, limit: int) -> None:
    shown = text.cut(foreign, limit)

    assert len(shown) <= limit
    assert shown == foreign or shown.endswith("…")


@given(ANYTHING)
def test_slack_takes_any_text_everywhere(foreign: str) -> None:
    safe = text.escaped(foreign, 3000)
    blocks = [
        header(foreign),
        section(safe),
        section(text.code(foreign)),
        section(text.code_block(foreign)),
        section(text.link("https://example.com/a?b=1&c=2", foreign)),
        context(safe),
        *columns([safe, safe]),
        *actions(button(foreign, "action", foreign)),
    ]

    check_blocks(blocks)
    check_view(modal(foreign, blocks, callback_id="any", submit=foreign), "modal")


@given(MARKUP)
def test_markup_is_cut_between_its_parts(markup: str) -> None:
    shown = text.mrkdwn(markup, 200)["text"]

    assert len(shown) <= 200
    assert shown.count("<") == shown.count(">")
    assert shown.count("```") % 2 == 0


@given(ANYTHING)
def test_code_cannot_be_left_from_inside(foreign: str) -> None:
    assert text.code(foreign).count("`") == 2
    assert text.code_block(foreign).count("```") == 2


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "slack://x", "", "https://a b", "https://a|b", None]
)
def test_only_web_addresses_become_links(address: str | None) -> None:
    assert text.link(address, "the job") == "the job"


def test_a_label_cannot_end_its_link() -> None:
    assert text.link("https://a.example/", "x|y>z") == "<https://a.example/|x¦y&gt;z>"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (4.4, "4 s"), (80, "1 min 20 s"), (7500, "2 h 5 min"), (90000, "1 d 1 h")],
)
def test_a_length_of_time_in_its_two_largest_units(seconds: float, told: str) -> None:
    assert text.duration(seconds) == told


def test_people_of_the_command_line_are_named_not_mentioned() -> None:
    assert text.mention("U0ADA") == "<@U0ADA>"
    assert text.mention("cli:<root>") == "cli:&lt;root&gt;"
