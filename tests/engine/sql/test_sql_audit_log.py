"""The audit log is only added to; expiring it is audited."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.founding_rows import Rows

WRITE = "INSERT INTO audit_log (at, actor, action) VALUES (%s, 'U1', 'request.submit') RETURNING 1"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_log SET actor = 'U2' RETURNING 1",
        "DELETE FROM audit_log RETURNING 1",
        "TRUNCATE audit_log",
    ],
)
async def test_what_was_audited_is_not_changed(rows: Rows, change: str) -> None:
    await rows.value(WRITE, "2030-01-01")

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append only"):
        await rows.connection.execute(change)


async def test_old_rows_expire_and_that_is_audited(rows: Rows) -> None:
    for day in ("2030-01-01", "2030-01-02", "2030-01-03"):
        await rows.value(WRITE, day)

    gone = await rows.value("SELECT expire_audit_log('2030-01-03', 'cli:root')")

    assert gone == 2
    assert await rows.all(
        "SELECT actor, action, after ->> 'deleted' FROM audit_log ORDER BY id"
    ) == [
        ("U1", "request.submit", None),
        ("cli:root", "audit.expired", "2"),
    ]


async def test_after_an_expiry_rows_are_held_again(rows: Rows) -> None:
    await rows.value("SELECT expire_audit_log('2030-01-01', 'cli:root')")

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await rows.value("DELETE FROM audit_log RETURNING 1")
