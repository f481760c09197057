"""The request form's opening: by name, by the picker, with a draft."""

from typing import Any, Final

from slack_bolt.async_app import AsyncApp

from bot.app import Services
from bot.forms import modals, sessions
from bot.forms.fields import ACTION, OPTIONS_ACTION, OTHER
from bot.forms.form import form_of, untouched
from bot.forms.pages import ANEW, BACK, CALLBACK, Meta, draw
from bot.forms.reading import entry_of
from bot.listening import OPEN_FORM, Call, Outcome, Show, listener, submission_listener
from bot.messages import notices
from bot.messages.blocks import actions, button, section
from engine import CatalogDetails, InvalidInput
from handlers import filling, recovery

Block = dict[str, Any]

REQUESTABLE: Final = ("CatalogItem", "CatalogBundle")


def register(app: AsyncApp, services: Services) -> None:
    """Listen to the form's views and to what happens inside them."""
    app.view(CALLBACK)(submission_listener(services, filling.on_submit))
    app.view_closed(CALLBACK)(listener(services, filling.on_closed))
    app.action(ACTION)(listener(services, filling.on_answer))
    app.action(OTHER)(listener(services, filling.on_answer))
    app.action(OPTIONS_ACTION)(listener(services, filling.on_answer))
    app.action(BACK)(listener(services, filling.on_back))
    app.action(ANEW)(listener(services, filling.on_anew))
    app.view(modals.PICKER)(submission_listener(services, on_picked))
    app.action(OPEN_FORM)(listener(services, on_reopen))


async def open_form(call: Call, name: str, channel: str | None = None) -> None:
    """Open the form of an item or bundle."""
    where = channel or call.channel
    await call.open(first_view(call, name, where), reopen=f"request {name}")


async def open_picker(call: Call) -> None:
    """Open the modal in which an item is looked for."""

    async def asked() -> Block:
        return modals.picker(call.channel)

    await call.open(asked(), reopen="request")


async def first_view(call: Call, name: str, channel: str | None) -> Block:
    """Return a form as it opens: with the defaults, or with the person's draft."""
    actor, engine = await call.actor(), call.services.engine
    details = await _requestable(call, name)
    form = form_of(details, actor, engine.narrowed(actor, details))
    meta = Meta(form.kind, form.name, form.content_hash, channel)
    kept = await sessions.draft(engine, actor, form)
    if kept is None:
        return draw(form, untouched(form, actor), meta)
    return draw(form, kept.filled, meta, notice=_DRAFT)


async def on_reopen(call: Call) -> None:
    """Open what could not be opened in time."""
    what, *rest = call.value.split(" ")
    if what == "abort":
        await recovery.abort(call, rest[0], None)
    elif what == "resolve":
        await recovery.open_resolve(call, rest[0], rest[1] if len(rest) > 1 else None)
    elif rest:
        await open_form(call, " ".join(rest))
    else:
        await open_picker(call)


async def on_picked(call: Call) -> Outcome:
    """Go from the picker to the form."""
    entry = entry_of(call.body["view"], modals.PICKED)
    name = (entry.get("selected_option") or {}).get("value", "")
    channel = call.body["view"].get("private_metadata") or None
    return Show(await first_view(call, name, channel))


async def _requestable(call: Call, name: str) -> CatalogDetails:
    """Return the item or bundle of that name."""
    actor, engine = await call.actor(), call.services.engine
    try:
        details = await engine.catalog_entry(actor, name)
    except InvalidInput:  # the name stands for documents of several kinds
        details = await engine.catalog_entry(actor, name, REQUESTABLE[0])
    if details.entry.kind not in REQUESTABLE:
        raise InvalidInput(
            f"{name} cannot be requested",
            "it is an operation on a service that exists already",
            "Look at the service with /pao service",
        )
    return details


_DRAFT: Final = (section(notices.DRAFT), *actions(button(notices.START_ANEW, ANEW)))
