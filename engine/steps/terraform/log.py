"""Terraform's -json lines, turned into text for the attempt's log and into its last error.

Lines that are no JSON (crashes, warnings about the CLI's configuration) are kept as they are. A
log that grows too long keeps its head and its tail; only whole lines are left out, since half a
secret would not be redacted.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.foreign_json import clean_text

HEAD = 512 << 10
TAIL = 64 << 10
"""Bytes of a command's log that are kept from its beginning and from its end."""

LONGEST_LINE = 8 << 20
"""Bytes of a line that is still read; Terraform's diagnostics exceed 64 KiB."""

QUIET = frozenset({"version", "outputs", "planned_change", "resource_drift", "refresh_start"})
"""Types of lines that tell people nothing that others do not."""


_BLOCK = re.compile(r'(?P<kind>resource|data) "(?P<type>[\w-]+)" "(?P<name>[\w-]+)"')


@dataclass(frozen=True, slots=True)
class Problem:
    """An error that Terraform reported. `place` is file and line in the attempt's folder.

    `reads`: what the expression names that went wrong (`var.size`, `data.aws_vpc.main.id`).
    """

    summary: str
    detail: str = ""
    address: str | None = None
    place: str | None = None
    reads: tuple[str, ...] = ()


class LogReader:
    """Takes a command's output as it comes; gives text to log, and keeps its errors."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._partial = b""
        self._room = HEAD
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._left_out = 0

    def feed(self, data: bytes) -> str:
        """Return the text of the lines that `data` completes."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        return "".join(map(self._line, lines))

    def end(self) -> str:
        """Return what is left: an unfinished line, and the tail of a long log."""
        text = self._line(self._partial) if self._partial else ""
        self._partial = b""
        note = f"[{self._left_out} lines left out]\n" if self._left_out else ""
        tail = "".join(self._tail)
        self._tail.clear()
        return text + note + tail

    def _line(self, line: bytes) -> str:
        if len(line) > LONGEST_LINE:
            return self._fitted(f"[a line of {len(line)} bytes left out]\n")
        text = clean_text(line.decode("utf-8", "replace")).rstrip("\r")
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict):
            return self._fitted(f"{text}\n") if text.strip() else ""
        return self._fitted(self._entry(entry))

    def _entry(self, entry: Mapping[str, Any]) -> str:
        if entry.get("type") in QUIET:
            return ""
        message = clean_text(str(entry.get("@message", "")))
        diagnostic = entry.get("diagnostic")
        if not isinstance(diagnostic, Mapping):
            return f"{message}\n" if message else ""
        problem = _problem(diagnostic, message)
        if diagnostic.get("severity") == "error":
            self.problems.append(problem)
        where = f" ({problem.address})" if problem.address else ""
        return f"{message}{where}\n{problem.detail}\n" if problem.detail else f"{message}{where}\n"

    def _fitted(self, text: str) -> str:
        """Return `text` while there is room at the head; later lines go to the tail."""
        if len(text) <= self._room:
            self._room -= len(text)
            return text
        self._room = 0
        self._tail.append(text)
        self._tail_size += len(text)
        while self._tail_size > TAIL and self._tail:
            self._tail_size -= len(self._tail.popleft())
            self._left_out += 1
        return ""


def _problem(diagnostic: Mapping[str, Any], message: str) -> Problem:
    return Problem(
        clean_text(str(diagnostic.get("summary", message))),
        clean_text(str(diagnostic.get("detail", ""))),
        _address(diagnostic),
        _place(diagnostic),
        _reads(diagnostic),
    )


def _address(diagnostic: Mapping[str, Any]) -> str | None:
    """Return the resource: by its address, else (a failed condition) by the block it stands in."""
    if diagnostic.get("address"):
        return clean_text(str(diagnostic["address"]))
    snippet = diagnostic.get("snippet") or {}
    block = _BLOCK.fullmatch(str(snippet.get("context") or ""))
    if block is None:
        return None
    prefix = "data." if block["kind"] == "data" else ""
    return f"{prefix}{block['type']}.{block['name']}"


def _place(diagnostic: Mapping[str, Any]) -> str | None:
    found = diagnostic.get("range") or {}
    start = found.get("start") or {}
    return clean_text(f"{found['filename']}:{start.get('line')}") if "filename" in found else None


def _reads(diagnostic: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names alone: what stands beside them may be secret."""
    values = (diagnostic.get("snippet") or {}).get("values") or ()
    return tuple(clean_text(str(one["traversal"])) for one in values if one.get("traversal"))


def plain_problems(text: str) -> list[Problem]:
    """Read the errors of a command that knows no -json: `Error: summary`, then the detail.

    A backend's own errors come without that word: then the whole text is one.
    """
    said = clean_text(text).strip()
    blocks = said.split("Error: ")[1:] or ([said] if said else [])
    parts = [block.partition("\n") for block in blocks]
    return [Problem(summary.strip(), detail.strip()) for summary, _, detail in parts]
