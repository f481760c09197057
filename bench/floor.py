"""The floor: what the same durable facts cost without an engine.

One claim and one complete statement per fifty steps, written by hand, over one psycopg connection:
lease, fence, attempt, outputs, freed dependents, counters, the request's end, events. No rendering,
no tasks, no renewal, nothing that may go wrong is looked after.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import psycopg
from psycopg.types.json import Jsonb

from bench.world import SLOTS, statements

Connection: TypeAlias = psycopg.AsyncConnection[Any]
FLOOR = statements("floor")


async def carry_all(connection: Connection) -> int:
    """Carry everything that is due to its end; return how many steps that were."""
    carried = 0
    while True:
        cursor = await connection.execute(FLOOR["claim"], {"limit": SLOTS})
        claimed = await cursor.fetchall()
        if not claimed:
            return carried
        outputs = [Jsonb({"ok": True})] * len(claimed)
        ids, tokens = zip(*claimed, strict=True)
        finished = {"ids": list(ids), "tokens": list(tokens), "outputs": outputs, "count": len(ids)}
        await connection.execute(FLOOR["complete"], finished)
        carried += len(claimed)


async def connect(dsn: str) -> Connection:
    """One connection as the engine has it: prepared statements, generic plans."""
    return await psycopg.AsyncConnection.connect(
        dsn,
        autocommit=True,
        prepare_threshold=1,
        options="-c plan_cache_mode=force_generic_plan -c jit=off",
    )
