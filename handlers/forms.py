"""A form's opening: by name, by the picker, from an earlier request, with a draft."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from slack_bolt.async_app import AsyncApp

from bot.app import Services
from bot.forms import modals, sessions
from bot.forms.elements import ACTION, OPTIONS_ACTION, OTHER
from bot.forms.form import Filled, untouched
from bot.forms.meta import Meta
from bot.forms.pages import ANEW, BACK, CALLBACK, draw
from bot.forms.reading import entry_of
from bot.listening import OPEN_FORM, Call, Outcome, Show, listener, submission_listener
from bot.messages import asking, lists, notices
from bot.messages.blocks import button, section
from bot.messages.text import one_line
from engine import CatalogDetails, CatalogEntry, Clone, InvalidInput, NotFound
from handlers import approvals, decommission, filling, operations, recovery, subjects
from handlers.opening import first_page

Block = dict[str, Any]

REQUESTABLE: Final = ("CatalogItem", "CatalogBundle")

OFFERED: Final = 5
"""Entries that are offered in place of a name that nobody knows."""


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


async def open_form(
    call: Call, name: str, channel: str | None = None, at: datetime | None = None
) -> None:
    """Open the form of an item or bundle; what it orders begins not before `at`."""
    where = channel or call.channel
    await call.open(first_view(call, name, where, at), reopen=_opening(name, at))


async def open_meant(call: Call, typed: str, at: datetime | None = None) -> None:
    """Open the form of what somebody typed: a name, or the only one that begins so; else offer what is near.

    Names may be shortened to what is unique, like ids; nothing is ordered before the form is handed in.
    """
    try:
        await open_form(call, typed, at=at)
    except NotFound as unknown:
        near = await call.services.engine.catalog_entries(
            await call.actor(), text=typed, limit=OFFERED + 1, requestable=True
        )
        beginning = [entry for entry in near.items if _begins(entry, typed)]
        if len(beginning) == 1:
            await open_form(call, beginning[0].name, at=at)
        elif near.items:
            offered = (beginning or near.items)[:OFFERED]
            opening = [(one, _open_button(_opening(one.name, at))) for one in offered]
            await call.say(*lists.near(unknown, opening))
        else:
            raise


async def open_picker(call: Call) -> None:
    """Open the modal in which an item is looked for."""

    async def asked() -> Block:
        return modals.picker(call.channel)

    await call.open(asked(), reopen="request")


async def open_clone(call: Call, request_id: str) -> None:
    """Open the form of a request's document, filled with what that request asked for."""
    clone = await call.services.engine.clone(await call.actor(), request_id)
    if clone.instance is None:
        await call.open(_clone_view(call, clone), reopen=f"clone {request_id}")
    else:
        await operations.open_clone(call, clone)


async def open_changes(call: Call, request_id: str, step: str | None = None) -> None:
    """Open the form with which a failed request, or one step of it, goes on with other values."""

    async def asked() -> Block:
        form = await subjects.changes(call, request_id, step)
        return await first_page(call, form, Meta.of(form, call.channel, step=step))

    await call.open(asked(), reopen=" ".join(filter(None, ("change", request_id, step))))


async def first_view(
    call: Call, name: str, channel: str | None, at: datetime | None = None
) -> Block:
    """Return a form as it opens: with the defaults, or with the person's draft."""
    form = await subjects.new_form(call, await _requestable(call, name))
    meta = Meta.of(form, channel, at=at.isoformat() if at else None)
    return await first_page(call, subjects.timed(form, meta), meta)


async def on_reopen(call: Call) -> None:
    """Open what could not be opened in time."""
    what, *rest = call.value.split(" ")
    await _REOPEN[what](call, rest)


async def on_picked(call: Call) -> Outcome:
    """Go from the picker to the form."""
    entry = entry_of(call.body["view"], modals.PICKED)
    name = (entry.get("selected_option") or {}).get("value", "")
    channel = call.body["view"].get("private_metadata") or None
    return Show(await first_view(call, name, channel))


