"""What git says when it fails, as errors of ours: the reason in words, and never a credential."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from engine.errors import ConfigurationError, NotFound, PaoError, Unreachable

_AUTHENTICATION = (
    r"authentication failed|could not read (?:user|pass)|access denied|prompts disabled"
    r"|returned error: 40[13]|permission denied \("
)

_ABSENT = r"does not appear to be a git repository|repository .* not found|returned error: 404"

_REASONS: Sequence[tuple[re.Pattern[str], str, str]] = tuple(
    (re.compile(pattern, re.IGNORECASE), why, do)
    for pattern, why, do in (
        (
            _AUTHENTICATION,
            "it refuses our credentials",
            "Check CATALOG_TOKEN (https) or the ssh key, and that it may read the repository",
        ),
        (
            r"host key verification failed",
            "its host key is not known here",
            "Add the host's key to known_hosts of the user that runs pao",
        ),
        (
            r"dubious ownership",
            "its folder belongs to another user",
            "Run pao as the owner of the repository, or change its owner",
        ),
        (
            _ABSENT,
            "there is no repository at that address, or it is not shown to us",
            "Check CATALOG_URL and CATALOG_TOKEN",
        ),
    )
)

_NO_ROOM = re.compile(r"No space left on device|Disk quota exceeded|Permission denied\b(?! \()")

_BROKEN = re.compile(
    r"corrupt|bad object|loose object|not a git repository|missing (?:blob|tree|commit)|packfile "
    r"|inflate|unable to (?:parse|unpack)|broken (?:link|ref)|invalid (?:object|sha1)"
    r"|did not send all necessary|not a (?:tree|valid) object",
    re.IGNORECASE,
)


class MirrorBroken(Unreachable):
    """The mirror's own objects are damaged; fetching all anew mends it."""

    default_code = "catalog_mirror_broken"


def failure(stderr: str, url: str, branch: str, secrets: Iterable[str]) -> PaoError:
    """Return the error that git's words mean, for a command on the mirror of `url`."""
    said = _without(secrets, _last_words(stderr))
    if _NO_ROOM.search(stderr):
        return not_writable(said)
    if "couldn't find remote ref" in stderr:
        return NotFound(
            f"The catalog's repository has no branch {branch!r}",
            "it was deleted or never existed",
            "Push the branch again, or set CATALOG_BRANCH to the one that holds the catalog",
            code="catalog_branch_missing",
        )
    for pattern, why, do in _REASONS:
        if pattern.search(stderr):
            return unreachable(url, f"{why} ({said})", do)
    if _BROKEN.search(re.sub(r"(?m)^remote:.*$", "", stderr)):
        return MirrorBroken("The catalog's mirror is damaged", said, "Sync again")
    return unreachable(url, said, "Check CATALOG_URL and the network")


def unreachable(url: str, why: str, do: str) -> Unreachable:
    """Return the error of a repository that cannot be read."""
    what = f"The catalog's repository {url} cannot be read"
    return Unreachable(what, why, do, code="catalog_unreachable")


def not_writable(why: str) -> ConfigurationError:
    """Return the error of a mirror that git or we cannot write."""
    return ConfigurationError(
        "The catalog's mirror cannot be written",
        why,
        "Make room under DATA_DIR, and let it belong to the user that runs pao",
        code="catalog_mirror_not_writable",
    )


def no_git() -> ConfigurationError:
    """Return the error of a machine without git."""
    return ConfigurationError(
        "git is not installed",
        "the catalog is read from a Git repository",
        "Install git 2.31 or newer and put it on PATH",
        code="git_missing",
    )


def _last_words(stderr: str) -> str:
    """Return what git said last that means something, on one line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "ssh:"))]
    words = "; ".join((told or lines)[-3:])[:500]
    return re.sub(r"\b(?:fatal|error): ", "", words) or "git said nothing"


def _without(secrets: Iterable[str], text: str) -> str:
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text
