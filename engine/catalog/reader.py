"""YAML files as plain data with the place of everything, safe against whatever stands in them.

One pass over the parser's events builds the data, notes every place, finds duplicate keys and
counts depth and nodes, so that a hostile file is given up before it costs anything: the C parser's
own tree builder would run out of stack on deep nesting, and aliases would multiply without bound.
The data is None, bool, int, Decimal, str, list and dict with text keys; aliases share objects, so
nobody may change it.

A broken document does not hide the others of its file: where the parser gives up, the file is cut
at its `---` lines and each piece read by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from engine.catalog.core_schema import BadNumber, resolve
from engine.catalog.findings import Finding, Path, Severity, path_text
from engine.catalog.scalars import describe

LARGEST_FILE: Final = 1024 * 1024
"""Bytes."""
DEEPEST: Final = 50
"""Mappings and lists within each other."""
MOST_NODES: Final = 10_000
"""Nodes of one document after aliases are expanded."""
MOST_DOCUMENTS: Final = 1_000
"""Documents of one file that has broken ones."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKER = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_BARE_TEMPLATE = re.compile(r"(?:[:,\[-]\s+)\{\{")
_NAME_LINE = re.compile(r"""^name:[ ]+(["']?)([^"'#\n]{1,255})\1""", re.MULTILINE)
_TAG: Final = "tag:yaml.org,2002:"

Place = tuple[int, int]
"""Line and column, from 1."""


class Node:
    """Where a value stands, and where the values inside it do."""

    __slots__ = ("children", "column", "keys", "line")

    def __init__(self, line: int, column: int) -> None:
        """Begin a value; `children` is filled for mappings and lists."""
        self.line = line
        self.column = column
        self.keys: dict[str, Place] = {}
        self.children: dict[str | int, Node] = {}


@dataclass(frozen=True, slots=True)
class Source:
    """One document of a file: its data and the places in it."""

    file: str
    data: dict[str, Any]
    root: Node
    line: int = 1
    complaints: tuple[str, ...] = ()
    """Paths at which the reader found something wrong; what stands there is not to be judged."""

    def find(
        self,
        code: str,
        path: Path,
        message: str,
        *,
        allowed: str = "",
        suggestion: str | None = None,
        severity: Severity = "error",
        at_key: bool = False,
    ) -> Finding:
        """Build a finding at a path; `at_key` points to the key rather than to its value."""
        line, column = self.place(path, at_key=at_key)
        return Finding(
            code=code,
            file=self.file,
            line=line,
            column=column,
            path=path_text(path),
            message=message,
            found=self._found(path),
            allowed=allowed,
            suggestion=suggestion or "",
            severity=severity,
        )

    def place(self, path: Path, *, at_key: bool = False) -> Place:
        """Return where a path leads, as far as the document goes.

        A scalar is at its own place, a mapping or list at its key; what is missing at its parent.
        """
        node, found = self.root, (self.line, 1)
        for part in path:
            child = node.children.get(part)
            if child is None:
                break
            key = node.keys.get(part) if isinstance(part, str) else None
            is_scalar = not child.children
            found = key if key and (at_key or not is_scalar) else (child.line, child.column)
            node = child
        return found

    def has(self, path: Path) -> bool:
        """Whether the document has something at a path."""
        node: Node | None = self.root
        for part in path:
            node = node.children.get(part) if node else None
        return node is not None

    def _found(self, path: Path) -> str:
        value: Any = self.data
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return ""
        return describe(value)


@dataclass(slots=True)
class Reading:
    """What a file holds: the documents that could be read, and what is wrong.

    `lost` are the names of documents that could not be read: they exist all the same, so that one
    fault does not give an error wherever somebody refers to them.
    """

    sources: list[Source] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def read(file: str, content: bytes) -> Reading:
    """Read a file; never raises. Findings without a source mean that a document is lost."""
    reading = Reading()
    text = _decoded(file, content, reading.findings)
    if text is None:
        return reading
    events = _Events(file, text, 0)
    whole = list(events.documents())
    if events.gave_up and len(cuts := _cuts(text)) > 1:
        _read_pieces(file, text, cuts, reading)
    else:
        reading.sources += whole
        reading.findings += events.findings
        if events.gave_up:
            reading.lost += _names_in(text)
    if not reading.sources and not reading.findings:
        message = "the file holds no document"
        reading.findings.append(Finding("empty-file", file, 1, 1, "", message, severity="warning"))
    return reading


def _decoded(file: str, content: bytes, findings: list[Finding]) -> str | None:
    """Return the text without byte order mark; None when the file is refused."""
    if len(content) > LARGEST_FILE:
        message = f"the file is larger than {LARGEST_FILE} bytes (1 MiB)"
        findings.append(Finding("file-too-large", file, 1, 1, "", message))
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        line, column = _place_in(before, len(before))
        message = f"the file is not UTF-8 (byte 0x{content[error.start]:02x})"
        findings.append(Finding("not-utf-8", file, line, column, "", message, allowed="UTF-8"))
        return None
    if bad := _UNPRINTABLE.search(text):
        line, column = _place_in(text, bad.start())
        message = f"the control character U+{ord(bad[0]):04X} cannot stand in a document"
        findings.append(Finding("control-character", file, line, column, "", message))
        return None
    return text


def _place_in(text: str, index: int) -> Place:
    start = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1
    return text.count("\n", 0, index) + 1, index - start + 1


def _cuts(text: str) -> list[int]:
    """Return where the pieces of a file begin: at its `---` lines and the directives above them."""
    starts = {0}
    for marker in _MARKER.finditer(text):
        start = marker.start()
        while start and text.startswith("%", before := text.rfind("\n", 0, start - 1) + 1):
            start = before
        starts.add(start)
    return sorted(starts)


def _read_pieces(file: str, text: str, cuts: list[int], reading: Reading) -> None:
    line = 0
    for start, end in zip(cuts, [*cuts[1 : MOST_DOCUMENTS + 1], len(text)], strict=False):
        if len(cuts) > MOST_DOCUMENTS and start == cuts[MOST_DOCUMENTS]:
            message = f"the file has more than {MOST_DOCUMENTS} documents"
            reading.findings.append(Finding("too-many-documents", file, line + 1, 1, "", message))
            return
        piece = text[start:end]
        events = _Events(file, piece, line)
        reading.sources += events.documents()
        reading.findings += events.findings
        if events.gave_up:
            reading.lost += _names_in(piece)
        line += piece.count("\n")


def _names_in(text: str) -> list[str]:
    return [match[2].strip() for match in _NAME_LINE.finditer(text)][:1]


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


class _Events:
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
        loader = _LOADER(self._text)
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
        except yaml.MarkedYAMLError as error:
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
        if event.style == '"' and (bad := _UNPRINTABLE.search(value)):
            message = f"the control character U+{ord(bad[0]):04X} cannot be kept"
            self._find("control-character", (place.line, place.column), message)
            value = _UNPRINTABLE.sub("", value)
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

    def _complain(self, error: yaml.MarkedYAMLError) -> None:
        """Turn the parser's complaint into a finding; the texts are libyaml's."""
        self.gave_up = True
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        problem = str(error.problem or error.context or error)
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
