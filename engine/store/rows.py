"""Rows as frozen dataclasses: the column names of a query are the field names of its type.

Psycopg's class_row raises TypeError where they differ, so a query that drifts from its type fails
at its first use. JSON that goes in is cleaned here: this is the one edge to the JSONB columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from engine.errors import InvalidInput
from engine.foreign_json import clean
from engine.store.pool import Connection, driver_errors
from engine.store.uninterrupted import heeding_cancellation

T = TypeVar("T")
Params = Mapping[str, Any]


async def rows(connection: Connection, query: str, params: Params, row: type[T]) -> list[T]:
    """Run a query and return all its rows as `row`."""
    with driver_errors(), heeding_cancellation():
        async with connection.cursor(row_factory=class_row(row)) as cursor:
            await cursor.execute(query, params)
            return await cursor.fetchall()


async def row_or_none(connection: Connection, query: str, params: Params, row: type[T]) -> T | None:
    """Run a query and return its first row, None where there is none."""
    found = await rows(connection, query, params, row)
    return found[0] if found else None


async def values(connection: Connection, query: str, params: Params) -> list[Any]:
    """Run a query of one column and return its values."""
    with driver_errors(), heeding_cancellation():
        cursor = await connection.execute(query, params)
        return [row[0] for row in await cursor.fetchall()]


async def value(connection: Connection, query: str, params: Params) -> Any:
    """Run a query of one column and return its first value, None where there is no row."""
    found = await values(connection, query, params)
    return found[0] if found else None


async def run(connection: Connection, query: str, params: Params) -> int:
    """Run a statement and return how many rows it touched."""
    with driver_errors(), heeding_cancellation():
        cursor = await connection.execute(query, params)
        return cursor.rowcount


def jsonb(data: Any) -> Jsonb:
    """Return `data`, cleaned, for a JSONB column; InvalidInput when it is nested too deep."""
    try:
        return Jsonb(clean(data))
    except ValueError as error:
        raise InvalidInput("The value cannot be stored", str(error), "Flatten it") from error
