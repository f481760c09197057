"""The digest: what an owner's services may newly get, in one message a day at most.

The cache of eligible operations says what may be run; a mark on each of its rows says that the owner
was told. What could not be told today, because the day's digest is out, stands in tomorrow's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final

from engine.store import reminders
from engine.store.pool import Pool, transaction

PAUSE: Final = timedelta(days=1)
LONGEST: Final = 50
"""Operations that one digest names; the event's `total` counts all."""


async def send_digests(pool: Pool, teams: Mapping[str, Collection[str]] | None = None) -> int:
    """Tell every owner whose day has passed what is new for them; return how many were told.

    `teams`: members as the settings declare, beside Slack's: what is open to an owner is told.
    """
    async with transaction(pool) as connection:
        return await reminders.send_digests(connection, PAUSE, LONGEST, teams or {})
