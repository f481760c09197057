"""One document of a file: its plain data, and where everything in it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.catalog.findings import Finding, Path, Severity, path_text
from engine.catalog.scalars import describe

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


@dataclass(slots=True, eq=False)
class Source:
    """One document of a file: its data and the places in it.

    `places` may be a way to find them, which is taken when the first place is asked for.
    """

    file: str
    data: dict[str, Any]
    places: Node | Callable[[], Node]
    line: int = 1
    complaints: tuple[str, ...] = ()
    """Paths at which the reader found something wrong; what stands there is not to be judged."""

    @property
    def root(self) -> Node:
        """Where the document stands, and what is in it."""
        if not isinstance(self.places, Node):
            self.places = self.places()
        return self.places

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
        return self._at(path) is not _NOTHING

    def _found(self, path: Path) -> str:
        value = self._at(path)
        return "" if value is _NOTHING else describe(value)

    def _at(self, path: Path) -> Any:
        value: Any = self.data
        for part in path:
            if isinstance(value, str):
                return _NOTHING
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return _NOTHING
        return value


_NOTHING = object()
