"""Global shortcuts."""

from typing import Final

from slack_bolt.async_app import AsyncApp

from bot.app import Services
from bot.listening import Call, listener
from handlers import forms

REQUEST_SERVICE: Final = "request_service"


def register(app: AsyncApp, services: Services) -> None:
    """Listen to the shortcut "Request a service"."""
    app.shortcut(REQUEST_SERVICE)(listener(services, on_request_service))


async def on_request_service(call: Call) -> None:
    """Open the picker."""
    await forms.open_picker(call)
