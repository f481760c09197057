"""Versions in SQL: their order against the semver package, ranges against the engine's own parser."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
import semver
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalog.versions import VersionError, satisfies
from tests.support.founding_rows import Rows

numbers = st.one_of(
    st.integers(0, 3).map(str), st.sampled_from(["10", "99", "123456789012345678901234567890"])
)
words = st.from_regex(r"[0-9]{0,2}[A-Za-z-][0-9A-Za-z-]{0,2}", fullmatch=True)
identifiers = st.lists(st.one_of(numbers, words), min_size=1, max_size=4).map(".".join)
builds = st.from_regex(r"[0-9A-Za-z-]{1,3}(\.[0-9A-Za-z-]{1,3})?", fullmatch=True)
cores = st.tuples(numbers, numbers, numbers).map(".".join)
versions = st.tuples(
    cores,
    st.one_of(st.just(""), identifiers.map("-{}".format)),
    st.one_of(st.just(""), builds.map("+{}".format)),
).map("".join)
parts = st.one_of(numbers, st.sampled_from(["x", "X", "*"]))
partials = st.lists(parts, min_size=1, max_size=3).map(".".join)
operators = st.sampled_from(["", "=", "!=", ">", ">=", "<", "<=", "^", "~", ">= ", "^ "])
comparisons = st.one_of(
    st.tuples(operators, st.one_of(versions, partials)).map("".join),
    st.tuples(st.one_of(versions, partials), st.one_of(versions, partials)).map(" - ".join),
)
sets = st.lists(comparisons, max_size=3).flatmap(
    lambda some: st.sampled_from([", ", " ", ",", "  , "]).map(lambda comma: comma.join(some))
)
ranges = st.lists(sets, min_size=1, max_size=3).map("||".join)
noise = st.text("0123456789.xX*<>=!^~|, -+avrc", max_size=20)


@pytest.fixture(scope="module")
def server(shared_dsn: str) -> Iterator[psycopg.Connection]:
    """A synchronous connection: hypothesis calls plain functions."""
    with psycopg.connect(shared_dsn, autocommit=True) as connection:
        yield connection


@given(st.lists(versions, min_size=2, max_size=30))
@settings(max_examples=60, deadline=None)
def test_keys_sort_as_semver_does(server: psycopg.Connection, some: list[str]) -> None:
    query = "SELECT version, semver_key(version) FROM unnest(%s::text[]) AS version"
    keys = dict(server.execute(query, (some,)).fetchall())

    for left in some:
        for right in some:
            compared = semver.Version.parse(left).compare(right)
            assert compared == (keys[left] > keys[right]) - (keys[left] < keys[right])


@given(versions)
@settings(max_examples=50, deadline=None)
def test_the_database_compares_keys_as_bytes(server: psycopg.Connection, version: str) -> None:
    query = 'SELECT semver_key(%s) COLLATE "C" > semver_key(%s) COLLATE "C"'
    (greater,) = server.execute(query, (version, "1.0.0")).fetchone() or ()

    assert greater is (semver.Version.parse(version).compare("1.0.0") > 0)


@given(st.lists(versions, min_size=1, max_size=12), st.lists(ranges, min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_ranges_hold_the_same_versions_as_in_the_engine(
    server: psycopg.Connection, some: list[str], over: list[str]
) -> None:
    assert_same(server, some, over)


@given(st.lists(versions, min_size=1, max_size=4), st.lists(noise, min_size=1, max_size=10))
@settings(max_examples=100, deadline=None)
def test_what_cannot_be_read_is_the_same_as_in_the_engine(
    server: psycopg.Connection, some: list[str], over: list[str]
) -> None:
    assert_same(server, some, over)


@given(cores, identifiers, st.sampled_from(["^", "~", ">=", "<", "<=", ">", "", "!="]))
@settings(max_examples=100, deadline=None)
def test_pre_releases_near_a_bound_are_judged_as_in_the_engine(
    server: psycopg.Connection, core: str, pre: str, operator: str
) -> None:
    near = [core, f"{core}-{pre}", f"{core}-0", f"{core}-{pre}.0", f"{core}+build"]
    over = [f"{operator}{core}", f"{operator}{core}-{pre}", f"{operator}{core.rsplit('.', 1)[0]}"]

    assert_same(server, near, over)


def assert_same(server: psycopg.Connection, some: list[str], over: list[str]) -> None:
    found = server.execute(
        "SELECT version, range, version_satisfies(version, range)"
        " FROM unnest(%s::text[]) AS version, unnest(%s::text[]) AS range",
        (some, over),
    ).fetchall()
    assert [(v, r, inside) for v, r, inside in found if inside is not by_engine(v, r)] == []


def by_engine(version: str, range_text: str) -> bool:
    """An unreadable range fits nothing."""
    try:
        return satisfies(version, range_text)
    except VersionError:
        return False


EXAMPLES = [
    ("1.4.0", ">=1.0.0, <2.0.0", True),
    ("2.0.0", ">=1.0.0, <2.0.0", False),
    ("2.0.0-rc.1", ">=1.0.0, <2.0.0", False),
    ("2.0.0-rc.1", ">=2.0.0-beta, <3.0.0", True),
    ("2.1.0-rc.1", ">=2.0.0-beta, <3.0.0", False),
    ("1.2.3+build", "=1.2.3", True),
    ("1.9.9", "^1.2", True),
    ("0.3.0", "^0.2.3", False),
    ("1.2.9", "~1.2.3", True),
    ("1.3.0", "~1.2.3", False),
    ("1.7.0", "1.x", True),
    ("3.1.0", "1.x || >=3.0.0", True),
    ("1.2.3", "!=1.2.3", False),
    ("1.2.4", "!=1.2.3", True),
    ("1.5.0", "1.0.0 - 1.5", True),
    ("1.6.0", "1.0.0 - 1.5", False),
    ("1.0.0", "*", True),
    ("1.0.0-rc.1", "*", False),
    ("1.0.0", "", True),
    ("1.0.0", "about one", False),
    ("not a version", ">=1.0.0", False),
    ("1.0", ">=1.0.0", False),
    ("01.0.0", "*", False),
]


@pytest.mark.parametrize(("version", "range_text", "inside"), EXAMPLES)
async def test_a_range_holds_a_version_or_not(
    rows: Rows, version: str, range_text: str, inside: bool
) -> None:
    assert await rows.value("SELECT version_satisfies(%s, %s)", version, range_text) is inside


@pytest.mark.parametrize("version", ["1.0.0", "1.0.0-rc.1", "not a version"])
async def test_no_range_takes_every_version(rows: Rows, version: str) -> None:
    assert await rows.value("SELECT version_satisfies(%s, NULL)", version) is True


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.0", "v1.0.0", "1.0.0-", "1.0.0-01", "1.0.0+", "1.0.0 ", "1.0.0\n", "1.0.0-é"],
)
async def test_what_is_no_version_has_no_key(rows: Rows, text: str) -> None:
    assert await rows.value("SELECT semver_key(%s)", text) is None


async def test_the_longest_version_has_a_key_and_a_longer_one_none(rows: Rows) -> None:
    longest = f"1.0.{'9' * 251}"

    assert await rows.value("SELECT semver_key(%s)", longest)
    assert await rows.value("SELECT semver_key(%s)", longest + "9") is None
