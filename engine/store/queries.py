"""The named SQL blocks of `sql/queries/*.sql`, read once.

A file holds blocks, each with a name and a line that says what it does:

    -- name: claim_steps
    -- Take a lease on up to `limit` due steps.
    UPDATE ... WHERE s.id = ANY(%(ids)s) ...

    queries = load("execution")
    await connection.execute(queries.claim_steps, {"ids": ids})

Parameters are always given as a dictionary, also an empty one, so a literal percent sign is always
written `%%`. A test PREPAREs every block against the migrated schema.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

import sql

_HEADER = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*)\n-- (?P<about>\S.*)\n", re.MULTILINE)
_NAME = re.compile(r"^--\s*name:", re.MULTILINE)


class Queries:
    """The blocks of one file as attributes; iterating gives (name, text)."""

    __slots__ = ("_blocks", "_file")

    def __init__(self, file: str, blocks: dict[str, str]) -> None:
        self._file = file
        self._blocks = blocks

    def __getattr__(self, name: str) -> str:
        try:
            return self._blocks[name]
        except KeyError:
            raise AttributeError(f"sql/queries/{self._file}.sql has no block {name!r}") from None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._blocks.items())


@functools.cache
def load(file: str) -> Queries:
    """Return the blocks of `sql/queries/<file>.sql`; ValueError when it is not well formed."""
    text = (sql.ROOT / "queries" / f"{file}.sql").read_text("utf-8")
    return Queries(file, parse(text, file))


def files() -> list[str]:
    """Return the names of all query files, without the suffix, in order."""
    found = (sql.ROOT / "queries").iterdir()
    return sorted(f.name.removesuffix(".sql") for f in found if f.name.endswith(".sql"))


def parse(text: str, file: str) -> dict[str, str]:
    """Split the text of a query file into its blocks, by name."""
    headers = list(_HEADER.finditer(text))
    if len(headers) != len(_NAME.findall(text)):
        raise ValueError(
            f"sql/queries/{file}.sql: each '-- name: word' is followed by '-- description'"
        )
    ends = [header.start() for header in headers[1:]] + [len(text)]
    blocks: dict[str, str] = {}
    for header, end in zip(headers, ends, strict=True):
        name = header["name"]
        if name in blocks:
            raise ValueError(f"sql/queries/{file}.sql: two blocks are named {name}")
        blocks[name] = text[header.end() : end].strip().rstrip(";")
    return blocks
