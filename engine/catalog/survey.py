"""What a commit holds, as far as the catalog is concerned, and what of it changed.

Links to files are followed inside the commit, as the validator follows them in a folder; those
that lead out of it, nowhere, or to something that is no file are findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from engine.catalog.commits import Commits
from engine.catalog.findings import Finding
from engine.catalog.layout import SETTINGS_FILE, Layout, read_layout
from engine.catalog.reader import LARGEST_FILE
from engine.catalog.trees import TreeEntry
from engine.errors import InvalidInput

MOST_LINKS = 10
"""Links that follow each other; more are a loop."""

BROKEN_SETTINGS = "catalog_settings_broken"


@dataclass(frozen=True, slots=True)
class Survey:
    """A commit: its documents and types by path, its folders, and what is no readable file."""

    commit: str
    layout: Layout
    folders: frozenset[str]
    documents: Mapping[str, TreeEntry]
    settings: Mapping[str, TreeEntry]
    """The settings file and the files of own types: a change of one concerns every document."""
    refused: Mapping[str, Finding]
    """Files that are not read, by path: the catalog goes on with what they held before."""


class BrokenSettings(InvalidInput):
    """The repository's settings file is broken, so nobody knows which files hold documents."""

    default_code = BROKEN_SETTINGS


def survey(mirror: Commits, commit: str) -> Survey:
    """Look at a commit; BrokenSettings, with findings in `errors`, when settings cannot be read."""
    tree = mirror.documents(commit)
    folders = _folders(tree)
    layout = _layout(mirror, tree, folders)
    documents: dict[str, TreeEntry] = {}
    settings = {SETTINGS_FILE: tree[SETTINGS_FILE]} if SETTINGS_FILE in tree else {}
    refused: dict[str, Finding] = {}
    for path, entry in sorted(tree.items()):
        into = documents if layout.is_document(path) else settings
        if into is settings and not layout.is_types(path):
            continue
        followed = entry if entry.is_file else _followed(path, entry, tree, mirror)
        if isinstance(followed, TreeEntry) and followed.size > LARGEST_FILE:
            followed = _too_large(path, followed.size)
        if isinstance(followed, TreeEntry):
            into[path] = followed
        elif into is settings:
            raise _broken_settings([followed])
        else:
            refused[path] = followed
    return Survey(commit, layout, folders, documents, settings, refused)


def _layout(mirror: Commits, tree: Mapping[str, TreeEntry], folders: frozenset[str]) -> Layout:
    entry = tree.get(SETTINGS_FILE)
    content = None
    if entry is not None:
        if not entry.is_file or entry.size > LARGEST_FILE:
            finding = _too_large(SETTINGS_FILE, entry.size)
            raise _broken_settings([finding])
        content = dict(mirror.read_blobs({SETTINGS_FILE: entry}))[SETTINGS_FILE]
    layout = read_layout(content, folders.__contains__)
    errors = [finding for finding in layout.findings if finding.is_error]
    if errors:
        raise _broken_settings(errors)
    return layout


def _broken_settings(errors: Iterable[Finding]) -> BrokenSettings:
    first, *_ = found = list(errors)
    return BrokenSettings(
        f"{first.file} is broken, so the catalog stays as it was",
        f"line {first.line}: {first.text}",
        "Correct it; `pao catalog validate` checks it before it is pushed",
        errors=found,
    )


def _followed(
    path: str, entry: TreeEntry, tree: Mapping[str, TreeEntry], mirror: Commits
) -> TreeEntry | Finding:
    """Return the file that a link leads to, or what is wrong with it."""
    place = path
    for _ in range(MOST_LINKS):
        if not entry.is_link:
            return entry if entry.is_file else _finding("not-a-file", path, "not an ordinary file")
        target = dict(mirror.read_blobs({place: entry}))[place].decode("utf-8", "replace")
        inside = _resolved(PurePosixPath(place).parent, target)
        if inside is None:
            return _finding("link-outside", path, "a link that leads out of the repository")
        if inside not in tree:
            break
        place, entry = inside, tree[inside]
    return _finding("unreadable-file", path, "a link that leads nowhere")


def _resolved(folder: PurePosixPath, target: str) -> str | None:
    """Return the path in the repository that a link in `folder` names; None outside of it."""
    parts = list(folder.parts)
    if target.startswith("/"):
        return None
    for part in PurePosixPath(target).parts:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            return None
    return "/".join(parts)


def _too_large(path: str, size: int) -> Finding:
    message = f"the file has {size} bytes; at most {LARGEST_FILE} are read"
    return Finding("file-too-large", path, 1, 1, "", message)


def _finding(code: str, path: str, what: str) -> Finding:
    return Finding(code, path, 1, 1, "", f"this is {what}")


def _folders(paths: Iterable[str]) -> frozenset[str]:
    folders: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return frozenset(folders)
