"""Buttons of cards, lists and menus. Permission is checked at the click, by the engine."""

import re

from slack_bolt.async_app import AsyncApp

from bot.app import Services
from bot.listening import Call, Work, listener
from bot.messages import card, directs, home, lists, menus, notices, service
from bot.messages.blocks import modal
from bot.messages.lists import Query
from engine import NotFound, not_yours
from handlers import decommission, forms, operations, pages, recovery, services


def register(app: AsyncApp, bot: Services) -> None:
    """Listen to every button that is on a message or on the App Home.

    A number after the id tells buttons apart that stand in one row and do the same.
    """
    for action_id, work in _BUTTONS.items():
        app.action(re.compile(rf"^{action_id}(:\d+)?$"))(listener(bot, work))
    app.action(re.compile(rf"^{lists.TURN}:"))(listener(bot, _turn))


async def _request(call: Call) -> None:
    await forms.open_form(call, call.value)


async def _details(call: Call) -> None:
    kind, _, name = call.value.partition(" ")
    engine, actor = call.services.engine, await call.actor()

    async def drawn() -> dict[str, object]:
        found = await engine.catalog_entry(actor, name, kind)
        fields = [(one.title, one.type) for one in engine.form_fields(found) if not one.hidden]
        return modal(found.entry.display_name, lists.details(found, fields), callback_id="details")

    await call.open(drawn(), reopen=f"request {name}")


async def _turn(call: Call) -> None:
    await pages.show(call, Query.unpacked(call.value), replace=True)


async def _pick(call: Call) -> None:
    await forms.open_picker(call)


async def _browse(call: Call) -> None:
    await pages.show(call, Query("catalog"))


async def _my_requests(call: Call) -> None:
    await pages.show(call, Query("requests"))


async def _my_services(call: Call) -> None:
    await pages.show(call, Query("services"))


async def _status(call: Call) -> None:
    await recovery.show_status(call, call.value)


async def _service(call: Call) -> None:
    await services.show(call, call.value)


async def _update(call: Call) -> None:
    await operations.open_picker(call, call.value, "update")


async def _upgrade(call: Call) -> None:
    await operations.open_picker(call, call.value, "upgrade")


async def _operations(call: Call) -> None:
    await operations.open_picker(call, call.value, None)


async def _decommission(call: Call) -> None:
    await decommission.open_form(call, call.value)


async def _secrets(call: Call) -> None:
    await recovery.show_secrets(call, call.value)


async def _retry(call: Call) -> None:
    request_id, _, step = call.value.partition(" ")
    await recovery.retry(call, request_id, step)


async def _resume(call: Call) -> None:
    await recovery.resume(call, call.value)


async def _change(call: Call) -> None:
    request_id, _, step = call.value.partition(" ")
    await forms.open_changes(call, request_id, step or None)


async def _skip(call: Call) -> None:
    request_id, _, step = call.value.partition(" ")
    await recovery.open_skip(call, request_id, step)


async def _logs(call: Call) -> None:
    request_id, _, step = call.value.partition(" ")
    await recovery.show_logs(call, request_id, step or None)


async def _resolve(call: Call) -> None:
    request_id, _, step = call.value.partition(" ")
    await recovery.open_resolve(call, request_id, step or None)


async def _cancel(call: Call) -> None:
    await recovery.cancel(call, call.value)


async def _abort(call: Call) -> None:
    await recovery.abort(call, call.value, None)


async def _link(_: Call) -> None:
    """Slack opens the address; the click still wants its acknowledgement."""


def _on_card(work: Work) -> Work:
    """A card stands in the channel for all to see: who may not use it is told whom to ask.

    The engine answers as it does to an id that somebody guessed, "not found, or not yours"; here
    the person has the thing before their eyes.
    """

    async def clicked(call: Call) -> None:
        try:
            await work(call)
        except NotFound as hidden:
            if hidden.code != NotFound.default_code:
                raise
            raise not_yours() from hidden

    return clicked


_BUTTONS = {
    lists.REQUEST: _request,
    lists.DETAILS: _details,
    home.PICK: _pick,
    home.BROWSE: _browse,
    menus.MY_REQUESTS: _my_requests,
    menus.MY_SERVICES: _my_services,
    card.STATUS: _status,
    card.SERVICE: _on_card(_service),
    card.SECRETS: _on_card(_secrets),
    card.RETRY: _on_card(_retry),
    card.RESUME: _on_card(_resume),
    card.CHANGE: _on_card(_change),
    card.SKIP: _on_card(_skip),
    card.LOGS: _on_card(_logs),
    card.RESOLVE: _on_card(_resolve),
    card.CANCEL: _on_card(_cancel),
    card.ABORT: _on_card(_abort),
    service.UPDATE: _on_card(_update),
    service.UPGRADE: _on_card(_upgrade),
    service.DECOMMISSION: _on_card(_decommission),
    directs.OPERATIONS: _operations,
    notices.LINK: _link,
}
