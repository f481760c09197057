"""Updates and upgrades: what can be done to a service, and the form of one operation."""

from collections.abc import Sequence
from typing import Any

from slack_bolt.async_app import AsyncApp

from bot.app import Services
from bot.forms import sessions
from bot.forms.day2 import OPERATION, Choice, operations_picker
from bot.forms.form import Filled, untouched
from bot.forms.meta import Meta
from bot.forms.pages import draw
from bot.listening import Call, listener
from bot.messages import asking
from bot.messages.blocks import section
from engine import Clone, OperationView
from handlers import subjects
from handlers.opening import first_page
from handlers.subjects import Operation

Block = dict[str, Any]


def register(app: AsyncApp, services: Services) -> None:
    """Listen to the picker's buttons."""
    app.action(OPERATION)(listener(services, on_chosen))


async def open_picker(call: Call, instance_id: str, request_type: Operation | None = None) -> None:
    """Open the list of a service's updates, upgrades or both."""

    async def asked() -> Block:
        actor, engine = await call.actor(), call.services.engine
        instance = await engine.instance(actor, instance_id)
        found = await engine.instance_operations(actor, instance.instance_id)
        paths: Sequence[Sequence[OperationView]] = ()
        if request_type != "update":
            paths = await engine.upgrade_path(actor, instance.instance_id)
        wanted = [one for one in found if request_type in {None, one.operation_type}]
        return operations_picker(instance, wanted, paths, call.channel)

    words = ("operations", instance_id, request_type)
    await call.open(asked(), reopen=" ".join(filter(None, words)))


async def open_form(
    call: Call, instance_id: str, request_type: Operation, name: str, channel: str | None = None
) -> None:
    """Open the form of one operation, prefilled from the service."""

    async def asked() -> Block:
        form = await subjects.operation(call, instance_id, request_type, name)
        return await first_page(call, form, Meta.of(form, channel or call.channel))

    await call.open(asked(), reopen=f"operations {instance_id} {request_type} {name}")


async def open_clone(call: Call, clone: Clone) -> None:
    """Open the form of the operation that an earlier request was, filled with what it asked for."""
    entry = clone.document.entry
    request_type: Operation = "upgrade" if entry.kind == "UpgradeItem" else "update"

    async def asked() -> Block:
        actor, engine = await call.actor(), call.services.engine
        form = await subjects.operation(call, clone.instance or "", request_type, entry.name)
        known = {one.name for one in form.fields} - form.secrets()
        values = {name: value for name, value in clone.parameters.items() if name in known}
        filled = Filled(values=values).over(untouched(form, actor))
        session = await sessions.keep(engine, actor, form, filled)
        notice = [section(asking.cloned(clone.request_id, clone.dropped))]
        return draw(form, filled, Meta.of(form, call.channel, session=session), notice)

    await call.open(asked(), reopen=f"clone {clone.request_id}")


async def reopen(call: Call, words: Sequence[str]) -> None:
    """Open what could not be opened in time: the list, or one operation's form."""
    instance_id, *rest = words
    request_type: Operation | None = None
    if rest:
        request_type = "upgrade" if rest[0] == "upgrade" else "update"
    if request_type is not None and len(rest) > 1:
        await open_form(call, instance_id, request_type, " ".join(rest[1:]))
    else:
        await open_picker(call, instance_id, request_type)


async def on_chosen(call: Call) -> None:
    """Open the form of the chosen operation, on top of the list."""
    choice = Choice.unpacked(call.value)
    await open_form(call, choice.instance_id, choice.request_type, choice.name, choice.channel)
