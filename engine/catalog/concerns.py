"""Which files a change of the repository concerns: those that changed, and whose verdict may.

The verdict on a document depends on what it names, and on others of its name. So a change of one
file concerns, besides it: the files that refer to a document of it, before or after, and so on
through all who refer to those (a circle may close anywhere); files that define the same document;
files whose Terraform modules came or went; and every file that is broken, since its fault may have
been somebody else's. All these are judged again. What they in turn refer to is read with them, so
that they are judged as in the whole set.

A change of the settings or of own types concerns everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a file without its contents: slugs defined and mentioned, modules named."""

    defines: frozenset[str] = frozenset()
    mentions: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Concerns:
    """The files that are `judged` again, and those that are read as their `context`."""

    judged: frozenset[str]
    context: frozenset[str]


def concerned(
    earlier: Mapping[str, Facts],
    changed: Mapping[str, Facts],
    removed: Iterable[str],
    suspects: Iterable[str],
    has_module: Callable[[str], bool],
) -> Concerns:
    """Return what a change concerns.

    `earlier` are the facts of the files as they were, `changed` those of new and changed files as
    they are; `suspects` are files that were broken.
    """
    gone = set(removed)
    now = {path: facts for path, facts in earlier.items() if path not in gone} | dict(changed)
    touched = {
        slug
        for path in (*changed, *gone)
        for facts in (earlier.get(path), changed.get(path))
        if facts is not None
        for slug in facts.defines
    }
    judged = set(changed)
    judged |= {path for path in suspects if path in now}
    judged |= {path for path, facts in now.items() if facts.defines & touched}
    judged |= {path for path, facts in now.items() if not all(has_module(m) for m in facts.modules)}
    _spread(judged, touched, now)
    judged |= _definers(judged, now)
    return Concerns(frozenset(judged), frozenset(named(judged, now) - judged))


def _spread(judged: set[str], touched: set[str], now: Mapping[str, Facts]) -> None:
    """Add to `judged` who refers to what is touched or judged, and who refers to those."""
    referrers: defaultdict[str, list[str]] = defaultdict(list)
    for path, facts in now.items():
        for slug in facts.mentions:
            referrers[slug].append(path)
    waiting = list(touched | {slug for path in judged for slug in now[path].defines})
    seen = set(waiting)
    while waiting:
        for path in referrers.get(waiting.pop(), ()):
            judged.add(path)
            fresh = now[path].defines - seen
            seen |= fresh
            waiting += fresh


def _definers(paths: Iterable[str], now: Mapping[str, Facts]) -> set[str]:
    """Return the files that define a document of the same name as one of `paths` does."""
    slugs = {slug for path in paths for slug in now[path].defines}
    return {path for path, facts in now.items() if facts.defines & slugs}


def named(paths: Iterable[str], now: Mapping[str, Facts]) -> set[str]:
    """Return the files that the files of `paths` refer to, and what those refer to."""
    definers: defaultdict[str, list[str]] = defaultdict(list)
    for path, facts in now.items():
        for slug in facts.defines:
            definers[slug].append(path)
    found: set[str] = set()
    waiting = list(paths)
    while waiting:
        for slug in now[waiting.pop()].mentions:
            fresh = [path for path in definers.get(slug, ()) if path not in found]
            found.update(fresh)
            waiting += fresh
    return found
