"""The quick reading of a file in which nothing is unusual: plain data, without its places.

Nearly every file is one mapping without anchors, tags, merge keys or faults. For such a file data is
all that is needed until something is found wrong with it, and only then a place is worth its cost.
Whatever is not plain here, and all that is wrong, is left to the composer (composer.py), which reads
the same text by the same rules and says what it is about; the two agree on every file that both read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import yaml

from engine.catalog.composer import DEEPEST, LOADER, MOST_NODES, UNPRINTABLE
from engine.catalog.core_schema import BadNumber, resolve

_SHORT: Final = 40
"""Characters of a bare word that is remembered: keys, types, numbers."""

_remembered = lru_cache(maxsize=1 << 14)(resolve)


class _Unusual(Exception):
    """The file needs the composer."""


def read_plain(text: str) -> dict[str, Any] | None:
    """Return the one mapping of a text; None where that takes more than this."""
    loader = LOADER(text)
    try:
        return _Reading(loader.get_event).document()
    except (_Unusual, yaml.YAMLError, BadNumber):
        return None
    finally:
        loader.dispose()


class _Reading:
    """The events of one text."""

    __slots__ = ("_next", "_nodes")

    def __init__(self, following: Callable[[], Any]) -> None:
        self._next = following
        self._nodes = 0

    def document(self) -> dict[str, Any]:
        following = self._next
        following()  # the start of the stream
        if type(following()) is not yaml.DocumentStartEvent:
            raise _Unusual
        first = following()
        if type(first) is not yaml.MappingStartEvent:
            raise _Unusual
        data = self._mapping(first, 1)
        following()  # the end of the document
        if type(following()) is not yaml.StreamEndEvent:
            raise _Unusual
        return data

    def _mapping(self, start: Any, depth: int) -> dict[str, Any]:
        self._check(start, depth)
        data: dict[str, Any] = {}
        following = self._next
        while type(event := following()) is yaml.ScalarEvent:
            key = _scalar(event)
            if type(key) is not str or key == "<<" or key in data:
                raise _Unusual
            event = following()
            is_scalar = type(event) is yaml.ScalarEvent
            data[key] = _scalar(event) if is_scalar else self._collection(event, depth)
        if type(event) is not yaml.MappingEndEvent:
            raise _Unusual
        self._count(2 * len(data))
        return data

    def _sequence(self, start: Any, depth: int) -> list[Any]:
        self._check(start, depth)
        data: list[Any] = []
        following = self._next
        while type(event := following()) is not yaml.SequenceEndEvent:
            is_scalar = type(event) is yaml.ScalarEvent
            data.append(_scalar(event) if is_scalar else self._collection(event, depth))
        self._count(len(data))
        return data

    def _collection(self, event: Any, depth: int) -> Any:
        kind = type(event)
        if kind is yaml.MappingStartEvent:
            return self._mapping(event, depth + 1)
        if kind is yaml.SequenceStartEvent:
            return self._sequence(event, depth + 1)
        raise _Unusual  # an alias

    def _check(self, start: Any, depth: int) -> None:
        if start.anchor is not None or start.tag is not None or depth > DEEPEST:
            raise _Unusual

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes >= MOST_NODES:
            raise _Unusual


def _scalar(event: Any) -> Any:
    if event.anchor is not None or event.tag is not None:
        raise _Unusual
    value = event.value
    if event.implicit[0]:
        return _remembered(value) if len(value) < _SHORT else resolve(value)
    if event.style == '"' and UNPRINTABLE.search(value):
        raise _Unusual
    return value