def _opening(name: str, at: datetime | None) -> str:
    """Return the value of an "Open form" button."""
    return f"at {at.isoformat()} {name}" if at else f"request {name}"


def _open_button(value: str) -> Block:
    return button(notices.OPEN_FORM, OPEN_FORM, value)


def _begins(entry: CatalogEntry, typed: str) -> bool:
    """Say whether an entry's name, or what people call it, begins with what was typed."""
    wanted = one_line(typed).casefold()
    return entry.name.casefold().startswith(wanted.replace(" ", "-")) or (
        entry.display_name.casefold().startswith(wanted)
    )


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


async def _clone_view(call: Call, clone: Clone) -> Block:
    """Return a form filled from an earlier request; it is kept, since it may have more pages."""
    form = await subjects.new_form(call, clone.document)
    actor, engine = await call.actor(), call.services.engine
    fresh = untouched(form, actor)
    values = {**clone.parameters, **_of_components(clone)}
    known = {part.name_of(one) for part, one in form.every_field()} - form.secrets()
    filled = Filled(
        team=clone.team if clone.team in form.teams else fresh.team,
        dependencies=clone.dependencies,
        values={name: value for name, value in values.items() if name in known},
        chosen={
            name: bool(component["enabled"])
            for name, component in clone.components.items()
            if "enabled" in component
        },
    ).over(fresh)
    session = await sessions.keep(engine, actor, form, filled)
    form = await subjects.settled(call, form, filled)
    notice = [section(asking.cloned(clone.request_id, clone.dropped))]
    return draw(form, filled, Meta.of(form, call.channel, session=session), notice)


def _of_components(clone: Clone) -> dict[str, Any]:
    """Return the parameters of components by qualified name."""
    return {
        f"{name}.{field}": value
        for name, component in clone.components.items()
        for field, value in component.get("parameters", {}).items()
    }


async def _reopen_request(call: Call, rest: Sequence[str]) -> None:
    await (open_form(call, " ".join(rest)) if rest else open_picker(call))


async def _reopen_at(call: Call, rest: Sequence[str]) -> None:
    await open_form(call, " ".join(rest[1:]), at=datetime.fromisoformat(rest[0]))


async def _reopen_abort(call: Call, rest: Sequence[str]) -> None:
    await recovery.abort(call, rest[0], None)


async def _reopen_resolve(call: Call, rest: Sequence[str]) -> None:
    await recovery.open_resolve(call, rest[0], rest[1] if len(rest) > 1 else None)


async def _reopen_skip(call: Call, rest: Sequence[str]) -> None:
    await recovery.open_skip(call, rest[0], rest[1])


async def _reopen_approve(call: Call, rest: Sequence[str]) -> None:
    await approvals.open_approve(call, rest[0], rest[1] if len(rest) > 1 else None)


async def _reopen_reject(call: Call, rest: Sequence[str]) -> None:
    await approvals.open_reject(call, rest[0], rest[1] if len(rest) > 1 else None)


async def _reopen_clone(call: Call, rest: Sequence[str]) -> None:
    await open_clone(call, rest[0])


async def _reopen_changes(call: Call, rest: Sequence[str]) -> None:
    await open_changes(call, rest[0], rest[1] if len(rest) > 1 else None)


async def _reopen_decommission(call: Call, rest: Sequence[str]) -> None:
    await decommission.open_confirmation(call, rest[0])


async def _reopen_operations(call: Call, rest: Sequence[str]) -> None:
    await operations.reopen(call, rest)


_REOPEN: Final[Mapping[str, Callable[[Call, Sequence[str]], Awaitable[None]]]] = {
    "request": _reopen_request,
    "at": _reopen_at,
    "abort": _reopen_abort,
    "resolve": _reopen_resolve,
    "skip": _reopen_skip,
    "approve": _reopen_approve,
    "reject": _reopen_reject,
    "clone": _reopen_clone,
    "change": _reopen_changes,
    "decommission": _reopen_decommission,
    "operations": _reopen_operations,
}
"""What the "Open form" button of an expired trigger opens, by the first word of its value."""
