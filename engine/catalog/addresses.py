"""Addresses, branches, commits and folders, checked before Git sees them.

They come from settings, commands and documents, and end up in argument lists of git, where a
leading `-` is an option, `ext::` runs a program and `$` may be expanded.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urlsplit

from engine.errors import InvalidInput

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_FORBIDDEN_IN_URL = re.compile(r"[\x00-\x20\x7f$\\]|::|^-")
_FORBIDDEN_IN_BRANCH = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.lock(?:/|$)|(?:^|/)\.|^[-/]|[/.]$|^@$|^$"
)
_SHORT_SSH = re.compile(r"(?:[\w.-]+@)?[\w.-]+:(?!//)[^:]+")


def checked_url(url: str) -> str:
    """Return the address as Git is given it; InvalidInput when it is not https, ssh or file.

    An absolute path is a `file` address.
    """
    url = url.strip()
    if url.startswith("/"):
        url = "file://" + quote(url)
    if _FORBIDDEN_IN_URL.search(url):
        raise _bad_url("it holds characters that Git would take for something else")
    if _SHORT_SSH.fullmatch(url):
        host, _, path = url.partition(":")
        raise _bad_url("the short form of ssh has no scheme", f"Write ssh://{host}/{path}")
    _check_parts(_split(url))
    return url


def token_for(url: str, home: str | None, token: str | None) -> str | None:
    """Return the token where `url` is on the host that it is for, that of `home` (CATALOG_URL)."""
    if home is None or urlsplit(url).netloc == urlsplit(home).netloc:
        return token
    return None


def compare_url(url: str, old: str, new: str) -> str | None:
    """Return the page that shows what changed between two commits; None for a host without pages.

    GitHub, Gitea and Bitbucket have it at the same place, GitLab below `-`.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or old == new:
        return None
    host, path = parts.netloc.rpartition("@")[2], parts.path.rstrip("/").removesuffix(".git")
    below = "/-" if host.split(":")[0].startswith("gitlab.") else ""
    return f"{parts.scheme}://{host}{path}{below}/compare/{old}...{new}"


def checked_branch(branch: str) -> str:
    """Return the branch; InvalidInput when it breaks the rules of `git check-ref-format`."""
    if len(branch) > 100 or _FORBIDDEN_IN_BRANCH.search(branch):
        raise InvalidInput(
            f"{branch[:100]!r} is not the name of a branch",
            r"Git allows no spaces, no .. and none of ~ ^ : ? * [ \, and no leading - or /",
            "Set CATALOG_BRANCH to the branch's plain name, like main",
            field="CATALOG_BRANCH",
        )
    return branch


def checked_commit(commit: str) -> str:
    """Return a full commit hash; InvalidInput for anything else."""
    if not _COMMIT.fullmatch(commit):
        raise InvalidInput(f"{commit[:80]!r} is not a full commit hash", field="commit")
    return commit


def checked_folder(path: str) -> str:
    """Return the plain form of a folder inside the repository; InvalidInput where it leaves it."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or not parts or not is_plain(path):
        raise InvalidInput(
            f"{path!r} is not a folder of the catalog's repository",
            "a path counts from the repository's root and never leaves it",
            "Write it like modules/postgres",
            field="module_source",
        )
    return "/".join(parts)


def is_plain(path: str) -> bool:
    """Whether every part of the path is what any file system takes for just a name."""
    parts = path.split("/")
    return (
        not any(part == ".." or part.lower() == ".git" for part in parts)
        and "\\" not in path
        and path.isprintable()
    )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is not a number
    except ValueError as error:
        raise _bad_url(str(error)) from None
    return parts


def _check_parts(parts: SplitResult) -> None:
    host = parts.hostname or ""
    if parts.scheme not in ("https", "ssh", "file"):
        raise _bad_url(f"the scheme {parts.scheme or '(none)'!r} is not allowed")
    if parts.password or (parts.scheme == "https" and parts.username):
        raise _bad_url(
            "it holds a credential, which would end up in process lists and logs",
            "Take the credential out and set CATALOG_TOKEN",
        )
    if parts.scheme == "file" and (host not in ("", "localhost") or not parts.path):
        raise _bad_url("a file address names an absolute path", "Write file:///srv/catalog.git")
    if parts.scheme != "file" and (not host or not parts.path.strip("/")):
        raise _bad_url("it names no host and path")
    if host.startswith("-") or (parts.username or "").startswith("-"):
        raise _bad_url("its host begins like an option")
    if parts.query or parts.fragment:
        raise _bad_url("it holds more than scheme, host and path")


def _bad_url(why: str, do: str = "") -> InvalidInput:
    """Return the refusal of an address, without the address: it may hold a credential."""
    return InvalidInput(
        "The address of the catalog's repository is refused",
        why,
        do or "Set CATALOG_URL to an https://, ssh:// or file:// address",
        field="CATALOG_URL",
    )
