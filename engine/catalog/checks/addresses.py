"""Literal URLs, module sources and repositories: what can be said about them before anything runs."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from engine.catalog.checks.subject import Known, Subject
from engine.catalog.findings import Path
from engine.catalog.steps import GitHubTemplate, TerraformTemplate
from engine.repository_names import ALLOWED, is_repository
from engine.templates import has_template

_CONSTRAINT = re.compile(r"\s*(?:=|!=|>=|<=|>|<|~>)?\s*\d+(?:\.\d+){0,2}(?:-[0-9A-Za-z.-]+)?\s*")
_REMOTE = re.compile(r"[a-z0-9]+::|git@|https?://|ssh://|[\w.-]+\.[a-z]{2,}/")
_REGISTRY = re.compile(r"(?:[\w.-]+/)?[\w-]+/[\w-]+/[\w-]+(?://.*)?")
_PLAIN = re.compile(
    r"https://[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?!local|internal)[a-z]{2,}(?::\d+)?(?:[/?#]|$)"
)
"""Addresses that need no second look: https, and a name of the public kind."""
_LOCAL_NAMES: Final = ("localhost", ".localhost", ".local", ".internal")


def check_url(subject: Subject, path: Path, url: str) -> None:
    """Judge an address that stands in the document; templates are judged when they are rendered.

    The allow-list is a setting that the validator may not know: what it may allow is a warning.
    """
    if _PLAIN.match(url):
        return
    literal, template, _ = url.partition("{{")
    if template and "/" not in literal.partition("://")[2]:
        return  # the host is known only when it is rendered
    try:
        parts = urlsplit(literal)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("https", "http") or not host:
        message = f"{url!r} is not an address with https"
        subject.error("invalid-url", path, message, allowed="https://HOST/PATH")
    elif parts.username is not None:
        message = "an address with a name and password would be logged"
        subject.error("invalid-url", path, message, allowed="authentication: {type: basic, ...}")
    elif _is_allowed(host, subject.outbound_allow):
        return
    elif _is_inside(host):
        message = f"the host {host} is inside, which is refused unless it is on the allow-list"
        subject.warn("private-address", path, message)
    elif parts.scheme == "http":
        message = f"{url!r} is plain http, which is refused unless the host is on the allow-list"
        subject.warn("plain-http", path, message)


def _is_allowed(host: str, allow: Iterable[str]) -> bool:
    """Whether the installation's settings name a host, or a network that a literal one is in."""
    name = host.lower().rstrip(".")
    address = _address(name)
    return any(
        entry.strip("[]").lower().rstrip(".") == name or _holds(entry, address) for entry in allow
    )


def _holds(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if address is None:
        return False
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False


def _is_inside(host: str) -> bool:
    """Whether a literal host is private, loopback, link-local or a cloud's metadata service."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(_LOCAL_NAMES[1:]):
        return True
    address = _address(name)
    return address is not None and not _is_public(address)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address in every spelling that the system's resolver takes: 127.1, 0x7f000001."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    if not re.fullmatch(r"[0-9a-fx.]+", host):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def check_module(subject: Subject, path: Path, template: TerraformTemplate, known: Known) -> None:
    """Judge a Terraform step's module: a folder of this repository, or an allowed source."""
    source, here = template.module_source, (*path, "module_source")
    if has_template(source):
        return
    local = source.removeprefix("./")
    is_known_folder = known.has_module is not None and known.has_module(local)
    if (
        not is_known_folder
        and (_REMOTE.match(source) or _REGISTRY.fullmatch(source))
        and (not source.startswith(("./", "modules/")))
    ):
        _check_remote(subject, here, source, known)
    elif source.startswith("/") or ".." in PurePosixPath(source).parts:
        message = f"the module {source!r} is outside the repository"
        subject.error("module-outside", here, message, allowed="a path from the repository's root")
    elif known.has_module is not None and not is_known_folder:
        message = f"there is no folder {local!r} in the repository"
        subject.error("unknown-module", here, message, allowed="a path from the repository's root")
    _check_constraint(subject, path, template.version)


def check_repository(subject: Subject, path: Path, template: GitHubTemplate) -> None:
    """Judge the repository of a GitHubWorkflow step, where it is known before it is rendered."""
    repository = template.repository
    if not has_template(repository) and not is_repository(repository):
        message = f"{repository!r} does not name a repository at GitHub"
        subject.error("invalid-repository", (*path, "repository"), message, allowed=ALLOWED)


def _check_remote(subject: Subject, here: Path, source: str, known: Known) -> None:
    if known.module_allow is None:
        message = f"the module {source!r} is used only if the settings allow it"
        subject.warn("remote-module", here, message)
    elif not any(source.startswith(prefix) for prefix in known.module_allow):
        message = f"the module source {source!r} is not on the allow-list"
        subject.error(
            "remote-module", here, message, allowed=", ".join(known.module_allow) or "none"
        )


def _check_constraint(subject: Subject, path: Path, version: str | None) -> None:
    if version is None or has_template(version):
        return
    if not all(_CONSTRAINT.fullmatch(part) for part in version.split(",")):
        message = f"{version!r} is not a version constraint of Terraform's"
        subject.error(
            "invalid-range", (*path, "version"), message, allowed="~> 1.2, >= 1.0, < 2.0.0"
        )
