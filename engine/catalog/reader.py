"""YAML files as plain data with the place of everything, safe against whatever stands in them.

The data is None, bool, int, Decimal, str, list and dict with text keys; aliases share objects, so
nobody may change it. A hostile file is given up before it costs anything: size and characters are
judged here, depth and nodes while the documents are composed (composer.py).

A broken document does not hide the others of its file: where the parser gives up, the file is cut
at its `---` lines and each piece read by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from engine.catalog.composer import UNPRINTABLE, Composer
from engine.catalog.findings import Finding
from engine.catalog.plain import read_plain
from engine.catalog.source import Node, Place, Source

LARGEST_FILE: Final = 1024 * 1024
"""Bytes."""
MOST_DOCUMENTS: Final = 1_000
"""Documents of one file that has broken ones."""

_MARKER = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_NAME_LINE = re.compile(r"""^name:[ ]+(["']?)([^"'#\n]{1,255})\1""", re.MULTILINE)


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
    if (data := read_plain(text)) is not None:
        reading.sources.append(Source(file, data, partial(_places, file, text)))
        return reading
    events = Composer(file, text, 0)
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


def _places(file: str, text: str) -> Node:
    """Find the places of a document that was read without them."""
    (source,) = Composer(file, text, 0).documents()
    return source.root


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
    if bad := UNPRINTABLE.search(text):
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
        events = Composer(file, piece, line)
        reading.sources += events.documents()
        reading.findings += events.findings
        if events.gave_up:
            reading.lost += _names_in(piece)
        line += piece.count("\n")


def _names_in(text: str) -> list[str]:
    return [match[2].strip() for match in _NAME_LINE.finditer(text)][:1]
