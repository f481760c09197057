from __future__ import annotations

import re
import string
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store import queries
from engine.store.pool import Connection, connect
from tests.support.database import fresh_database

ALL = [(file, name) for file in queries.files() for name, _ in queries.load(file)]
PARAMETER = re.compile(r"%\((\w+)\)s|%%")


@pytest.fixture(scope="module")
async def migrated(server_dsn: str) -> AsyncIterator[Connection]:
    """A connection to a migrated database that no test of this module writes to."""
    with fresh_database(server_dsn) as dsn:
        async with await connect(dsn) as connection:
            yield connection


@pytest.mark.parametrize(("file", "name"), ALL, ids=[f"{f}.{n}" for f, n in ALL])
async def test_the_server_accepts_every_named_query(
    file: str, name: str, migrated: Connection
) -> None:
    """PREPARE parses, resolves and types a statement without running it."""
    text = getattr(queries.load(file), name)
    await migrated.execute(f"PREPARE {file}_{name} AS {positional(text)}".encode())


def positional(text: str) -> str:
    """Replace the driver's parameters by the server's: one number for each name."""
    numbers: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        return f"${numbers.setdefault(match[1], len(numbers) + 1)}"

    return PARAMETER.sub(number, text)


names = st.text(string.ascii_lowercase + "_", min_size=1).filter(lambda n: n[0] != "_")
bodies = st.text(string.ascii_letters + " \n%()=;'", min_size=1).map(lambda b: f"SELECT {b}X")


@given(st.dictionaries(names, bodies, min_size=1))
def test_blocks_come_back_as_they_were_written(blocks: dict[str, str]) -> None:
    text = "".join(f"-- name: {n}\n-- Says what.\n{body};\n\n" for n, body in blocks.items())
    assert queries.parse(text, "some") == blocks


@pytest.mark.parametrize(
    "text",
    [
        "-- name: one\nSELECT 1",
        "-- name: One\n-- About.\nSELECT 1",
        "-- name:one\n-- About.\nSELECT 1",
        "-- name: one\n-- A.\nSELECT 1;\n-- name: one\n-- B.\nSELECT 2;",
    ],
    ids=["no description", "capital", "no space", "twice"],
)
def test_a_malformed_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"sql/queries/some\.sql"):
        queries.parse(text, "some")


def test_an_unknown_block_is_named() -> None:
    with pytest.raises(AttributeError, match=r"sql/queries/migrate\.sql has no block 'nope'"):
        _ = queries.load("migrate").nope
