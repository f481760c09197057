"""The validator over a folder of the file system: `pao catalog validate PATH...`.

The repository is the nearest parent with `pao-catalog.yml`, `.git` or `catalog/`; references are
resolved in all of it, and findings kept for the given paths. A folder outside any repository
stands alone. Only ordinary files are opened, and no link that leads out of the repository is
followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from engine.catalog.checks import Known
from engine.catalog.findings import Finding, in_order
from engine.catalog.layout import MODULES, SETTINGS_FILE, STANDALONE, SUFFIXES, Layout, read_layout
from engine.catalog.own_types import OwnTypes, read_types
from engine.catalog.reader import LARGEST_FILE, read
from engine.catalog.validation import (
    CheckedDocument,
    Report,
    collector_paused,
    types_of,
    validate_set,
)
from engine.errors import InvalidInput, NotFound

_MARKS = (SETTINGS_FILE, ".git", "catalog")


@dataclass(slots=True)
class _Tree:
    """What was found in a repository: files by their path in it, folders, refused entries."""

    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


def validate_paths(paths: Sequence[Path], known: Known | None = None) -> Report:
    """Validate files and folders; raises NotFound for a path that is not there.

    Findings name files relative to their repository's root.
    """
    documents: list[CheckedDocument] = []
    findings: list[Finding] = []
    with collector_paused():
        for root, group in _by_repository(paths).items():
            report = _validate_repository(root, group, known or Known())
            documents += report.documents
            findings += report.findings
    return Report(tuple(documents), tuple(in_order(findings)))


def own_types(file: Path | None) -> OwnTypes | None:
    """Return the own types of a file, else of the repository around the working directory.

    None where there is neither. Raises InvalidInput when the definitions are wrong.
    """
    if file is not None:
        types, findings = read_types({file.name: read(file.name, file.read_bytes())})
    else:
        root = repository_of(Path.cwd())
        if root is None:
            return None
        tree = _Tree()
        _walk(root, root, tree)
        layout = read_layout(tree.files.get(SETTINGS_FILE), tree.folders.__contains__)
        types, findings = types_of(tree.files, layout)
    if wrong := next((finding for finding in findings if finding.is_error), None):
        place = f"{wrong.file}:{wrong.line}:{wrong.column}"
        raise InvalidInput("The own types cannot be used", f"{place}: {wrong.text}")
    return types


def repository_of(path: Path) -> Path | None:
    """Return the nearest parent that is a repository; None outside any."""
    start = path if path.is_dir() else path.parent
    for folder in (start, *start.parents):
        if any((folder / mark).exists() for mark in _MARKS):
            return folder
    return None


def _by_repository(paths: Sequence[Path]) -> dict[Path, list[Path]]:
    groups: dict[Path, list[Path]] = {}
    for path in paths:
        if not path.exists() and not path.is_symlink():
            raise NotFound(f"There is no file or folder {path}", do="Check the path")
        place = Path(os.path.abspath(path))  # noqa: PTH100  (resolve would follow a last link)
        root = repository_of(place) or (place if place.is_dir() else place.parent)
        groups.setdefault(root, []).append(place)
    return groups


def _validate_repository(root: Path, wanted: Sequence[Path], known: Known) -> Report:
    asked = [PurePosixPath(path.relative_to(root).as_posix()) for path in wanted]
    tree = _Tree()
    _walk(root, root, tree)
    is_alone = repository_of(root) is None
    layout = (
        STANDALONE
        if is_alone
        else read_layout(tree.files.get(SETTINGS_FILE), tree.folders.__contains__)
    )
    layout = _with_strays(layout, asked, tree)
    known = replace(known, has_module=known.has_module or tree.folders.__contains__)
    report = validate_set(tree.files, layout, known)
    findings = [*report.findings, *(f for f in tree.findings if _is_scanned(f.file, layout))]
    return Report(
        tuple(d for d in report.documents if _is_asked(d.file, asked)),
        tuple(in_order(f for f in findings if _is_asked(f.file, asked))),
    )


def _with_strays(layout: Layout, asked: Iterable[PurePosixPath], tree: _Tree) -> Layout:
    """Take in files that were asked for by name and stand in no root."""
    strays = tuple(
        str(path)
        for path in asked
        if str(path) in tree.files
        and not (layout.is_document(str(path)) or layout.is_types(str(path)))
        and str(path) != SETTINGS_FILE
    )
    return replace(layout, strays=frozenset(strays)) if strays else layout


def _is_scanned(file: str, layout: Layout) -> bool:
    return layout.is_document(file) or layout.is_types(file)


def _is_asked(file: str, asked: Iterable[PurePosixPath]) -> bool:
    path = PurePosixPath(file)
    return any(one == path or one in path.parents or str(one) == "." for one in asked)


def _walk(root: Path, folder: Path, tree: _Tree) -> None:
    """Read the YAML files below a folder and note all folders; links to folders are not entered."""
    stack = [folder]
    while stack:
        for entry in _entries(stack.pop()):
            path = PurePosixPath(Path(entry.path).relative_to(root).as_posix())
            if entry.is_dir(follow_symlinks=False):
                if entry.name != ".git":
                    tree.folders.add(str(path))
                    stack.append(Path(entry.path))
            elif entry.name.endswith(SUFFIXES) and path.parts[0] != MODULES:
                _take(root, Path(entry.path), str(path), tree)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return


def _take(root: Path, file: Path, name: str, tree: _Tree) -> None:
    """Read one file, or say why it is not read."""
    try:
        real = file.resolve(strict=True)
        if not real.is_relative_to(root.resolve()):
            message = "the link leads out of the repository"
            tree.findings.append(Finding("link-outside", name, 1, 1, "", message))
            return
        facts = real.stat()
        if not stat.S_ISREG(facts.st_mode):
            message = "this is not an ordinary file"
            tree.findings.append(Finding("not-a-file", name, 1, 1, "", message))
            return
        with real.open("rb") as opened:
            # One byte too many is enough for the reader to refuse the file.
            tree.files[name] = opened.read(LARGEST_FILE + 1)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "the link leads nowhere"
        message = f"the file cannot be read: {reason}"
        tree.findings.append(Finding("unreadable-file", name, 1, 1, "", message))
