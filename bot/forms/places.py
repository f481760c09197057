"""Where in a view something is asked: block ids, the same in every drawing of a form.

Slack keeps what was typed in a block for as long as its id stays.
"""

from typing import Final
from urllib.parse import quote

from bot.forms.fields import block_id

NAME_BLOCK: Final = "instance_name"
TEAM_BLOCK: Final = "team"
CHOICE_BLOCK: Final = "components"
"""Asks which optional items of a bundle are wanted."""
CONFIRMATION_BLOCK: Final = "confirmation"
DEPENDENCY: Final = "dependency"
"""Prefix of the block ids that ask for services to connect to."""

SINGLE: Final = frozenset({NAME_BLOCK, TEAM_BLOCK, CHOICE_BLOCK, CONFIRMATION_BLOCK})
"""Blocks that ask for what is no field of a document; their errors go by the same names."""


def prefix_of(key: str) -> str:
    """Return what keeps the block ids of a component apart; nothing for a form's own part."""
    return f"component:{quote(key)}" if key else ""


def place_of(name: str) -> str:
    """Return the id of the block that asks for a field, by its qualified name, or what is in SINGLE."""
    if name in SINGLE:
        return name
    key, _, field = name.rpartition(".")
    return block_id(field, prefix_of(key))


def dependency_place(name: str, key: str = "") -> str:
    """Return the id of the block that asks for a service to connect to; `key`: of a component."""
    return block_id(name, f"{DEPENDENCY}-of:{quote(key)}" if key else DEPENDENCY)


def asks_a_field(block: str) -> bool:
    """Tell whether a block asks for a field of a document, and nothing around it."""
    return block not in SINGLE and not block.startswith(DEPENDENCY)
