"""The App Home: my services, my open requests, what waits for me, a start."""

from collections.abc import Mapping
from typing import Any, Final

from bot.messages.blocks import VIEW_BLOCKS, Block, actions, button, divider, header, section
from bot.messages.card import STATUS
from bot.messages.lists import Query
from bot.messages.lists import requests as request_list
from bot.messages.lists import services as service_list
from bot.messages.text import code, escaped, one_line
from engine import InstanceSummary, Page, RequestSummary

PICK: Final = "pick_item"
BROWSE: Final = "browse_catalog"
SHOWN: Final = 10


def home(
    services: Page[InstanceSummary],
    open_requests: Page[RequestSummary],
    waiting: Page[RequestSummary],
    health: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """Return the App Home of one person; `health` (part -> what is wrong, None for nothing) is for admins."""
    blocks = [
        header("Platform services"),
        *actions(
            button("Request a service", PICK, style="primary"), button("Browse the catalog", BROWSE)
        ),
        *_waiting(waiting),
        divider(),
        header("My open requests"),
        *(_listed(request_list(open_requests, Query("requests"))[1], bool(open_requests.items))),
        divider(),
        header("My services"),
        *(_listed(service_list(services, Query("services"))[1], bool(services.items))),
        *_health(health),
    ]
    return {"type": "home", "blocks": blocks[:VIEW_BLOCKS]}


def _listed(blocks: list[Block], filled: bool) -> list[Block]:
    """Return a list's entries without its own heading; `/pao` has the further pages."""
    return blocks[1 : SHOWN + 1] if filled else blocks


def _waiting(waiting: Page[RequestSummary]) -> list[Block]:
    if not waiting.items:
        return []
    return [
        divider(),
        header("Waiting for you"),
        *(
            section(
                f":x: *{escaped(one_line(one.title), 200)}* has failed\n"
                f"{code(one.request_id)}: resume it, resolve it by hand, or abort it.",
                accessory=button("Status", STATUS, one.request_id),
            )
            for one in waiting.items[:SHOWN]
        ),
    ]


def _health(health: Mapping[str, str | None] | None) -> list[Block]:
    if health is None:
        return []
    told = [
        f"{':white_check_mark:' if reason is None else ':warning:'} {name}"
        + (f": {escaped(reason, 300)}" if reason else "")
        for name, reason in health.items()
    ]
    return [divider(), header("Engine"), section("\n".join(told))]
