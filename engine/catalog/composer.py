"""From the YAML parser's events to documents: data, places, and what is wrong, in one pass.

The C parser's own composer would run out of stack on deep nesting, and knows neither duplicate
keys nor limits. This one keeps a stack of what is being filled; an alias repeats an object and is
charged with all its nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from engine.catalog.core_schema import BadNumber, resolve
from engine.catalog.findings import Finding, path_text
from engine.catalog.scalars import describe
from engine.catalog.source import Node, Place, Source

DEEPEST: Final = 50
"""Mappings and lists within each other."""
MOST_NODES: Final = 10_000
"""Nodes of one document after aliases are expanded."""
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BARE_TEMPLATE = re.compile(r"(?:[:,\[-]\s+)\{\{")
_TAG: Final = "tag:yaml.org,2002:"


class _GiveUp(Exception):
    """The rest of the text cannot be read, or must not be."""


class _Frame:
    """A mapping or list that is being filled."""

    __slots__ = (
        "anchor",
        "data",
        "height",
        "is_template",
        "key",
        "key_place",
        "merges",
        "nodes_before",
        "place",
        "start",
    )

    def __init__(
        self, data: Any, place: Node, anchor: str | None, nodes_before: int, start: int
    ) -> None:
        self.data = data
        self.place = place
        self.anchor = anchor
        self.nodes_before = nodes_before
        self.height = 1
        self.key: Any = _NO_KEY
        self.key_place: Place = (0, 0)
        self.merges: list[tuple[Any, Node]] = []
        self.start = start
        self.is_template = False


_NO_KEY: Final = object()
_BAD_KEY: Final = object()
_MERGE: Final = object()


@dataclass(frozen=True, slots=True)
class _Anchored:
    """A value that an alias can repeat, with what it costs."""

    data: Any
    place: Node
    nodes: int
    height: int


class Composer:
    """The reading of one text: the parser's events turned into documents."""

    def __init__(self, file: str, text: str, first_line: int) -> None:
        self.findings: list[Finding] = []
        self.gave_up = False
        self._file = file
        self._text = text
        self._offset = first_line + 1
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Anchored | None] = {}
        self._nodes = 0
        self._result: tuple[Any, Node] | None = None
        self._findings_before = 0

    def documents(self) -> Iterator[Source]:
        """Yield the documents that are mappings; the others become findings."""
        loader = LOADER(self._text)
        started, first = self._offset, True
        try:
            while loader.check_event():
                event = loader.get_event()
                kind = type(event)
                if kind is yaml.DocumentStartEvent:
                    if not first:
                        started = event.start_mark.line + self._offset
                    first = False
                    self._begin()
                elif kind is yaml.DocumentEndEvent:
                    yield from self._finished(started)
                else:
                    self._take(kind, event)
        except yaml.YAMLError as error:
            self._complain(error)
        except _GiveUp:
            self.gave_up = True
        finally:
            loader.dispose()

    def _begin(self) -> None:
        self._stack, self._anchors, self._nodes, self._result = [], {}, 0, None
        self._findings_before = len(self.findings)

    def _finished(self, started: int) -> Iterator[Source]:
        if self._result is None or self._result[0] is None:
            return
        data, place = self._result
        if isinstance(data, dict):
            complaints = tuple(f.path for f in self.findings[self._findings_before :])
            yield Source(self._file, data, place, started, complaints)
        else:
            message = f"a document is a mapping of sections, found {describe(data)}"
            self._find("not-a-mapping", (place.line, place.column), message, allowed="a mapping")

    def _take(self, kind: type, event: Any) -> None:
        if kind is yaml.ScalarEvent:
            self._scalar(event)
        elif kind is yaml.MappingStartEvent:
            self._open({}, event)
        elif kind is yaml.SequenceStartEvent:
            self._open([], event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close(event)
        elif kind is yaml.AliasEvent:
            self._alias(event)

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        place = Node(mark.line + self._offset, mark.column + 1)
        self._count(1, place)
        value: Any = event.value
        if event.style == '"' and (bad := UNPRINTABLE.search(value)):
            message = f"the control character U+{ord(bad[0]):04X} cannot be kept"
            self._find("control-character", (place.line, place.column), message)
            value = UNPRINTABLE.sub("", value)
        if event.tag is not None:
            value = self._tagged(event, place)
        elif event.implicit[0]:
            value = self._plain(value, place)
        self._remember(event.anchor, value, place, 1, 0)
        self._put(value, place)

    def _plain(self, text: str, place: Node) -> Any:
        if text == "<<" and self._wants_key():
            return _MERGE
        try:
            return resolve(text)
        except BadNumber as error:
            self._find(error.code, (place.line, place.column), str(error))
            return 0

    def _tagged(self, event: Any, place: Node) -> Any:
        tag = event.tag.removeprefix(_TAG)
        if tag in ("str", "!"):
            return event.value
        if event.tag.startswith(_TAG) and tag in ("int", "float", "bool", "null"):
            return self._plain(event.value, place)
        self._refuse_tag(event.tag, place)
        return event.value

    def _refuse_tag(self, tag: str, place: Node) -> None:
        message = f"the tag {tag} is not allowed; documents are plain data"
        self._find("unsafe-tag", (place.line, place.column), message, allowed="no tags")

    def _open(self, data: Any, event: Any) -> None:
        mark = event.start_mark
        place = Node(mark.line + self._offset, mark.column + 1)
        self._count(1, place)
        if event.tag is not None and event.tag not in (_TAG + "map", _TAG + "seq"):
            self._refuse_tag(event.tag, place)
        if len(self._stack) >= DEEPEST:
            self._too_deep(place)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Frame(data, place, event.anchor, self._nodes - 1, mark.index))

    def _close(self, event: Any) -> None:
        frame = self._stack.pop()
        data, place = frame.data, frame.place
        for merged, merged_place in frame.merges:
            self._merge(data, place, merged, merged_place)
        if frame.is_template:
            # What the author meant; the missing quotes are reported, nothing else has to be.
            data = self._text[frame.start : event.end_mark.index]
        if self._stack:
            self._stack[-1].height = max(self._stack[-1].height, frame.height + 1)
        nodes = self._nodes - frame.nodes_before
        self._remember(frame.anchor, data, place, nodes, frame.height)
        self._put(data, place)

    def _alias(self, event: Any) -> None:
        mark = event.start_mark
        place = Node(mark.line + self._offset, mark.column + 1)
        anchored = self._anchors.get(event.anchor)
        if anchored is None:
            inside = event.anchor in self._anchors
            message = (
                f"the alias *{event.anchor} stands inside what it repeats"
                if inside
                else f"there is no anchor &{event.anchor} above this alias"
            )
            self._find("bad-alias", (place.line, place.column), message)
            self._put(None, place)
            return
        self._count(anchored.nodes, place)
        if len(self._stack) + anchored.height > DEEPEST:
            self._too_deep(place)
        if self._stack:
            self._stack[-1].height = max(self._stack[-1].height, anchored.height + 1)
        place.keys, place.children = anchored.place.keys, anchored.place.children
        self._put(anchored.data, place)

    def _remember(
        self, anchor: str | None, data: Any, place: Node, nodes: int, height: int
    ) -> None:
        if anchor:
            self._anchors[anchor] = _Anchored(data, place, nodes, height)

    def _put(self, value: Any, place: Node) -> None:
        """Give a finished value to what is being filled."""
        if not self._stack:
            self._result = (value, place)
            return
        frame = self._stack[-1]
        if isinstance(frame.data, list):
            frame.place.children[len(frame.data)] = place
            frame.data.append(value)
        elif frame.key is _NO_KEY:
            frame.key = self._key(frame, value, place)
            frame.key_place = (place.line, place.column)
        else:
            if frame.key is _MERGE:
                frame.merges.append((value, place))
            elif frame.key is not _BAD_KEY:
                frame.data[frame.key] = value
                frame.place.keys[frame.key] = frame.key_place
                frame.place.children[frame.key] = place
            frame.key = _NO_KEY

    def _wants_key(self) -> bool:
        return bool(
            self._stack
            and isinstance(self._stack[-1].data, dict)
            and self._stack[-1].key is _NO_KEY
        )

    def _key(self, frame: _Frame, value: Any, place: Node) -> Any:
        """Return the key, or `_BAD_KEY` when what follows it is to be dropped."""
        here = (place.line, place.column)
        if value is _MERGE:
            return value
        if isinstance(value, dict) and self._text.startswith("{{", frame.start):
            frame.is_template = True
            at = (frame.place.line, frame.place.column)
            message = "a template has to stand in quotes: YAML takes its braces for a mapping"
            self._find("unquoted-template", at, message, allowed='"{{ ... }}"')
            return _BAD_KEY
        if not isinstance(value, str):
            message = f"a key is a text, found {describe(value)}; put it in quotes"
            self._find("bad-key", here, message)
            return _BAD_KEY
        if value in frame.data:
            first = frame.place.keys[value]
            message = f"the key {value!r} stands twice; first in line {first[0]}, column {first[1]}"
            self._find("duplicate-key", here, message, extra=value)
            return _BAD_KEY
        return value

    def _merge(self, data: Any, place: Node, merged: Any, merged_place: Node) -> None:
        """Take over the keys that a mapping does not have itself."""
        if isinstance(merged, list):
            for index, part in enumerate(merged):
                self._merge(data, place, part, merged_place.children[index])
            return
        if not isinstance(merged, dict):
            message = f"<< takes a mapping or a list of mappings, found {describe(merged)}"
            self._find("bad-merge", (merged_place.line, merged_place.column), message)
            return
        for key, value in merged.items():
            if key not in data:
                data[key] = value
                place.keys[key] = merged_place.keys[key]
                place.children[key] = merged_place.children[key]

    def _count(self, nodes: int, place: Node) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            message = f"the document has more than {MOST_NODES} nodes, repeated ones counted"
            self._find("too-many-nodes", (place.line, place.column), message)
            raise _GiveUp

    def _too_deep(self, place: Node) -> None:
        message = f"the document is nested more than {DEEPEST} levels deep"
        self._find("too-deep", (place.line, place.column), message)
        raise _GiveUp

    def _complain(self, error: yaml.YAMLError) -> None:
        """Turn the parser's complaint into a finding; the texts are libyaml's."""
        self.gave_up = True
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, column = (mark.line, mark.column) if mark else (0, 0)
        problem = str(getattr(error, "problem", None) or getattr(error, "context", None) or error)
        lines = self._text.split("\n")
        here = lines[line] if line < len(lines) else ""
        place = (line + self._offset, column + 1)
        if "tab" in problem or here[column : column + 1] == "\t":
            message = "a tab stands where YAML wants spaces"
            self._find("tab", place, message, allowed="spaces")
        elif any(f.code == "unquoted-template" and f.line == place[0] for f in self.findings):
            return
        elif _BARE_TEMPLATE.search(here):
            message = f"this is not YAML: {problem}; a template has to stand in quotes"
            self._find("yaml-syntax", place, message, allowed='"{{ ... }}"')
        else:
            self._find("yaml-syntax", place, f"this is not YAML: {problem}")

    def _find(
        self, code: str, place: Place, message: str, *, allowed: str = "", extra: str = ""
    ) -> None:
        path: list[str | int] = []
        for frame in self._stack:
            if isinstance(frame.data, list):
                path.append(len(frame.data))
            elif isinstance(frame.key, str):
                path.append(frame.key)
        if extra:
            path.append(extra)
        self.findings.append(
            Finding(code, self._file, *place, path_text(tuple(path)), message, allowed=allowed)
        )
