"""Reading many files, here or in processes beside this one.

    Readers --entries--> reader --summaries--> Readers
            --paths--> the same reader --whole files--> Readers

Objects of thousands of documents take longer to send, and more memory to keep, than to make. So a
reader sends summaries. It keeps what is not alone and sends that whole when somebody asks for it; of
the rest it reads again the few that are asked for. Readers are forked from a
process that does nothing else (`child`): no thread or connection is copied into them. They end when
the pipe to them is closed, so also when that process dies.
"""

from __future__ import annotations

import multiprocessing
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from engine.catalog.checks import Known
from engine.catalog.commits import Commits
from engine.catalog.layout import Layout
from engine.catalog.own_types import OwnTypes
from engine.catalog.summary import Summary, summary_of
from engine.catalog.trees import TreeEntry
from engine.catalog.validation import FileResult, read_file
from engine.errors import PaoError

AT_ONCE = 400
"""Files that a reader is given at a time: few enough to share them out evenly."""

Entries = Mapping[str, TreeEntry]


@dataclass(frozen=True, slots=True)
class Rules:
    """By what files are read."""

    layout: Layout
    types: OwnTypes
    known: Known


class Reading(Protocol):
    """Where files are read."""

    def read(self, entries: Entries) -> dict[str, Summary]:
        """Read files of the commit; raises MirrorBroken when an object is missing."""

    def whole(self, paths: Collection[str]) -> dict[str, FileResult]:
        """Return files that were read."""


class Here:
    """Reads in this process."""

    def __init__(self, commits: Commits, rules: Rules) -> None:
        """Take the repository and the rules."""
        self._commits = commits
        self._rules = rules
        self._kept: dict[str, FileResult] = {}
        self._again: dict[str, TreeEntry] = {}

    def read(self, entries: Entries) -> dict[str, Summary]:
        """See Reading."""
        found = {}
        for path, result in self._results(entries):
            found[path] = summary_of(result, self._rules.layout, self._rules.types)
            if found[path].is_alone:
                self._again[path] = entries[path]
            else:
                self._kept[path] = result
        return found

    def whole(self, paths: Collection[str]) -> dict[str, FileResult]:
        """See Reading."""
        again = {path: self._again[path] for path in paths if path in self._again}
        self._kept |= self._results(again)
        for path in again:
            del self._again[path]
        return {path: self._kept[path] for path in paths}

    def _results(self, entries: Entries) -> Iterator[tuple[str, FileResult]]:
        layout, types, known = self._rules.layout, self._rules.types, self._rules.known
        for path, content in self._commits.read_blobs(entries):
            yield path, read_file(path, content, layout, types=types, known=known)


class Readers:
    """Reads in several processes."""

    def __init__(self, pipes: list[Connection]) -> None:
        """Take the pipe to each."""
        self._pipes = pipes
        self._reader_of: dict[str, Connection] = {}

    def read(self, entries: Entries) -> dict[str, Summary]:
        """See Reading."""
        parts = _parts(entries)
        found: dict[str, Summary] = {}
        busy = [pipe for pipe in self._pipes if _is_given(pipe, parts)]
        while busy:
            for pipe in wait(busy):
                assert isinstance(pipe, Connection)  # noqa: S101  (nothing else was waited for)
                summaries: dict[str, Summary] = _answer(pipe)
                found |= summaries
                self._reader_of |= dict.fromkeys(summaries, pipe)
                if not _is_given(pipe, parts):
                    busy.remove(pipe)
        return found

    def whole(self, paths: Collection[str]) -> dict[str, FileResult]:
        """See Reading."""
        wanted: defaultdict[Connection, list[str]] = defaultdict(list)
        for path in paths:
            wanted[self._reader_of[path]].append(path)
        for pipe, its in wanted.items():
            pipe.send(its)
        return {path: result for pipe in wanted for path, result in _answer(pipe).items()}


@contextmanager
def readers(number: int, commits: Commits, rules: Rules) -> Iterator[Reading]:
    """Read in `number` processes, forked from this one; in this one for less than two."""
    if number < 2:
        yield Here(commits, rules)
        return
    context = multiprocessing.get_context("fork")
    pipes: list[Connection] = []
    with ExitStack() as stack:
        for _ in range(number):
            here, there = context.Pipe()
            pipes.append(here)
            stack.callback(here.close)
            process = context.Process(target=_serve, args=(there, pipes, Here(commits, rules)))
            process.start()
            there.close()
            stack.callback(_ended, process)
        yield Readers(pipes)


def _parts(entries: Entries) -> Iterator[Entries]:
    every = list(entries.items())
    return (dict(every[start : start + AT_ONCE]) for start in range(0, len(every), AT_ONCE))


def _is_given(pipe: Connection, parts: Iterator[Entries]) -> bool:
    """Give a reader the next part; False where nothing is left."""
    part = next(parts, None)
    if part is not None:
        pipe.send(part)
    return part is not None


def _answer(pipe: Connection) -> Any:
    answer = pipe.recv()
    if isinstance(answer, PaoError):
        raise answer
    return answer


def _ended(process: BaseProcess) -> None:
    process.kill()
    process.join()


def _serve(pipe: Connection, others: Iterable[Connection], here: Here) -> None:
    """Read what is asked for, until the pipe is closed."""
    for other in others:
        other.close()
    while True:
        try:
            asked = pipe.recv()
        except EOFError:
            return
        try:
            answer = here.whole(asked) if isinstance(asked, list) else here.read(asked)
        except PaoError as error:
            pipe.send(error)
        else:
            pipe.send(answer)
