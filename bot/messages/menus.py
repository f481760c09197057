"""The menu of `/pao help`."""

from collections.abc import Sequence
from typing import Final

from bot.messages.blocks import Message, actions, button, section
from bot.messages.home import BROWSE, PICK
from bot.messages.text import escaped

MY_REQUESTS: Final = "my_requests"
MY_SERVICES: Final = "my_services"


def help_menu(rows: Sequence[tuple[str, str]]) -> Message:
    """Return the sub-commands, with buttons for the first things one wants."""
    lines = "\n".join(f"`/pao {escaped(usage, 100)}`  {summary}" for usage, summary in rows)
    blocks = [
        section(f"*What I can do*\n{lines}"),
        *actions(
            button("Request a service", PICK, style="primary"),
            button("Browse the catalog", BROWSE),
            button("My requests", MY_REQUESTS),
            button("My services", MY_SERVICES),
        ),
        section("Ids, and names of what you request, may be shortened to what is unique."),
    ]
    return "What I can do", blocks
