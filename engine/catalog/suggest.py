"""Did you mean: the known names that are nearest to one that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import islice

from engine.errors import quoted

_MOST = 100
"""Names that are looked at closely; of more, only those that begin or end alike."""

_CLOSE = 0.7
"""Similarity (0 to 1) from which a name is worth proposing; below, the guess irritates."""

_SHORTEST = 3
"""Characters from which a part of a name says which one is meant."""

_PROPOSED = 3
"""Names that are proposed at most."""


CATALOG_HINT = "See `pao catalog list`, or /pao catalog in Slack, for what there is"
"""What to do where somebody named what the catalog does not have."""


def closest(name: object, known: Iterable[str]) -> str | None:
    """Return the known name nearest to `name`, or None when none is near."""
    if not isinstance(name, str) or not name or len(name) > 255:
        return None
    wanted = name.casefold()
    slack = max(2, len(wanted) // 3)
    near = {k.casefold(): k for k in known if abs(len(k) - len(wanted)) <= slack}
    if wanted in near:
        return near[wanted]
    if len(near) > _MOST:
        alike = (k for k in near if k[:2] == wanted[:2] or k[-3:] == wanted[-3:])
        near = {k: near[k] for k in islice(alike, _MOST)}
    found = get_close_matches(wanted, near, n=1, cutoff=_CLOSE)
    return near[found[0]] if found else None


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?`, with its leading space, or nothing."""
    found = closest(name, known)
    return f" Did you mean {quoted(found)}?" if found else ""


def did_you_mean_one_of(name: str, known: Iterable[str]) -> str:
    """Like `did_you_mean`; where none is spelt alike, names that begin with `name`, or hold it."""
    names = list(known)
    return did_you_mean(name, names) or _proposed(beginning_or_holding(name, names)[:_PROPOSED])


def beginning_or_holding(part: str, known: Iterable[str]) -> list[str]:
    """Return the known names that begin with `part`; where there are none, those that hold it."""
    wanted = part.strip().casefold()
    if len(wanted) < _SHORTEST:
        return []
    holding = sorted(name for name in known if wanted in name.casefold())
    return [name for name in holding if name.casefold().startswith(wanted)] or holding


def _proposed(names: Sequence[str]) -> str:
    if not names:
        return ""
    *most, last = map(quoted, names)
    return f" Did you mean {', '.join(most) + ' or ' if most else ''}{last}?"
