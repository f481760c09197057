"""Lists: shown by a command, turned in place by a button."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from bot.listening import Call
from bot.messages import lists
from bot.messages.blocks import Message
from bot.messages.lists import PAGE_SIZE, Query


async def show(call: Call, query: Query, *, replace: bool = False) -> None:
    """Say one page of a list; `replace` puts it in the place of the page at hand."""
    text, blocks = await _LISTS[query.what](call, query)
    await call.say(text, blocks, replace=replace)


async def _catalog(call: Call, query: Query) -> Message:
    page = await call.services.engine.catalog_entries(
        await call.actor(),
        text=query.text,
        category=query.category,
        tag=query.tag,
        owner=query.owner,
        limit=PAGE_SIZE,
        cursor=query.cursor,
        requestable=True,
    )
    return lists.catalog(page, query)


async def _requests(call: Call, query: Query) -> Message:
    page = await call.services.engine.requests(
        await call.actor(),
        scope=query.scope,
        status=query.status,
        limit=PAGE_SIZE,
        cursor=query.cursor,
    )
    return lists.requests(page, query)


async def _services(call: Call, query: Query) -> Message:
    page = await call.services.engine.instances(
        await call.actor(),
        scope=query.scope,
        text=query.text,
        limit=PAGE_SIZE,
        cursor=query.cursor,
    )
    return lists.services(page, query)


async def _audit(call: Call, query: Query) -> Message:
    page = await call.services.engine.audit_log(
        await call.actor(), target=query.text, limit=PAGE_SIZE, cursor=query.cursor
    )
    return lists.audit(page, query)


_LISTS: Final[Mapping[str, Callable[[Call, Query], Awaitable[Message]]]] = {
    "catalog": _catalog,
    "requests": _requests,
    "services": _services,
    "audit": _audit,
}
