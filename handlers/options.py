"""Menus that ask for their options while somebody types.

Slack sends no view state with the question: what a menu depends on stands in private_metadata.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from bot.app import Services
from bot.forms import modals, sessions
from bot.forms.choices import fetched_options, options, source_is_down
from bot.forms.elements import OPTIONS_ACTION, STATIC_OPTIONS, option
from bot.forms.form import Filled, Form
from bot.forms.meta import Meta
from bot.forms.parts import Part
from bot.forms.places import dependency_place, place_of
from bot.listening import Call, options_listener
from engine import BaseField, InstanceField, InstanceSummary, TeamField, Unreachable
from handlers import subjects

Option = dict[str, Any]
Suggestions = Mapping[str, Any]

log = structlog.get_logger(__name__)


def register(app: AsyncApp, services: Services) -> None:
    """Listen to the questions of every external select."""
    app.options(OPTIONS_ACTION)(options_listener(services, for_field))
    app.options(modals.PICKED)(options_listener(services, for_picker))


async def for_picker(call: Call) -> Suggestions:
    """Offer what can be requested."""
    page = await call.services.engine.catalog_entries(
        await call.actor(), text=_typed(call), limit=STATIC_OPTIONS, requestable=True
    )
    return _offered(
        option(entry.display_name, entry.name, entry.description)
        for entry in page.items
        if len(entry.name) <= 150
    )


async def for_field(call: Call) -> Suggestions:
    """Offer services, teams, or the options of a long list."""
    meta = Meta.unpacked(call.body["view"]["private_metadata"])
    form = await subjects.load(call, meta)
    entered = await _entered(call, meta)
    form = await subjects.settled(call, form, entered)
    asked = str(call.body.get("block_id"))
    for _, part, one in form.every_dependency():
        if dependency_place(one.name, part.key) == asked:
            return await _instances(call, one.catalog_item, one.version)
    found = _field(form, asked)
    if found is None:
        return {"options": []}
    part, field = found
    if isinstance(field, InstanceField):
        return await _instances(call, field.catalog_item, field.version)
    if isinstance(field, TeamField):
        teams = await call.services.identity.teams()
        return _offered(_matching(call, (option(team, team) for team in teams)))
    if getattr(field, "options_from", None) is not None:
        return await _fetched(call, form, part, field.name, entered)
    return _offered(_matching(call, options(field)))


async def _entered(call: Call, meta: Meta) -> Filled:
    """Return what earlier pages hold."""
    if meta.session is None:
        return Filled()
    kept = await sessions.find(call.services.engine, await call.actor(), meta.session)
    return kept.filled if kept else Filled()


async def _fetched(call: Call, form: Form, part: Part, name: str, entered: Filled) -> Suggestions:
    """Offer what a source answers, given what earlier pages hold; or say that it is down."""
    actor, engine = await call.actor(), call.services.engine
    values = {**part.fixed, **_of_part(part, entered.values)}
    instance_id = form.about if form.purpose in ("update", "upgrade") else None
    try:
        found = await engine.field_options(
            actor, part.details, name, values, instance_id=instance_id
        )
    except Unreachable as down:
        log.warning("options_not_fetched", field=name, error=str(down))
        return {"options": [source_is_down()]}
    return _offered(_matching(call, fetched_options(found)))


def _of_part(part: Part, entered: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was entered on a part, by the names of its own fields."""
    names = {part.name_of(one): one.name for one in part.fields}
    return {names[whole]: value for whole, value in entered.items() if whole in names}


async def _instances(call: Call, item: str | None, versions: str | None) -> Suggestions:
    found = await call.services.engine.usable_instances(
        await call.actor(),
        text=_typed(call),
        item=item,
        versions=versions,
        limit=STATIC_OPTIONS,
    )
    return _offered(option(one.instance_name, one.instance_id, _whose(one)) for one in found)


def _whose(one: InstanceSummary) -> str:
    return f"{one.instance_id} · {one.owner_team} · {one.catalog_version}"


def _field(form: Form, asked: str) -> tuple[Part, BaseField] | None:
    """Return the field that a block asks for, with its part."""
    every = form.every_field()
    return next((at for at in every if place_of(at[0].name_of(at[1])) == asked), None)


def _typed(call: Call) -> str | None:
    return str(call.body.get("value") or "").strip() or None


def _matching(call: Call, offered: Iterable[Option]) -> Iterable[Option]:
    """Keep the options of which every typed word begins a word."""
    typed = (_typed(call) or "").casefold().split()
    for one in offered:
        words = one["text"]["text"].casefold().replace("-", " ").split()
        whole = one["text"]["text"].casefold()
        if all(whole.startswith(t) or any(w.startswith(t) for w in words) for t in typed):
            yield one


def _offered(found: Iterable[Option]) -> Suggestions:
    """Return at most a hundred, and say where there are none."""
    offered = [one for one, _ in zip(found, range(STATIC_OPTIONS), strict=False)]
    return {"options": offered or []}
