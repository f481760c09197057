"""One service, with all that is known of it."""

import asyncio

from bot.listening import Call
from bot.messages.service import Service, service


async def show(call: Call, instance_id: str) -> None:
    """Say how a service stands: outputs, neighbours, what is due, what happened to it."""
    engine, actor = call.services.engine, await call.actor()
    view = await engine.instance(actor, instance_id)
    operations, history, timeline = await asyncio.gather(
        engine.instance_operations(actor, view.instance_id),
        engine.instance_history(actor, view.instance_id),
        engine.instance_timeline(actor, view.instance_id),
    )
    await call.say(*service(Service(view, operations, history, timeline)))
