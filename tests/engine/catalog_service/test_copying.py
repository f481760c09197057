"""Rows as COPY text arrive in PostgreSQL as what they were."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.store.copying import Json, copy_line, json_text
from engine.store.pool import Connection

TEXTS = [
    "",
    "plain",
    "\\",
    "\\N",
    "\\.",
    "tab\tline\nfeed\rback\\slash",
    '"quoted", {braces}, comma',
    "NULL",
    "ünïcödé 😀",
    "\x7f\x08\x0b",
]


@pytest.mark.parametrize("text", TEXTS)
async def test_texts_arrays_and_json_survive(connection: Connection, text: str) -> None:
    value = {"key": text, "list": [text, 1, True, None], text or "empty": {"n": Decimal("1.50")}}
    row: list[Any] = [text, None, True, [text, "other"], [], Json(value)]
    await connection.execute(
        "CREATE TEMP TABLE copied (t TEXT, n TEXT, b BOOLEAN, a TEXT[], e TEXT[], j JSONB)"
    )
    async with connection.cursor() as cursor, cursor.copy("COPY copied FROM STDIN") as copy:
        await copy.write(copy_line(row) * 2)
    stored = await (await connection.execute("SELECT t, n, b, a, e, j FROM copied")).fetchall()
    assert stored == [(text, None, True, [text, "other"], [], value)] * 2


def test_equal_values_have_one_text() -> None:
    assert json_text({"b": 1, "a": Decimal("2.0")}) == json_text({"a": 2, "b": Decimal(1)})
    assert json_text([Decimal("0.1")]) == "[0.1]"


def test_what_json_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text(float("nan"))
    with pytest.raises(TypeError, match="object has no JSON form"):
        json_text(object())
