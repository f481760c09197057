"""Did you mean: the known name that is nearest to one that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

from engine.errors import quoted

_MOST = 100
"""Names that are looked at closely; of more, only those that begin or end alike."""

_CLOSE = 0.7
"""Similarity (0 to 1) from which a name is worth proposing; below, the guess irritates."""


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
