"""A cancellation is never lost, wherever in the pool and the driver it comes."""

from __future__ import annotations

import asyncio

import pytest

from engine.store.pool import close_pool, new_pool, open_pool, transaction
from engine.store.uninterrupted import heeding_cancellation
from tests.support.eventually import eventually


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancellation_that_comes_with_the_free_connection_is_heeded(
    dsn: str, turns: int
) -> None:
    pool = new_pool(dsn, max_size=1)
    await open_pool(pool)
    went_on = False

    async def wait_for_a_connection() -> None:
        nonlocal went_on
        async with transaction(pool) as connection:
            await connection.execute("SELECT 1")
        went_on = True

    try:
        only = await pool.getconn()
        waiting = asyncio.create_task(wait_for_a_connection())
        await eventually(lambda: bool(pool.get_stats().get("requests_waiting")))
        await pool.putconn(only)
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting], timeout=10)
        assert waiting.cancelled()
        assert not went_on
    finally:
        await close_pool(pool)


@pytest.mark.parametrize("error", [None, ValueError("instead")])
async def test_a_swallowed_cancellation_is_raised_at_the_end_of_the_block(
    error: Exception | None,
) -> None:
    async def swallow() -> None:
        with heeding_cancellation():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if error is not None:
                    raise error from None

    task = asyncio.create_task(swallow())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_what_cleans_up_after_a_cancellation_goes_on() -> None:
    cleaned = False

    async def work() -> None:
        nonlocal cleaned
        try:
            await asyncio.Event().wait()
        finally:
            with heeding_cancellation():
                await asyncio.sleep(0)
            cleaned = True

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert cleaned
