"""The protocol of everything that starts and stops, as one test for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine.service import Service


async def keeps_the_service_protocol(make: Callable[[], Service]) -> None:
    """Stop before start, twice, in the middle of a start; start again; nothing is left running."""
    before = asyncio.all_tasks()
    await make().stop()
    service = make()
    await service.start()
    await service.stop()
    await service.stop()
    await service.start()
    await service.stop()
    starting = asyncio.ensure_future(service.start())
    await asyncio.sleep(0)
    await service.stop()
    await asyncio.wait([starting])
    await service.stop()
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    assert not left, left
