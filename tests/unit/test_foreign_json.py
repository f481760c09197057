"""JSON from outside, made safe to keep, and paths into it that cannot take for ever."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.foreign_json import DEPTH, clean, clean_text, dump_json, parse_json, size_of
from engine.jsonpaths import LONGEST, NoMatch, check_path, first, first_at

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(values)
def test_what_was_read_can_be_stored(value) -> None:
    read = parse_json(json.dumps(value))
    written = dump_json(read)
    assert "\\u0000" not in written
    assert "NaN" not in written.replace('"NaN"', "")
    written.encode("utf-8")
    json.loads(written)


@given(values)
def test_cleaning_twice_is_cleaning_once(value) -> None:
    once = clean(value)
    assert clean(once) == once


@given(st.text(st.characters()))
def test_clean_text_has_neither_nul_nor_half_characters(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode("utf-8")
    assert "\0" not in cleaned
    assert len(cleaned) == len(text)


def test_fractions_stay_exact_and_huge_numbers_become_text() -> None:
    assert parse_json("[1.10, 1e2]") == [Decimal("1.10"), Decimal("1e2")]
    assert parse_json("1" * 2000) == "1" * 2000
    assert parse_json("1e99999") == "1e99999"
    assert parse_json(b"\xef\xbb\xbf{}") == {}


@pytest.mark.parametrize(
    "text", ["[" * (DEPTH + 1) + "]" * (DEPTH + 1), "[" * 100_000, '{"a":', ""]
)
def test_deep_and_broken_texts_are_errors(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_json(text)


def test_the_deepest_document_is_read() -> None:
    assert size_of(parse_json("[" * DEPTH + "]" * DEPTH)) == 2 * DEPTH


def test_a_path_gives_its_first_value_and_where_it_stands() -> None:
    document = {"items": [{"id": "a", "ok": False}, {"id": "b", "ok": True}]}
    assert first("$.items[1].id", document) == "b"
    assert first_at("$.items[?@.ok == true].id", document) == ("b", ("items", 1, "id"))
    assert first("$..id", document) == "a"


@pytest.mark.parametrize("path", ["$.x", "$.items[5]", "$[0]", "$.items[?@.id == 'z']"])
def test_a_path_that_finds_nothing_says_so(path: str) -> None:
    with pytest.raises(NoMatch):
        first(path, {"items": [{"id": "a"}]})


@pytest.mark.parametrize(
    "path",
    [
        "",
        "items",
        "$.",
        "$.a | $.b",
        "$.a & $.b",
        "$..*..*",
        "$[?match(@.a, '(x+x+)+y')]",
        "$[?search(@.a, '(x+x+)+y')]",
        "$[?@.a =~ /x/]",
        "$." + "a" * LONGEST,
    ],
)
def test_what_is_no_path_or_could_take_for_ever_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput):
        check_path(path)


@given(st.text(st.sampled_from("$.[]*'\"@?()ab01:,=<>&|!~ "), max_size=30), values)
def test_no_path_crashes(path: str, document) -> None:
    try:
        first(path, document)
    except (NoMatch, InvalidInput) as error:
        told = str(error)
        assert told
