"""The words after `/pao`: any text is taken apart, and what was meant is understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import InvalidInput
from handlers.words import Words, known_options, moment_in, split


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", Words("help")),
        ("   ", Words("help")),
        ("CATALOG", Words("catalog")),
        ("catalog two words", Words("catalog", ("two", "words"))),
        ('request "two words"', Words("request", ("two words",))),
        ("request “two words”", Words("request", ("two words",))),
        ("catalog db --tag sql", Words("catalog", ("db",), {"tag": "sql"})),
        ("catalog --tag=sql db", Words("catalog", ("db",), {"tag": "sql"})),
        ("catalog —tag sql", Words("catalog", (), {"tag": "sql"})),
        ('catalog --owner "the team"', Words("catalog", (), {"owner": "the team"})),
        ("catalog --tag", Words("catalog", (), {"tag": ""})),
        ("abort req-1 it's broken", Words("abort", ("req-1", "it's", "broken"))),
        ('abort req-1 "half', Words("abort", ("req-1", '"half'))),
        ("skip req-1 a - b", Words("skip", ("req-1", "a", "-", "b"))),
    ],
)
def test_a_command_is_taken_apart(typed: str, words: Words) -> None:
    assert split(typed) == words


@given(st.text(max_size=2000))
def test_any_text_is_taken_apart(typed: str) -> None:
    words = split(typed)

    assert words.name
    assert all(isinstance(word, str) for word in words.rest)


def test_a_missing_word_is_asked_for_by_name() -> None:
    with pytest.raises(InvalidInput, match="needs a request's id"):
        split("status").need(0, "a request's id", "status <req-id>")


def test_an_unknown_option_is_refused_with_what_was_meant() -> None:
    with pytest.raises(InvalidInput, match="Did you mean 'status'"):
        known_options(split("requests --sttus x"), frozenset({"status"}), "requests")


@pytest.mark.parametrize(
    ("typed", "moment"),
    [
        ("2026-01-31T22:00", "2026-01-31T22:00:00+01:00"),
        ("2026-07-31T22:00", "2026-07-31T22:00:00+02:00"),
        ("2026-01-31T22:00Z", "2026-01-31T22:00:00+00:00"),
    ],
)
def test_a_time_is_meant_in_ones_own_zone(typed: str, moment: str) -> None:
    at = moment_in(typed, "Europe/Berlin")

    assert at is not None
    assert at.isoformat() == moment
    assert moment_in(None, "Europe/Berlin") is None


@pytest.mark.parametrize("typed", ["", "tomorrow", "25:00"])
def test_what_is_no_time_says_how_to_write_one(typed: str) -> None:
    with pytest.raises(InvalidInput, match="2026-01-31T22:00"):
        moment_in(typed, None)
