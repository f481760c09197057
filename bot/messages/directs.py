"""What people are told of their services by direct message: no request of theirs has a thread for it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.messages.blocks import Block, actions, button, section
from bot.messages.card import SERVICE
from bot.messages.text import code, escaped, is_slack_user, one_line
from bot.messages.values import count
from engine import Event

OPERATIONS: Final = "operations_pick"
"""The button that opens the operations due for a service."""

SHOWN: Final = 10
"""Services that one message names; a button stands by each."""


@dataclass(frozen=True, slots=True)
class Asks:
    """Of which approval a message has the buttons: of a step's, or (None) of the request's own."""

    step: str | None


@dataclass(frozen=True, slots=True)
class Direct:
    """A message to one person."""

    to: str
    markup: str
    blocks: Sequence[Block]
    asks: Asks | None = None


def directs(event: Event) -> list[Direct]:
    """Return the messages that an event makes; none for people whom Slack does not know."""
    telling = DIRECTS.get(event.kind)
    return [one for one in telling(event.data) if is_slack_user(one.to)] if telling else []


def _eligible(data: Mapping[str, Any]) -> Iterator[Direct]:
    """Yield the digest of what is newly due for the services of one owner."""
    services: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in data.get("operations") or ():
        told = f"{one.get('operation_name')} {one.get('operation_version')}"
        service = str(one.get("instance_id")), str(one.get("instance_name"))
        services[service].append(f"{told} ({one.get('operation_type')})")
    if not services:
        return
    heading = f":sparkles: *{count(len(services), 'service')} of yours can be brought up to date*"
    blocks = [section(heading)]
    for (instance_id, name), due in list(services.items())[:SHOWN]:
        words = ", ".join(escaped(one_line(one), 150) for one in due[:5])
        more = f" and {len(due) - 5} more" if len(due) > 5 else ""
        blocks.append(
            section(
                f"*{escaped(one_line(name), 150)}* {code(instance_id)}: {words}{more}",
                accessory=button("Choose", OPERATIONS, instance_id),
            )
        )
    told_of = sum(len(due) for due in list(services.values())[:SHOWN])
    if len(services) > SHOWN or int(data.get("total") or 0) > told_of:
        blocks.append(section("There is more: `/pao services` shows what is due."))
    yield Direct(str(data.get("owner_user_id") or ""), heading, blocks)


def _degraded(data: Mapping[str, Any]) -> Iterator[Direct]:
    """Yield, for each owner, which of their services lean on one that is degraded."""
    owners: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for one in data.get("dependents") or ():
        owners[str(one.get("owner_user_id") or "")].append(one)
    provider = (
        f"*{escaped(one_line(str(data.get('provider_name') or '?')), 200)}* "
        f"{code(str(data.get('provider') or '?'))}"
    )
    for owner, mine in owners.items():
        lines = "\n".join(
            f"• *{escaped(one_line(str(one.get('instance_name'))), 150)}* "
            f"{code(str(one.get('instance_id')))}"
            for one in mine[:SHOWN]
        )
        more = f"\n… and {len(mine) - SHOWN} more" if len(mine) > SHOWN else ""
        markup = (
            f":large_orange_circle: {provider} is degraded: a change to it failed. "
            f"These services of yours need it:\n{lines}{more}\n"
            "Its owners were told. You will hear no more of it from here until it is whole again."
        )
        shown = [
            button(f"Show {one.get('instance_name')}", f"{SERVICE}:{at}", str(one["instance_id"]))
            for at, one in enumerate(mine[:5])
        ]
        yield Direct(owner, markup, [section(markup), *actions(*shown)])


DIRECTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterator[Direct]]]] = {
    "operations.eligible": _eligible,
    "instance.provider_degraded": _degraded,
}
