"""A request driven to its end with every wait of its steps cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine import Engine, RequestView
from engine.store.pool import Connection
from tests.support.eventually import eventually


async def hurried(
    engine: Engine,
    connection: Connection,
    request_id: str,
    world: Callable[[], None] = lambda: None,
) -> RequestView:
    """Drive a request, while the world goes on by `world`."""
    driving = asyncio.ensure_future(engine.drive(request_id, timeout=60))

    async def hurry() -> bool:
        world()
        await connection.execute(
            b"UPDATE request_steps SET next_run_at = clock_timestamp()"
            b" WHERE next_run_at > clock_timestamp() + interval '10 ms'"
        )
        await connection.execute(b"NOTIFY pao_steps")
        return driving.done()

    try:
        await eventually(hurry, within=60)
    finally:
        driving.cancel()
    return await driving
