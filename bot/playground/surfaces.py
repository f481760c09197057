"""Where an app's blocks stand before a person: a message, or a view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.playground.inputs import Untypable
from bot.playground.limits import elements_in
from bot.playground.views import View
from bot.playground.workspace import Message

if TYPE_CHECKING:
    from bot.playground.refusals import JsonObject

Surface = View | Message


def surface_id(surface: Surface) -> str:
    """Return what tells surfaces apart: a view's id, a message's ts."""
    return surface.id if isinstance(surface, View) else surface.ts


def find_element(
    surface: Surface, name: str, block_id: str | None = None
) -> tuple[JsonObject, JsonObject]:
    """Return the block and the element of a name: an action_id, or the block_id of its input.

    Raises:
        Untypable: there is none on this surface.
    """
    known: list[str] = []
    for block, element in elements_in(surface.blocks):
        inside = block_id is None or block["block_id"] == block_id
        own = block["type"] == "input" and block["block_id"] == name
        if inside and (element["action_id"] == name or own):
            return block, element
        known.append(f"{block['block_id']}/{element['action_id']}")
    raise Untypable(f"no element {name!r} here; there are: {', '.join(known) or 'none'}")
