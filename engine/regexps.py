r"""Regular expressions of documents, matched in linear time.

Python's own engine backtracks: `(a+)+$` on 27 characters holds the interpreter for seconds. The
Rust engine inside pydantic-core takes time proportional to the text and knows no look-around and
no back-references; a pattern that needs those is refused when the document is validated.

Compiling takes time too: `\w{900}` a tenth of a second and megabytes. So the effort is estimated
from the text first, and bounded for one pattern and, while a file is read, for all of its patterns
together (`bounded_effort`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, lru_cache
from typing import Final

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

LONGEST_PATTERN: Final = 2000
"""Characters."""
LARGEST_EFFORT: Final = 500_000
"""Of one pattern; a unit is about a microsecond of compiling."""
LARGEST_EFFORT_TOGETHER: Final = 2_000_000
"""Of all patterns of one file."""

_effort_left: ContextVar[list[int] | None] = ContextVar("effort_left", default=None)

_TOKEN = re.compile(
    r"(?P<class>\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\])|(?P<escape>\\(?:[pP]\{[^}]*\}|[pPxuU]\{?\w*\}?|.))"
    r"|(?P<open>\((?:\?(?:P?<\w+>|[a-zA-Z-]*:?))?)|(?P<close>\))|(?P<repeat>\{(\d+)(?:,(\d*))?\})"
    r"|(?P<any>\.)|(?P<other>.)",
    re.DOTALL,
)
_WIDE: Final = re.compile(r"\\[wWDSpPB]|\\b")
_NARROW: Final = re.compile(r"\\[ds]")


class Pattern:
    """A compiled pattern. Cheap to keep, safe to share between threads."""

    def __init__(self, source: str) -> None:
        """Compile `source`; raises ValueError with the engine's reason."""
        self.source = source
        self._whole = _anchored(source)

    def matches(self, text: str) -> bool:
        """Whether the whole of `text` matches."""
        return _accepts(self._whole, text)

    def found_in(self, text: str) -> bool:
        """Whether some part of `text` matches."""
        return _accepts(self._anywhere, text)

    @cached_property
    def _anywhere(self) -> SchemaValidator:
        return _validator(self.source)


@lru_cache(maxsize=256)
def compile_pattern(source: str) -> Pattern:
    """Return the compiled pattern; raises ValueError when the linear-time engine cannot take it."""
    if len(source) > LONGEST_PATTERN:
        raise ValueError(f"it is longer than {LONGEST_PATTERN} characters")
    effort = _effort(source)
    if effort > LARGEST_EFFORT:
        raise ValueError("it repeats too much; large counts of wide classes like \\w cost most")
    left = _effort_left.get()
    if left is not None:
        left[0] -= effort
        if left[0] < 0:
            raise ValueError("the patterns of this file are too large together")
    return Pattern(source)


@contextmanager
def bounded_effort() -> Iterator[None]:
    """Bound the effort of all patterns that are compiled inside, together."""
    token = _effort_left.set([LARGEST_EFFORT_TOGETHER])
    try:
        yield
    finally:
        _effort_left.reset(token)


def _effort(source: str) -> int:
    """Estimate what compiling costs: the atoms, each as often as it is repeated."""
    groups: list[list[int]] = [[]]
    for token in _TOKEN.finditer(source):
        kind, text = token.lastgroup, token[0]
        if kind == "open":
            groups.append([])
        elif kind == "close" and len(groups) > 1:
            inner = sum(groups.pop())
            groups[-1].append(inner)
        elif text.startswith("{") and token["repeat"] and groups[-1]:
            counts = [int(n) for n in re.findall(r"\d+", text)]
            groups[-1][-1] *= max(1, *counts)
        else:
            groups[-1].append(_weight(text))
    return sum(map(sum, groups))


def _weight(atom: str) -> int:
    if _WIDE.search(atom):
        return 1500 if atom.startswith("[") else 500
    if _NARROW.search(atom):
        return 20
    return 10 if atom == "." or atom.startswith("[^") else 1


def _anchored(source: str) -> SchemaValidator:
    try:
        return _validator(rf"\A(?:{source})\z")
    except ValueError:
        # A verbose pattern that ends in a comment: only a new line gets out of it.
        return _validator(f"\\A(?:{source}\n)\\z")


def _validator(pattern: str) -> SchemaValidator:
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError as error:
        raise ValueError(_reason(str(error))) from None


def _accepts(validator: SchemaValidator, text: str) -> bool:
    try:
        validator.validate_python(text, strict=True)
    except ValidationError:
        return False
    return True


def _reason(text: str) -> str:
    """Keep the engine's own last words: `look-around ... is not supported`."""
    marked = [line.strip() for line in text.splitlines() if line.strip().startswith("error:")]
    last = marked[-1].removeprefix("error:").strip() if marked else text.splitlines()[-1]
    return last.removeprefix("  SchemaError:").strip().rstrip(".")
