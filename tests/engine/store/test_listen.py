from __future__ import annotations

import asyncio
from contextlib import aclosing

from engine.store.listen import Woken, listen
from engine.store.pool import Connection
from tests.support.eventually import eventually

TERMINATE = (
    b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    b"WHERE datname = current_database() AND application_name = 'pao-listen'"
)


async def test_a_notification_wakes(dsn: str, connection: Connection) -> None:
    async with aclosing(listen(dsn, ["pao_steps", "pao_events"])) as woken:
        assert await anext(woken) == Woken(None)
        await connection.execute(b"NOTIFY pao_events, 'one'")
        assert await anext(woken) == Woken("pao_events", "one")
        await connection.execute(b"NOTIFY other")
        await connection.execute(b"NOTIFY pao_steps")
        assert await anext(woken) == Woken("pao_steps")


async def test_a_lost_connection_is_made_again_and_wakes_once(
    dsn: str, connection: Connection
) -> None:
    async with aclosing(listen(dsn, ["pao_steps"])) as woken:
        assert await anext(woken) == Woken(None)
        await connection.execute(TERMINATE)
        async with asyncio.timeout(20):
            assert await anext(woken) == Woken(None)
        await connection.execute(b"NOTIFY pao_steps, 'again'")
        assert await anext(woken) == Woken("pao_steps", "again")


async def test_closing_leaves_no_connection(dsn: str, connection: Connection) -> None:
    async with aclosing(listen(dsn, ["pao_steps"])) as woken:
        await anext(woken)

    async def are_all_gone() -> bool:  # the server ends a backend some moments after its client
        row = await (
            await connection.execute(
                b"SELECT count(*) FROM pg_stat_activity "
                b"WHERE datname = current_database() AND application_name = 'pao-listen'"
            )
        ).fetchone()
        return row == (0,)

    await eventually(are_all_gone)
