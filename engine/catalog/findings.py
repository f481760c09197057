"""What is wrong with the catalog: the one shape of an error, whoever finds or shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

Severity = Literal["error", "warning"]
Path = tuple[str | int, ...]
"""Keys and indexes that lead to a place in a document."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, with its place; `code` is explained in docs/catalog-errors.md.

    `line` and `column` count from 1, columns in characters. `path` is the place in the document,
    like `presentation.fields[0].type`; empty for the file as a whole.
    """

    code: str
    file: str
    line: int
    column: int
    path: str
    message: str
    found: str = ""
    allowed: str = ""
    suggestion: str = ""
    severity: Severity = "error"

    @property
    def is_error(self) -> bool:
        """Whether it keeps the document out of service."""
        return self.severity == "error"

    @property
    def text(self) -> str:
        """The message with what is allowed and what may have been meant."""
        parts = [self.message.rstrip(".") + "."]
        if self.allowed and self.allowed not in self.message:
            parts.append(f"Allowed: {self.allowed.rstrip('.')}.")
        if self.suggestion:
            parts.append(f"Did you mean {self.suggestion!r}?")
        return " ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """Return the finding as the JSON of command line and sync status has it."""
        return {name: getattr(self, name) for name in self.__slots__}


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings as they are shown: by file, place, errors first; none twice."""
    return sorted(
        dict.fromkeys(findings),
        key=lambda f: (f.file, f.line, f.column, f.severity, f.code, f.path),
    )


def as_errors(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with warnings turned into errors."""
    return [replace(finding, severity="error") for finding in findings]


def path_text(path: Path) -> str:
    """Return a path as people read it: `presentation.fields[0].type`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def value_at(data: Any, path: Path) -> Any:
    """Return what stands at a path of plain data; None for nothing."""
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data
