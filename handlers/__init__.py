"""What people do in Slack, one file per way in: read, ask the engine, answer."""

from slack_bolt.async_app import AsyncApp

from bot.app import Services
from handlers import (
    approvals,
    buttons,
    command,
    decommission,
    fallbacks,
    forms,
    home,
    operations,
    options,
    people,
    recovery,
    shortcuts,
)

__all__ = ["Services", "register"]


def register(app: AsyncApp, services: Services) -> None:
    """Add every listener to the app; what none of them takes is answered in words, so they go last."""
    for part in _PARTS:
        part.register(app, services)


_PARTS = (
    command,
    shortcuts,
    forms,
    operations,
    decommission,
    recovery,
    approvals,
    buttons,
    options,
    home,
    people,
    fallbacks,
)
