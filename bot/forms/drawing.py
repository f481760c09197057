"""A document's fields as blocks, drawn once for as long as nobody has filled them in.

Most of a form is the same for everybody who opens it. Drawing sixty fields costs thirty times as
much as putting sixty finished blocks into a list, so a field's blocks are kept with the value that
it has in an untouched form. What somebody entered is drawn each time and never kept. Blocks that
are handed out are shared: nobody changes them.
"""

import json
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from bot.forms.fields import input_blocks
from bot.forms.places import prefix_of
from engine import BaseField

Json = Any
Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A field's blocks, and their size as JSON in bytes."""

    blocks: tuple[Block, ...]
    size: int


class Drawings:
    """The blocks of one document's fields.

    `key`: the component that they are for, if any; `controllers`: the fields that others depend on.
    """

    def __init__(self, key: str = "", controllers: Set[str] = frozenset()) -> None:
        self._prefix = prefix_of(key)
        self._controllers = controllers
        self._kept: dict[str, tuple[Json, Drawn]] = {}

    def of(self, one: BaseField, value: Json) -> Drawn:
        """Return the blocks that ask for a field, filled with `value`."""
        kept = self._kept.get(one.name)
        if kept is not None and kept[0] == value and type(kept[0]) is type(value):
            return kept[1]
        drawn = self.anew(one, value)
        if value is None or _is_default(one, value):
            self._kept[one.name] = (value, drawn)
        return drawn

    def anew(self, one: BaseField, value: Json) -> Drawn:
        """Return the blocks of a field that is not quite the document's."""
        controls = one.name in self._controllers
        return measured(input_blocks(one, value, prefix=self._prefix, controls=controls))


def measured(blocks: list[Block]) -> Drawn:
    """Return blocks with their size."""
    size = len(json.dumps(blocks, ensure_ascii=False).encode())
    return Drawn(tuple(blocks), size)


def _is_default(one: BaseField, value: Json) -> bool:
    default = list(one.default) if isinstance(one.default, tuple) else one.default
    return bool(value == default)
