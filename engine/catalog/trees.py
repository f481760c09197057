"""What git's plumbing prints about trees and blobs, read into values."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.catalog.addresses import is_plain
from engine.catalog.git_errors import MirrorBroken
from engine.errors import InvalidInput

MODULE_FILES = 2_000
MODULE_BYTES = 50 << 20
"""What a folder may hold that is written out: a module is text."""

READ_AT_ONCE = 64 << 20
"""Bytes of blobs that are read together, since all of them are in memory then."""


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A file of a commit: the hash of its blob, its bytes, and Git's mode as text ("100644").

    `size` is -1 where it is not known.
    """

    blob: str
    size: int
    mode: str

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link, whose blob holds the target."""
        return self.mode == "120000"

    @property
    def is_file(self) -> bool:
        """Whether it is an ordinary file, executable or not; a submodule is not."""
        return self.mode.startswith("100")


@dataclass(frozen=True, slots=True)
class Difference:
    """What stood at a path and what stands there now; None for nothing."""

    before: TreeEntry | None
    after: TreeEntry | None


def tree_entries(listing: bytes) -> Iterator[tuple[str, TreeEntry]]:
    """Read `ls-tree -z --long`: `mode type hash size<TAB>path`, each ended by NUL.

    Raises MirrorBroken for an object that is missing.
    """
    for line in listing.split(b"\0"):
        if line:
            facts, _, path = line.partition(b"\t")
            mode, _, blob, size = facts.decode().split()
            yield _path(path), TreeEntry(blob, _size(size, blob), mode)


def changes(listing: bytes) -> Iterator[tuple[str, Difference]]:
    """Read `diff-tree -z`: `:oldmode newmode oldhash newhash status`, then the path."""
    fields = listing.split(b"\0")
    for facts, path in zip(fields[::2], fields[1::2], strict=False):
        old_mode, mode, old_blob, blob, _ = facts.decode().lstrip(":").split()
        yield _path(path), Difference(_entry(old_blob, old_mode), _entry(blob, mode))


def _entry(blob: str, mode: str) -> TreeEntry | None:
    return TreeEntry(blob, -1, mode) if int(mode) else None


def contents(output: bytes) -> Iterator[tuple[str, bytes | None]]:
    """Read `cat-file --batch`: `hash type size`, the content, each ended by a line feed.

    None stands for the content of an object that is missing.
    """
    at = 0
    while at < len(output):
        end = output.index(b"\n", at)
        blob, _, *size = output[at:end].decode().split()
        at = end + 1
        if not size:
            yield blob, None
            continue
        yield blob, output[at : at + int(size[0])]
        at += int(size[0]) + 1


def batches(entries: Mapping[str, TreeEntry]) -> Iterator[dict[str, TreeEntry]]:
    """Cut the entries into parts of at most READ_AT_ONCE bytes, or of one entry."""
    batch: dict[str, TreeEntry] = {}
    size = 0
    for path, entry in entries.items():
        if batch and size + entry.size > READ_AT_ONCE:
            yield batch
            batch, size = {}, 0
        batch[path] = entry
        size += max(entry.size, 0)
    if batch:
        yield batch


def refuse_unsafe(entries: Mapping[str, TreeEntry]) -> None:
    """Raise InvalidInput unless all entries are plain files, and not too many to write out."""
    for path, entry in entries.items():
        if not entry.is_file or not is_plain(path):
            kind = "a symbolic link" if entry.is_link else "not a plain file"
            raise InvalidInput(
                f"The module's {path!r} is {kind}",
                "modules are plain files and folders of the catalog's repository",
                "Replace it by the file itself",
                field="module_source",
            )
    size = sum(entry.size for entry in entries.values())
    if len(entries) > MODULE_FILES or size > MODULE_BYTES:
        raise InvalidInput(
            f"The module holds {len(entries)} files of {size:,} bytes",
            f"at most {MODULE_FILES:,} files and {MODULE_BYTES:,} bytes are taken",
            "Keep data out of the module's folder",
            field="module_source",
        )


_SOURCE = re.compile(rb'(?m)^(?![ \t]*(?:#|//))[^\n]*?\bsource"?[ \t]*[=:][ \t]*"(\.\.?/[^"\n]*)"')
"""A `source` in Terraform's language, or its JSON, that is a path."""


def refuse_outward(name: str, content: bytes, folder: str) -> None:
    """Raise InvalidInput where a file of a module names a source outside its `folder`.

    Only the folder is written out; Terraform would say that it cannot read a directory.
    """
    if not name.endswith((".tf", ".tf.json")):
        return
    for found in _SOURCE.finditer(content):
        called = posixpath.join(posixpath.dirname(name), found[1].decode("utf-8", "replace"))
        inside = posixpath.normpath(called)
        if inside != folder and not inside.startswith(f"{folder}/"):
            raise InvalidInput(
                f"The module's {name!r} names {found[1].decode('utf-8', 'replace')!r}",
                f"that is outside {folder!r}, the only folder that Terraform is given",
                "Move what it names below it, or name a source that the settings allow",
                field="module_source",
            )


def _size(text: str, blob: str) -> int:
    if text == "BAD":
        raise MirrorBroken("The catalog's mirror is damaged", f"it lacks the object {blob}")
    return -1 if text == "-" else int(text)


def _path(raw: bytes) -> str:
    # A name that is not UTF-8 cannot be kept in the database; contents are read by their hash.
    return raw.decode("utf-8", "replace")
