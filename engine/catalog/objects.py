"""A few objects of one commit, asked for one after the other of one git.

To list a commit of ten thousand files costs more than to judge the one that changed. Here a file is
found by its path or its hash, and a folder is looked into alone. Blocks; for one thread at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from threading import Timer
from typing import IO, Final

from engine.catalog.addresses import is_plain
from engine.catalog.git_errors import MirrorBroken
from engine.catalog.trees import TreeEntry

READ_SECONDS: Final = 60.0
"""Any command that reads, and each answer of one that is asked."""

_AT_ONCE: Final = 1 << 20
_HEADER = re.compile(rb"[0-9a-f]+ (blob|tree|commit|tag) (\d+)\n")


class Objects:
    """The objects of a commit, answered by a `git cat-file --batch`."""

    def __init__(
        self, commit: str, asked: IO[bytes], answers: IO[bytes], kill: Callable[[], None]
    ) -> None:
        """Take the two ends of the process, and what ends it when it does not answer."""
        self._commit = commit
        self._asked = asked
        self._answers = answers
        self._kill = kill
        self.is_folder = cache(self._is_folder)

    def blob(self, entry: TreeEntry, most: int) -> bytes | None:
        """Return the content of a file; None where it has more than `most` bytes."""
        found = self._ask(entry.blob, most)
        if found is None:
            raise _broken(f"it lacks the object {entry.blob}")
        return found[1]

    def file(self, path: str, most: int) -> bytes | None:
        """Return the content at a path; None for no file, or one of more than `most` bytes."""
        found = self._ask(f"{self._commit}:{path}", most)
        return found[1] if found and found[0] == b"blob" else None

    def modes(self, folder: str) -> Mapping[str, str]:
        """Return the names directly in a folder ("" is the topmost) with Git's modes as text."""
        found = self._ask(f"{self._commit}:{folder}", 1 << 30)
        if found is None or found[0] != b"tree":
            return {}
        hash_bytes = len(self._commit) // 2
        entry = re.compile(rb"(\d+) ([^\0]+)\0.{%d}" % hash_bytes, re.DOTALL)
        return {
            name.decode("utf-8", "replace"): mode.decode()
            for mode, name in entry.findall(found[1] or b"")
        }

    def _is_folder(self, path: str) -> bool:
        """Whether a path is a folder of the commit."""
        if not is_plain(path) or any(part in ("", ".") for part in path.split("/")):
            return False
        found = self._ask(f"{self._commit}:{path}", 0)
        return found is not None and found[0] == b"tree"

    def _ask(self, name: str, most: int) -> tuple[bytes, bytes | None] | None:
        """Return an object's type and content (None for more than `most` bytes); None for none."""
        watchdog = Timer(READ_SECONDS, self._kill)
        watchdog.start()
        try:
            self._asked.write(f"{name}\n".encode())
            self._asked.flush()
            answer = self._answers.readline()
            header = _HEADER.fullmatch(answer)
            if header is None:
                if answer.endswith(b"\n"):
                    return None
                raise _broken("git ended before it answered")
            content = self._content(int(header[2]), most)
        except BrokenPipeError:
            raise _broken("git ended before it was asked") from None
        finally:
            watchdog.cancel()
        return header[1], content

    def _content(self, size: int, most: int) -> bytes | None:
        kept, left = [], size + 1  # a line feed ends it
        while left:
            part = self._answers.read(min(left, _AT_ONCE))
            if not part:
                raise _broken("git ended before it answered")
            left -= len(part)
            if size <= most:
                kept.append(part)
        return b"".join(kept)[:-1] if kept else None


def _broken(why: str) -> MirrorBroken:
    return MirrorBroken("The catalog's mirror is damaged", why)
