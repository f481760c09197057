"""The App Home, drawn when somebody looks at it."""

from slack_bolt.async_app import AsyncApp

from bot.app import Services
from bot.listening import Call, listener


def register(app: AsyncApp, services: Services) -> None:
    """Listen to the opening of the App Home."""
    app.event("app_home_opened")(listener(services, on_opened))


async def on_opened(call: Call) -> None:
    """Publish the person's App Home."""
    if call.body["event"].get("tab", "home") == "home":
        await call.services.homes.opened(call.user_id)
