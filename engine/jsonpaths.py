"""JSONPath (RFC 9535) over foreign documents, without what could take for ever.

Regular expressions in filters and more than one `..` are refused: the first backtrack, the second
multiply the matches.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError
from jsonpath.exceptions import JSONPathRecursionError

from engine.errors import InvalidInput

Json = Any

LONGEST = 500
"""Characters of a path."""

_environment = JSONPathEnvironment(strict=True)
for _slow in ("match", "search"):
    _environment.function_extensions.pop(_slow, None)


class NoMatch(LookupError):
    """The path finds nothing in the document."""


def check_path(text: str) -> None:
    """Raise InvalidInput with the reason when `text` is no path that `first` can follow."""
    _compiled(text)


def first(text: str, document: Json) -> Json:
    """Return the first value that the path `text` finds in `document`.

    Raises NoMatch when there is none, InvalidInput when `text` is not a path.
    """
    return first_at(text, document)[0]


def first_at(text: str, document: Json) -> tuple[Json, tuple[str | int, ...]]:
    """Return the first value and where it stands, as the keys and indexes that lead there."""
    try:
        for match in _matches(_compiled(text), document):
            return match.obj, match.parts
    except JSONPathRecursionError:
        raise NoMatch(f"{text} goes too deep") from None
    except JSONPathError as error:
        raise NoMatch(f"{text} cannot be followed: {_reason(error)}") from None
    raise NoMatch(f"{text} finds nothing")


def every(text: str, document: Json, limit: int) -> list[Json]:
    """Return the values that the path finds, at most `limit`; raises as `first` does."""
    try:
        found = [
            match.obj
            for match, _ in zip(_matches(_compiled(text), document), range(limit), strict=False)
        ]
    except JSONPathError as error:
        raise NoMatch(f"{text} cannot be followed: {_reason(error)}") from None
    if not found:
        raise NoMatch(f"{text} finds nothing")
    return found


def _matches(path: JSONPath, document: Json) -> Iterator[Any]:
    yield from path.finditer(document)


@lru_cache(maxsize=1024)
def _compiled(text: str) -> JSONPath:
    if len(text) > LONGEST:
        raise _not_a_path(text[:40] + "...", f"it has more than {LONGEST} characters")
    if text.count("..") > 1:
        raise _not_a_path(text, "it has more than one `..`")
    try:
        path = _environment.compile(text)
    except (JSONPathError, RecursionError) as error:
        raise _not_a_path(text, _reason(error)) from None
    if not isinstance(path, JSONPath):
        raise _not_a_path(text, "it joins several paths")
    return path


def _not_a_path(text: str, why: str) -> InvalidInput:
    return InvalidInput(f"{text!r} is not a JSONPath", why, "Write it like $.data.id")


def _reason(error: Exception) -> str:
    """Return the message alone: the library's `str` shows the place too, and fails at the end."""
    return str(error.args[0]).partition("\n")[0] if error.args else type(error).__name__
