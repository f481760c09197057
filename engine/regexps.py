"""Regular expressions of documents, matched in linear time.

Python's own engine backtracks: `(a+)+$` on 27 characters holds the interpreter for seconds. The
Rust engine inside pydantic-core takes time proportional to the text and knows no look-around and
no back-references; a pattern that needs those is refused when the document is validated.
"""

from __future__ import annotations

from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

LONGEST_PATTERN = 2000
"""Characters. The engine itself bounds the size of the compiled program."""


class Pattern:
    """A compiled pattern. Cheap to keep, safe to share between threads."""

    __slots__ = ("_anywhere", "_whole", "source")

    def __init__(self, source: str) -> None:
        """Compile `source`; raises ValueError with the engine's reason, position included."""
        if len(source) > LONGEST_PATTERN:
            raise ValueError(f"the pattern is longer than {LONGEST_PATTERN} characters")
        self.source = source
        self._anywhere = _validator(source)
        self._whole = _anchored(source)

    def matches(self, text: str) -> bool:
        """Whether the whole of `text` matches."""
        return _accepts(self._whole, text)

    def found_in(self, text: str) -> bool:
        """Whether some part of `text` matches."""
        return _accepts(self._anywhere, text)


@lru_cache(maxsize=1024)
def compile_pattern(source: str) -> Pattern:
    """Return the compiled pattern; raises ValueError when the linear-time engine cannot take it."""
    return Pattern(source)


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
    """Keep the engine's own last words: `error: look-around ... is not supported`."""
    marked = [line.strip() for line in text.splitlines() if line.strip().startswith("error:")]
    last = marked[-1].removeprefix("error:").strip() if marked else text.splitlines()[-1]
    return last.removeprefix("  SchemaError:").strip().rstrip(".")
