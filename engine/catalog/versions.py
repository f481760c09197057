"""Versions and version ranges: semver 2.0.0, and the ranges of npm with `!=` and commas.

A range is a choice (`||`) of sets of comparisons, all of which a version must meet. Two rules that
are easily got wrong (https://semver.org, node-semver's README):

- A pre-release is inside a set only where that set names a pre-release of the same
  major.minor.patch: `2.0.0-rc.1` is not in `>=1.0.0`.
- Upper bounds that `^`, `~` and partial versions stand for end below the first pre-release of the
  next version: `^1.2` is `>=1.2.0 <2.0.0-0`, so `2.0.0-rc.1` is outside.

Build metadata never counts. The database has the same rules in `version_satisfies`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

Operator = Literal["=", "!=", ">", ">=", "<", "<="]
Key = tuple[int, int, int, int, tuple[tuple[int, int, str], ...]]

LONGEST: Final = 255
"""Characters of a version; the columns check the same."""

ALLOWED_VERSION: Final = (
    "MAJOR.MINOR.PATCH with an optional -pre-release and +build, like 1.4.0 or 2.0.0-rc.1"
)
ALLOWED_RANGE: Final = (
    "comparisons such as >=2.0.0, <3.0.0 or ^1.2 or ~1.2.3 or 1.x, joined by commas,"
    " or || for a choice"
)

_NUMBER = r"0|[1-9][0-9]*"
_PRE = rf"(?:[0-9]*[A-Za-z-][0-9A-Za-z-]*|{_NUMBER})"  # the longer first: `1a` is one identifier
_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PRE}(?:\.{_PRE})*))?"
    r"(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)
_PARTIAL = re.compile(rf"({_NUMBER}|[xX*])(?:\.({_NUMBER}|[xX*]))?(?:\.([xX*]))?")
_OPERATOR = re.compile(r"\^|~|!=|>=|<=|>|<|=")
_WORD = re.compile(r"[^\s,|]+")
_SPACE = re.compile(r"\s*")
_HYPHEN = re.compile(r"\s+-\s+")


class VersionError(ValueError):
    """A version or range cannot be read; `at` is the index of the character that is wrong."""

    def __init__(self, message: str, at: int = 0) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True)
class Version:
    """A semver 2.0.0 version. Equality is of all parts; order is by `key`, without build."""

    major: int
    minor: int
    patch: int
    prerelease: tuple[str, ...] = ()
    build: str = ""

    @property
    def key(self) -> Key:
        """What versions are sorted by: precedence as semver 2.0.0 §11 has it."""
        identifiers = tuple(
            (0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.prerelease
        )
        return (self.major, self.minor, self.patch, 0 if self.prerelease else 1, identifiers)

    @property
    def core(self) -> tuple[int, int, int]:
        """Major, minor and patch."""
        return (self.major, self.minor, self.patch)

    def __str__(self) -> str:
        pre = f"-{'.'.join(self.prerelease)}" if self.prerelease else ""
        build = f"+{self.build}" if self.build else ""
        return f"{self.major}.{self.minor}.{self.patch}{pre}{build}"


@dataclass(frozen=True, slots=True)
class Comparator:
    """One comparison with one version."""

    operator: Operator
    version: Version

    def allows(self, key: Key) -> bool:
        """Whether a version of that key meets the comparison."""
        own = self.version.key
        match self.operator:
            case "=":
                return key == own
            case "!=":
                return key != own
            case ">":
                return key > own
            case ">=":
                return key >= own
            case "<":
                return key < own
            case "<=":
                return key <= own


@dataclass(frozen=True, slots=True)
class Range:
    """A choice of sets of comparisons; an empty set is met by every release."""

    text: str
    choices: tuple[tuple[Comparator, ...], ...]

    def contains(self, version: Version) -> bool:
        """Whether the version is inside."""
        return any(_meets(version, choice) for choice in self.choices)

    @property
    def is_possible(self) -> bool:
        """Whether any version at all is inside.

        It is enough to try the versions that the comparisons name and their next neighbours: the
        smallest version that meets all lower bounds is one of these.
        """
        return any(self.contains(version) for version in self._neighbours())

    def _neighbours(self) -> Iterator[Version]:
        yield Version(0, 0, 0)
        for comparator in (c for choice in self.choices for c in choice):
            version = comparator.version
            yield version
            yield Version(*version.core)
            yield Version(version.major, version.minor, version.patch + 1)
            yield Version(*version.core, ("0",))
            if version.prerelease:
                yield Version(*version.core, (*version.prerelease, "0"))


@lru_cache(maxsize=4096)
def parse_version(text: str) -> Version:
    """Read a version by semver 2.0.0; raises VersionError that names the first wrong character."""
    if len(text) > LONGEST:
        raise VersionError(f"a version has at most {LONGEST} characters", LONGEST)
    match = _VERSION.match(text)
    if match is None or match.end() != len(text):
        at = match.end() if match else _first_wrong(text)
        raise VersionError(_version_complaint(text, at), at)
    major, minor, patch, pre, build = match.groups()
    return Version(
        int(major), int(minor), int(patch), tuple(pre.split(".")) if pre else (), build or ""
    )


@lru_cache(maxsize=4096)
def parse_range(text: str) -> Range:
    """Read a range; raises VersionError that names the character where reading stopped.

    A range that reads well but that no version can meet is read; `is_possible` tells.
    """
    choices = []
    start = 0
    for part in text.split("||"):
        choices.append(tuple(_comparisons(text, start, start + len(part))))
        start += len(part) + 2
    return Range(text, tuple(choices))


def satisfies(version: str, range_text: str | None) -> bool:
    """Whether a version is inside a range; no range means any release."""
    return parse_range(range_text or "").contains(parse_version(version))


def _meets(version: Version, choice: tuple[Comparator, ...]) -> bool:
    key = version.key
    if not all(comparator.allows(key) for comparator in choice):
        return False
    return not version.prerelease or any(
        c.version.prerelease and c.version.core == version.core for c in choice
    )


def _comparisons(text: str, start: int, end: int) -> Iterator[Comparator]:
    """Read the comparisons of one choice, `text[start:end]`."""
    at = _skip_space(text, start)
    first = True
    while at < end:
        if not first and text[at] == ",":
            at = _skip_space(text, at + 1)
            if at >= end:
                raise VersionError(f"a comparison is missing after the comma at character {at}", at)
        comparators, at = _one(text, at, end)
        yield from comparators
        at = _skip_space(text, at)
        first = False


def _one(text: str, at: int, end: int) -> tuple[list[Comparator], int]:
    """Read one comparison or hyphen range; returns what it stands for and where it ends."""
    sign = _OPERATOR.match(text, at, end)
    begin = _skip_space(text, sign.end()) if sign else at
    word = _WORD.match(text, begin, end)
    if word is None:
        raise VersionError(_range_complaint(text, begin), begin)
    low = _bounds(word[0], begin, text)
    hyphen = None if sign else _HYPHEN.match(text, word.end(), end)
    if hyphen is None:
        return _compare(sign[0] if sign else "=", *low), word.end()
    upper = _WORD.match(text, hyphen.end(), end)
    if upper is None:
        raise VersionError("a version is missing after the hyphen", hyphen.end())
    high = _bounds(upper[0], hyphen.end(), text)
    return _compare(">=", *low) + _compare("<=", *high), upper.end()


def _bounds(word: str, at: int, text: str) -> tuple[Version, Version | None, int]:
    """Return the smallest version a word means, the first above it, and how many parts it gives.

    A full version has nothing above it (None, 3); `*` gives 0 parts.
    """
    full = _VERSION.fullmatch(word)
    if full:
        return parse_version(word), None, 3
    partial = _PARTIAL.match(word)
    if partial is None or partial.end() != len(word):
        offset = max(m.end() if m else 0 for m in (partial, _VERSION.match(word)))
        raise VersionError(_range_complaint(text, at + offset), at + offset)
    numbers: list[int] = []
    for part in partial.groups():
        if part is None or part in "xX*":
            break
        numbers.append(int(part))
    low = _version_of(numbers)
    return low, _after(low, len(numbers)), len(numbers)


def _version_of(parts: list[int], prerelease: tuple[str, ...] = ()) -> Version:
    major, minor, patch = [*parts, 0, 0, 0][:3]
    return Version(major, minor, patch, prerelease)


def _after(version: Version, parts: int) -> Version | None:
    """Return the lowest version above all that share the first parts: of `1.2` it is 1.3.0-0."""
    if parts == 0:
        return None
    core = list(version.core[:parts])
    core[-1] += 1
    return _version_of(core, ("0",))


NOTHING: Final = (Comparator("<", Version(0, 0, 0, ("0",))),)
"""What `>*` means: no version is below the lowest of all."""


def _compare(sign: str, low: Version, above: Version | None, parts: int) -> list[Comparator]:
    """Return the plain comparators that `sign` with a whole or partial version stands for."""
    if parts == 0:
        return list(NOTHING) if sign in ("<", ">", "!=") else []
    if sign in ("^", "~"):
        kept = _caret_parts(low, parts) if sign == "^" else min(parts, 2)
        return [Comparator(">=", low), Comparator("<", _needed(_after(low, kept)))]
    if above is None:
        return [Comparator(sign, low)]  # type: ignore[arg-type]
    release = Version(*above.core)
    match sign:
        case ">":
            return [Comparator(">=", release)]
        case ">=":
            return [Comparator(">=", low)]
        case "<":
            return [Comparator("<", Version(*low.core, ("0",)))]
        case "<=":
            return [Comparator("<", above)]
        case "!=":
            raise VersionError("!= needs a full version, like !=1.2.3")
        case _:
            return [Comparator(">=", low), Comparator("<", above)]


def _caret_parts(low: Version, parts: int) -> int:
    """Return how many leading parts `^` holds: up to the first that is not zero, as npm has it."""
    for index, number in enumerate(low.core[:parts], start=1):
        if number:
            return index
    return parts


def _needed(version: Version | None) -> Version:
    assert version is not None  # noqa: S101  (only `*` has nothing above it)
    return version


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _first_wrong(text: str) -> int:
    """Return the index up to which `text` could still begin a version."""
    number = rf"(?:{_NUMBER})"
    for pattern in (rf"{number}\.{number}\.", rf"{number}\.{number}", rf"{number}\.", number):
        if match := re.match(pattern, text):
            return match.end()
    return 0


def _version_complaint(text: str, at: int) -> str:
    if not text:
        return f"the version is empty; write {ALLOWED_VERSION}"
    found = f"character {at + 1} ({text[at]!r})" if at < len(text) else "the end"
    return f"{text!r} is not a version at {found}; write {ALLOWED_VERSION}"


def _range_complaint(text: str, at: int) -> str:
    found = f"character {at + 1} ({text[at]!r})" if at < len(text) else "the end"
    return f"the version range {text!r} cannot be read at {found}; write {ALLOWED_RANGE}"
