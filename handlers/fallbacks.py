"""What no other listener takes: buttons and views of an older release, commands of a newer manifest.

Without these Slack would show an error, or (events) deliver the same again.
"""

import re
from typing import Final

from slack_bolt.async_app import AsyncApp

from bot.app import Services
from bot.listening import (
    Call,
    Close,
    Outcome,
    listener,
    options_listener,
    submission_listener,
)
from bot.messages import notices

ANY: Final = re.compile(r"(?s).*")


def register(app: AsyncApp, services: Services) -> None:
    """Listen to everything that is left. Goes last: the first listener that matches wins."""
    app.action(ANY)(listener(services, on_old_button))
    app.shortcut(ANY)(listener(services, on_old_button))
    app.command(ANY)(listener(services, on_unknown_command))
    app.view(ANY)(submission_listener(services, on_old_view))
    app.view_closed(ANY)(listener(services, on_ignored))
    app.options(ANY)(options_listener(services, on_old_menu))
    app.event(ANY)(listener(services, on_ignored))


async def on_old_button(call: Call) -> None:
    """Say that the button does nothing any more; a link has done its work already."""
    if not call.action.get("url"):
        await call.say(notices.OLD_BUTTON)


async def on_unknown_command(call: Call) -> None:
    """Say what there is instead."""
    await call.say(notices.UNKNOWN_COMMAND)


async def on_old_view(call: Call) -> Outcome:
    """Close the view, and say by direct message that it was of no use."""
    return Close(then=lambda: call.say(notices.OLD_VIEW), everything=True)


async def on_old_menu(_: Call) -> dict[str, list[object]]:
    """Offer nothing."""
    return {"options": []}


async def on_ignored(_: Call) -> None:
    """Nothing is to be done; the acknowledgement alone counts."""
