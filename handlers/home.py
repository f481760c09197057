"""The App Home, drawn when somebody looks at it."""

import asyncio

from slack_bolt.async_app import AsyncApp

from bot.app import Services
from bot.listening import Call, listener
from bot.messages.home import SHOWN, home


def register(app: AsyncApp, services: Services) -> None:
    """Listen to the opening of the App Home."""
    app.event("app_home_opened")(listener(services, on_opened))


async def on_opened(call: Call) -> None:
    """Publish the person's App Home."""
    if call.body["event"].get("tab", "home") == "home":
        await publish(call)


async def publish(call: Call) -> None:
    """Draw what is the person's now, and show it."""
    actor, engine = await call.actor(), call.services.engine
    services, active, failed = await asyncio.gather(
        engine.instances(actor, scope="mine", limit=SHOWN),
        engine.requests(actor, scope="mine", status="in_progress", limit=SHOWN),
        engine.requests(actor, scope="mine", status="failed", limit=SHOWN),
    )
    health = dict(await engine.health()) if actor.is_admin else None
    view = home(services, active, failed, health)
    await call.services.client.views_publish(user_id=actor.user_id, view=view)
