"""Versions and ranges: order as semver has it, ranges as npm has them, and better messages."""

from __future__ import annotations

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.versions import VersionError, parse_range, parse_version, satisfies

NUMBERS = st.integers(0, 12)
WORDS = st.sampled_from(["0", "1", "11", "a", "rc", "beta-2", "x7z", "--"])
TAILS = st.lists(WORDS, max_size=3).map(".".join)


@st.composite
def versions(draw: st.DrawFn) -> str:
    core = ".".join(str(draw(NUMBERS)) for _ in range(3))
    pre, build = draw(TAILS), draw(TAILS)
    return core + (f"-{pre}" if pre else "") + (f"+{build}" if build else "")


@given(versions(), versions())
def test_order_is_that_of_semver(one: str, other: str) -> None:
    ours = (parse_version(one).key > parse_version(other).key) - (
        parse_version(one).key < parse_version(other).key
    )
    assert ours == semver.Version.parse(one).compare(other)


@given(versions())
def test_a_version_reads_back_as_it_was_written(text: str) -> None:
    assert str(parse_version(text)) == text


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0),
        ("v1.2.3", 0),
        ("1.2", 3),
        ("1.02.3", 3),
        ("1.2.3-01", 7),
        ("1.2.3+", 5),
        ("1.2.3 ", 5),
    ],
)
def test_a_wrong_version_names_the_character(text: str, at: int) -> None:
    with pytest.raises(VersionError) as caught:
        parse_version(text)
    assert caught.value.at == at


@pytest.mark.parametrize(
    ("range_text", "inside", "outside"),
    [
        (">=2.0.0, <3.0.0", "2.0.0 2.9.9", "1.9.9 3.0.0 2.1.0-rc.1 3.0.0-rc.1"),
        (">=2.0.0 <3.0.0", "2.5.0", "3.0.0"),
        ("^1.2", "1.2.0 1.9.9", "1.1.9 2.0.0 2.0.0-rc.1"),
        ("^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.4 0.0.2"),
        ("^0.0", "0.0.0 0.0.9", "0.1.0"),
        ("^0", "0.0.0 0.9.9", "1.0.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"),
        ("~1", "1.0.0 1.9.0", "2.0.0"),
        ("1.x", "1.0.0 1.9.9", "2.0.0 0.9.9 1.1.0-a"),
        ("1.2", "1.2.0 1.2.9", "1.3.0"),
        ("*", "0.0.0 9.9.9", "1.0.0-alpha"),
        ("", "0.0.0", "1.0.0-alpha"),
        (">1.2", "1.3.0", "1.2.9 1.2.0"),
        (">=1", "1.0.0 7.0.0", "0.9.9"),
        ("<=1.2", "1.2.9", "1.3.0"),
        ("<1.2", "1.1.9", "1.2.0 1.2.0-a"),
        ("1.2.3 - 2.3", "1.2.3 2.3.9", "2.4.0 1.2.2"),
        ("!=1.2.3", "1.2.4 1.2.2", "1.2.3"),
        ("=1.2.3", "1.2.3 1.2.3+build", "1.2.4"),
        ("1.2.3+a", "1.2.3+b", "1.2.4"),
        ("<1.0.0 || >=2.0.0", "0.5.0 2.0.0", "1.5.0"),
        (">=2.0.0-rc.1", "2.0.0-rc.2 2.0.0 3.0.0", "2.0.0-beta 2.1.0-rc.1"),
        (">= 1.0.0 , < 2", "1.5.0", "2.0.0"),
    ],
)
def test_ranges(range_text: str, inside: str, outside: str) -> None:
    assert [v for v in inside.split() if not satisfies(v, range_text)] == []
    assert [v for v in outside.split() if satisfies(v, range_text)] == []


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("=>1", 1),
        ("==1", 1),
        ("v1", 0),
        (">1,,<2", 3),
        (">=1,", 4),
        ("~>1.2", 1),
        ("1.2.3.4", 5),
        ("|", 0),
    ],
)
def test_a_wrong_range_names_the_character(text: str, at: int) -> None:
    with pytest.raises(VersionError) as caught:
        parse_range(text)
    assert caught.value.at == at


@pytest.mark.parametrize(
    "text", [">2 <1", ">1.0.0 <1.0.0", "<0.0.0-0", ">*", "=1.0.0 !=1.0.0", ">1.0.0-a <1.0.0-a.0"]
)
def test_a_range_that_no_version_meets_says_so(text: str) -> None:
    assert not parse_range(text).is_possible


@given(versions(), st.sampled_from(["=", ">", ">=", "<", "<=", "^", "~"]))
def test_what_a_version_meets_makes_its_range_possible(text: str, sign: str) -> None:
    found = parse_range(sign + text)
    if found.contains(parse_version(text)):
        assert found.is_possible
