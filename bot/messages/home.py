"""The App Home: what waits for me, my open requests, my services, what is new, a start."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bot.messages.approvals import decision_buttons
from bot.messages.blocks import (
    VIEW_BLOCKS,
    Block,
    actions,
    button,
    context,
    divider,
    header,
    section,
)
from bot.messages.card import STATUS
from bot.messages.lists import Query
from bot.messages.lists import requests as request_list
from bot.messages.lists import services as service_list
from bot.messages.notices import change_in_words
from bot.messages.text import code, escaped, mention, moment, one_line
from bot.messages.values import count
from engine import CatalogChange, InstanceSummary, Page, RequestSummary

PICK: Final = "pick_item"
BROWSE: Final = "browse_catalog"
SHOWN: Final = 10
CHANGES: Final = 5

APPROVAL: Final = "approval"

WAITING_FOR: Final[Mapping[str | None, tuple[str, str]]] = {
    APPROVAL: (":raised_hand:", "asks for your approval"),
    "ticket": (":ticket:", "waits for its ticket: resolve it there, or here"),
    "failure": (":x:", "has failed: resume it, resolve it by hand, or abort it"),
}
"""What a request wants of somebody, by what it waits for."""


@dataclass(frozen=True, slots=True)
class Operating:
    """What admins see of the engine: each part with what is wrong (None for nothing), the last sync."""

    health: Mapping[str, str | None]
    last_sync: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Mine:
    """Everything that one person's Home shows."""

    services: Page[InstanceSummary]
    open_requests: Page[RequestSummary]
    waiting: Sequence[RequestSummary] = ()
    changes: Sequence[CatalogChange] = ()
    operating: Operating | None = field(default=None)


def home(mine: Mine) -> dict[str, Any]:
    """Return the App Home of one person."""
    blocks = [
        header("Platform services"),
        *actions(
            button("Request a service", PICK, style="primary"), button("Browse the catalog", BROWSE)
        ),
        *_waiting(mine.waiting),
        divider(),
        header("My open requests"),
        *_listed(request_list(mine.open_requests, Query("requests"))[1], mine.open_requests),
        divider(),
        header("My services"),
        *_listed(service_list(mine.services, Query("services"))[1], mine.services),
        *_changes(mine.changes),
        *_operating(mine.operating),
    ]
    return {"type": "home", "blocks": blocks[:VIEW_BLOCKS]}


def _listed(blocks: list[Block], page: Page[Any]) -> list[Block]:
    """Return a list's entries without its own heading; `/pao` has the further pages."""
    return blocks[1 : SHOWN + 1] if page.items else blocks


def _waiting(waiting: Sequence[RequestSummary]) -> Iterator[Block]:
    if not waiting:
        return
    yield divider()
    yield header("Waiting for you")
    for one in waiting[:SHOWN]:
        icon, words = WAITING_FOR.get(one.waits_for, (":hourglass:", "waits"))
        yield section(
            f"{icon} *{escaped(one_line(one.title), 200)}* {words}\n"
            f"{code(one.request_id)} · {mention(one.requester)} · {moment(one.created_at)}",
            accessory=button("Status", STATUS, one.request_id),
        )
        if one.waits_for == APPROVAL:
            yield from actions(*decision_buttons(one.request_id, None))
    if len(waiting) > SHOWN:
        yield context(f"… and {len(waiting) - SHOWN} more")


def _changes(changes: Sequence[CatalogChange]) -> Iterator[Block]:
    if changes:
        lines = [f"{change_in_words(one)} · {moment(one.at)}" for one in changes[:CHANGES]]
        yield divider()
        yield header("New in the catalog")
        yield section("\n".join(lines))


def _operating(operating: Operating | None) -> Iterator[Block]:
    if operating is None:
        return
    told = [
        f"{':white_check_mark:' if reason is None else ':warning:'} {escaped(name, 50)}"
        + (f": {escaped(reason, 300)}" if reason else "")
        for name, reason in operating.health.items()
    ]
    yield divider()
    yield header("Engine")
    yield section("\n".join(told))
    if operating.last_sync is not None:
        yield section(_last_sync(operating.last_sync))


def _last_sync(sync: Mapping[str, Any]) -> str:
    """Return when the catalog was synced last, to what, and what is wrong with it."""
    at = sync.get("sync_completed_at") or sync.get("sync_started_at")
    commit = code(str(sync.get("commit_hash") or "–")[:12])
    errors = int(sync.get("error_count") or 0)
    failed = sync.get("error_message")
    icon = ":warning:" if failed or errors else ":books:"
    told = f"{icon} The last sync was {escaped(str(sync.get('status')), 50)}"
    told += f", {moment(at)}, at {commit}" if at else ""
    if errors:
        told += f", with {count(errors, 'error')}"
    return f"{told}: {escaped(one_line(str(failed)), 500)}" if failed else f"{told}."
