"""What the commands share that do one verb of the engine to one request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from bot.cli.acting import acting
from bot.cli.driving import NOT_FOLLOWED, Follow
from bot.cli.request_text import end

if TYPE_CHECKING:
    from bot.cli.command import Invocation
    from engine import Actor, Engine, RequestView

Verb: TypeAlias = "Callable[[Engine, Actor], Awaitable[RequestView]]"


async def steer(
    invocation: Invocation,
    user_id: str | None,
    verb: Verb,
    *,
    follow: Follow = NOT_FOLLOWED,
    good: str = "completed",
) -> int:
    """Do the verb, follow the request where that was asked for, print it; return the exit code."""
    async with invocation.engine() as engine:
        view = await verb(engine, await acting(engine, user_id))
        return await end(invocation, engine, view, follow=follow, good=good)
