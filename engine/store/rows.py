"""Rows as frozen dataclasses: the column names of a query are the field names of its type.

Psycopg's class_row raises TypeError where they differ, so a query that drifts from its type fails
at its first use. Text that goes in is cleaned here, because PostgreSQL keeps neither NUL nor lone
surrogates and JSON has no NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from engine.errors import InvalidInput
from engine.store.pool import Connection, driver_errors

T = TypeVar("T")
Params = Mapping[str, Any]

DEEPEST_JSON = 100
"""Levels of nesting that a JSON column takes."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


async def rows(connection: Connection, query: str, params: Params, row: type[T]) -> list[T]:
    """Run a query and return all its rows as `row`."""
    with driver_errors():
        async with connection.cursor(row_factory=class_row(row)) as cursor:
            await cursor.execute(query, params)
            return await cursor.fetchall()


async def row_or_none(
    connection: Connection, query: str, params: Params, row: type[T]
) -> T | None:
    """Run a query and return its first row, None where there is none."""
    found = await rows(connection, query, params, row)
    return found[0] if found else None


async def values(connection: Connection, query: str, params: Params) -> list[Any]:
    """Run a query of one column and return its values."""
    with driver_errors():
        cursor = await connection.execute(query, params)
        return [row[0] for row in await cursor.fetchall()]


async def value(connection: Connection, query: str, params: Params) -> Any:
    """Run a query of one column and return its first value, None where there is no row."""
    found = await values(connection, query, params)
    return found[0] if found else None


async def run(connection: Connection, query: str, params: Params) -> int:
    """Run a statement and return how many rows it touched."""
    with driver_errors():
        cursor = await connection.execute(query, params)
        return cursor.rowcount


def jsonb(data: Any) -> Jsonb:
    """Return `data`, cleaned, as a parameter for a JSONB column."""
    return Jsonb(clean(data))


def clean(data: Any) -> Any:
    """Return `data` as PostgreSQL can keep it: text without NUL and lone surrogates, finite numbers.

    Non-finite numbers become text. InvalidInput where it is nested more than DEEPEST_JSON levels.
    """
    return _clean(data, 0)


def clean_text(text: str) -> str:
    """Return `text` with NUL and lone surrogates as U+FFFD."""
    text = text.replace("\0", REPLACEMENT)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "".join(REPLACEMENT if "\ud800" <= c <= "\udfff" else c for c in text)
    return text


def _clean(data: Any, depth: int) -> Any:
    if depth > DEEPEST_JSON:
        raise InvalidInput(
            "The value cannot be stored", f"it is nested over {DEEPEST_JSON} levels", "Flatten it"
        )
    if isinstance(data, str):
        return clean_text(data)
    if isinstance(data, Mapping):
        return {clean_text(str(key)): _clean(item, depth + 1) for key, item in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, bytes):
        return [_clean(item, depth + 1) for item in data]
    if isinstance(data, float) and not math.isfinite(data):
        return str(data)
    return data
