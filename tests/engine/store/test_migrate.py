from __future__ import annotations

from engine.store import migrate
from engine.store.pool import Connection


async def test_a_fresh_database_has_every_migration(connection: Connection, dsn: str) -> None:
    lines = await migrate.status(dsn)
    assert lines
    assert {line.state for line in lines} == {"applied"}


async def test_a_fresh_database_has_every_migration2(connection: Connection, dsn: str) -> None:
    lines = await migrate.status(dsn)
    assert {line.state for line in lines} == {"applied"}


async def test_h(http_server, pool) -> None:
    import httpx

    http_server.answer("GET", "/x", status=201, json=1, times=1)
    http_server.answer("GET", "/x", status=202, json=1)
    async with httpx.AsyncClient() as c:
        assert (await c.get(http_server.url + "/x")).status_code == 201
        assert (await c.get(http_server.url + "/x")).status_code == 202
        assert (await c.get(http_server.url + "/x")).status_code == 202
