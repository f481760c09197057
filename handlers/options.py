"""Menus that ask for their options while somebody types.

Slack sends no view state with the question: what a menu depends on stands in private_metadata.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from slack_bolt.async_app import AsyncApp

from bot.app import Services
from bot.forms import modals
from bot.forms.fields import OPTIONS_ACTION, STATIC_OPTIONS, block_id, option, options
from bot.forms.form import Form, form_of
from bot.forms.pages import DEPENDENCY, Meta
from bot.listening import Call, options_listener
from engine import BaseField, InstanceField, InstanceSummary, TeamField

Option = dict[str, Any]
Suggestions = Mapping[str, Any]

USABLE: Final = "active"
"""State of the instances that something new may connect to."""


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
    actor, engine = await call.actor(), call.services.engine
    meta = Meta.unpacked(call.body["view"]["private_metadata"])
    form = form_of(await engine.catalog_entry(actor, meta.name, meta.kind), actor)
    asked = str(call.body.get("block_id"))
    for dependency in form.dependencies:
        if block_id(dependency.name, DEPENDENCY) == asked:
            return await _instances(call, dependency.catalog_item)
    field = _field(form, asked)
    if isinstance(field, InstanceField):
        return await _instances(call, field.catalog_item)
    if isinstance(field, TeamField):
        teams = await call.services.identity.teams()
        return _offered(_matching(call, (option(team, team) for team in teams)))
    return _offered(_matching(call, options(field))) if field else {"options": []}


async def _instances(call: Call, item: str | None) -> Suggestions:
    page = await call.services.engine.instances(
        await call.actor(),
        scope="all",
        text=_typed(call),
        state=USABLE,
        item=item,
        limit=STATIC_OPTIONS,
    )
    return _offered(option(one.instance_name, one.instance_id, _whose(one)) for one in page.items)


def _whose(one: InstanceSummary) -> str:
    return f"{one.instance_id} · {one.owner_team} · {one.catalog_version}"


def _field(form: Form, asked: str) -> BaseField | None:
    return next((one for one in form.fields if block_id(one.name) == asked), None)


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
