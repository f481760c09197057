"""What a catalog repository looks like: its roots, its settings file, which files hold what.

`pao-catalog.yml` at the top of the repository may name the folders to scan (`roots`, default
`catalog`) and give defaults by category (`categories: {databases: {channel: C1, owner: dba}}`).
The first folder below a root is a document's category; a file directly in a root has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from pydantic import Field

from engine.catalog.findings import Finding
from engine.catalog.own_types import FILE_NAMES
from engine.catalog.reader import read
from engine.catalog.scalars import Many, Model
from engine.catalog.shape import read_shape
from engine.catalog.source import Source

SETTINGS_FILE: Final = "pao-catalog.yml"
DEFAULT_ROOTS: Final = ("catalog",)
SUFFIXES: Final = (".yaml", ".yml")
MODULES: Final = "modules"
"""The folder of Terraform modules, which is never scanned."""


class CategoryDefaults(Model):
    """What documents of a category have unless they say otherwise."""

    channel: str | None = Field(None, min_length=1, description="The Slack channel of their cards.")
    owner: str | None = Field(
        None, min_length=1, max_length=255, description="The team that answers for them."
    )


class RepositorySettings(Model):
    """`pao-catalog.yml`."""

    roots: Many[str] = Field(DEFAULT_ROOTS, min_length=1, description="Folders to scan.")
    categories: dict[str, CategoryDefaults] = Field(
        default_factory=dict, description="Defaults by category."
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """Where documents are. `roots` of `("",)` is a folder that stands alone."""

    roots: tuple[str, ...] = DEFAULT_ROOTS
    categories: Mapping[str, CategoryDefaults] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    strays: frozenset[str] = frozenset()
    """Files outside the roots that were asked for by name."""

    def is_document(self, path: str) -> bool:
        """Whether a file of the repository holds documents."""
        if path in self.strays:
            return True
        if not path.endswith(SUFFIXES) or self.is_types(path) or path == SETTINGS_FILE:
            return False
        return self._inside(path) is not None and not path.startswith(MODULES + "/")

    def is_types(self, path: str) -> bool:
        """Whether a file defines own types: at the top of the repository or of a root."""
        parent, _, name = path.rpartition("/")
        return name in FILE_NAMES and (not parent or parent in self.roots)

    def category(self, path: str) -> str | None:
        """Return the category of a file's documents."""
        first, slash, _ = (self._inside(path) or "").partition("/")
        return first if slash else None

    def defaults(self, category: str | None) -> CategoryDefaults:
        """Return what a category gives its documents."""
        return self.categories.get(category or "") or CategoryDefaults()

    def _inside(self, path: str) -> str | None:
        """Return the path below its root; None outside all roots."""
        for root in self.roots:
            if not root:
                return path
            if path.startswith(root + "/"):
                return path[len(root) + 1 :]
        return None


STANDALONE: Final = Layout(("",))
"""A folder outside any repository: everything in it."""


def read_layout(content: bytes | None, is_folder: Callable[[str], bool]) -> Layout:
    """Read the settings file (None: there is none); `is_folder` knows those of the repository."""
    if content is None:
        return Layout()
    reading = read(SETTINGS_FILE, content)
    findings = [finding for finding in reading.findings if finding.is_error]
    if not reading.sources:
        return Layout(findings=tuple(findings))
    source = reading.sources[0]
    shape = read_shape(source, source.data, RepositorySettings)
    findings += shape.findings
    if shape.document is None:
        return Layout(findings=tuple(findings))
    good: list[str] = []
    for index, root in enumerate(shape.document.roots):
        problem = _root_problem(source, index, root, good, is_folder)
        if problem is None:
            good.append(_normal(root))
        else:
            findings.append(problem)
    return Layout(tuple(good) or DEFAULT_ROOTS, shape.document.categories, tuple(findings))


def _normal(root: str) -> str:
    return str(PurePosixPath(root))


def _root_problem(
    source: Source, index: int, root: str, before: Iterable[str], is_folder: Callable[[str], bool]
) -> Finding | None:
    path = PurePosixPath(root)
    place = ("roots", index)
    if not root or path.is_absolute() or ".." in path.parts or str(path) == ".":
        message = f"the root {root!r} is not a folder inside the repository"
        return source.find("invalid-root", place, message, allowed="a path like catalog")
    if not is_folder(str(path)):
        return source.find("invalid-root", place, f"there is no folder {root!r} in the repository")
    for other in map(PurePosixPath, before):
        if path == other or path in other.parents or other in path.parents:
            message = f"the roots {other} and {path} lie within each other"
            return source.find("invalid-root", place, message)
    return None
