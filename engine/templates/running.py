"""Templates at work: scope and budget of one rendering, and the closures that expressions become.

Everything here works on plain data: lookups see keys of mappings and indexes of lists, never an
attribute of an object; what grows is counted; arithmetic is exact and bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from engine.errors import TemplateError
from engine.templates.filters import bounded_text, exact, is_number
from engine.templates.text import named, text_of

MOST_WORK: Final = 100_000
"""Rounds of loops in one rendering."""
READ_IN_A_ROUND: Final = 1000
"""Characters that a comparison or a filter may read at the price of one round of a loop."""
MOST_OUTPUT: Final = 1024 * 1024
"""Characters that one rendering makes in all."""

Json = Any
Block = Callable[["Run"], Json]
"""An expression or text, ready to run."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a template names: the chain of constant keys, like ("steps", "net", "outputs", "id")."""

    chain: tuple[str | int, ...]
    line: int

    def __str__(self) -> str:
        """Return the chain as a template writes it."""
        first, *rest = self.chain
        return str(first) + "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in rest)


class SecretLookup:
    """The `secrets` of a scope: its one capability is to give the value of a key."""

    __slots__ = ("_lookup",)

    def __init__(self, lookup: Callable[[str], str]) -> None:
        """Take the function that knows the values; it raises TemplateError for an unknown key."""
        self._lookup = lookup

    def __getitem__(self, key: str) -> str:
        return self._lookup(key)

    def __repr__(self) -> str:
        return "<secrets>"


@dataclass(slots=True)
class Run:
    """One rendering: what templates see, and how much work and text is left."""

    scope: Mapping[str, Any]
    work: int = MOST_WORK
    output: int = MOST_OUTPUT

    def spend(self, rounds: int) -> None:
        """Count rounds of a loop; raises TemplateError when there are too many."""
        self.work -= rounds
        if self.work < 0:
            raise TemplateError(
                "The template takes too long", f"loops make {MOST_WORK} rounds at most"
            )

    def read(self, *values: Json) -> None:
        """Count what a comparison or a filter reads; raises TemplateError when it is too much."""
        if (size := sum(map(_size, values))) >= READ_IN_A_ROUND:
            self.spend(size // READ_IN_A_ROUND)

    def gather(self, items: list[Json]) -> list[Json]:
        """Count the text that a new list holds: it is small only until somebody writes it out."""
        open_ = list(items)
        while open_:
            one = open_.pop()
            if isinstance(one, str):
                self.write(one)
            elif isinstance(one, Mapping):
                open_ += one.values()
            elif isinstance(one, list | tuple):
                open_ += one
            self.output -= 1
        self.write("")
        return items

    def write(self, text: str) -> str:
        """Count text that is made; raises TemplateError when it is too much."""
        self.output -= len(text)
        if self.output < 0:
            raise TemplateError(
                "The result is too long", f"at most {MOST_OUTPUT} characters are made"
            )
        return bounded_text(text)


def _size(value: Json) -> int:
    """Return how many characters and entries a value has, however deep."""
    if isinstance(value, str):
        return len(value)
    size, open_ = 0, [value]
    while open_:
        one = open_.pop()
        size += len(one) if isinstance(one, str) else 1
        if isinstance(one, Mapping):
            open_ += one.keys()
            open_ += one.values()
        elif isinstance(one, list | tuple):
            open_ += one
    return size


class UnknownName(TemplateError):
    """A name, key, filter or test does not exist; `known` are those that do."""

    def __init__(
        self, what: str, name: object, known: Iterable[object] = (), why: str = ""
    ) -> None:
        """Take the sentence, the name and what there is instead."""
        super().__init__(what, why or f"there are {names(known)}")
        self.name = name
        self.known = tuple(str(other) for other in known)


def constant(value: Json) -> Block:
    """Return the closure of a value."""
    return lambda _: value


def joined(blocks: list[Block]) -> Block:
    """Return the closure of texts one after the other."""
    return lambda run: run.write("".join(text_of(block(run)) for block in blocks))


def lookup(chain: tuple[str | int, ...]) -> Block:
    """Return the closure of a name with constant keys."""
    name, *keys = chain

    def run_lookup(run: Run) -> Json:
        try:
            value = run.scope[name]  # type: ignore[index]
        except KeyError:
            raise UnknownName(f"There is no {name!r} here", name, run.scope) from None
        for index, key in enumerate(keys, start=1):
            value = _inside(value, key, chain[:index])
        return value

    return run_lookup


def subscripts(block: Block, keys: list[str | int | Block]) -> Block:
    """Return the closure of a value with keys that are known only when it runs."""
    if not keys:
        return block

    def run_subscripts(run: Run) -> Json:
        value = block(run)
        for key in keys:
            found = key(run) if callable(key) else key
            check_name(found, 0)
            value = _inside(value, found, ())
        return value

    return run_subscripts


def _inside(value: Json, key: Json, before: tuple[str | int, ...]) -> Json:
    """Look a key up in plain data; inside None there is None."""
    if value is None:
        return None
    if isinstance(value, SecretLookup):
        return value[str(key)]
    where = str(Reference(before, 0)) if before else "the value"
    try:
        if isinstance(value, Mapping):
            return value[key]
        if isinstance(value, (list, tuple)) and isinstance(key, int):
            return value[key]
    except (KeyError, IndexError, TypeError):
        known = list(value) if isinstance(value, Mapping) else range(len(value))
        raise UnknownName(f"{where} has no {key!r}", key, known) from None
    raise UnknownName(f"{where} has no {key!r}", key, why="it is neither a mapping nor a list")


def loop(name: str, items: Block, test: Block | None, body: Block, otherwise: Block) -> Block:
    """Return the closure of a loop over a list."""

    def run_loop(run: Run) -> str:
        found = items(run)
        if found is None:
            found = []
        if not isinstance(found, (list, tuple)):
            raise TemplateError("A loop needs a list", f"it was given {named(found)}")
        run.spend(len(found) + 1)
        outer = run.scope
        rounds = [{**outer, name: item} for item in found]
        if test is not None:
            rounds = [scope for scope in rounds if _within(run, scope, test)]
        texts = []
        for index, scope in enumerate(rounds):
            scope["loop"] = _position(index, len(rounds))
            texts.append(_within(run, scope, body))
        return "".join(texts) if texts else text_of(otherwise(run))

    return run_loop


def _within(run: Run, scope: Mapping[str, Any], block: Block) -> Json:
    outer, run.scope = run.scope, scope
    try:
        return block(run)
    finally:
        run.scope = outer


def _position(index: int, count: int) -> dict[str, Json]:
    return {
        "index": index + 1,
        "index0": index,
        "first": index == 0,
        "last": index == count - 1,
        "length": count,
    }


def check_name(key: Json, line: int) -> None:
    """Refuse names with a leading underscore; raises TemplateError."""
    if isinstance(key, str) and key.startswith("_"):
        where = f" (line {line})" if line else ""
        raise TemplateError(f"{key!r} cannot be named{where}", "names with a leading _ are closed")


def names(known: Iterable[object]) -> str:
    """List names for a message."""
    shown = sorted(map(str, known))
    return ", ".join(shown[:30]) + (" ..." if len(shown) > 30 else "") if shown else "none"


def lenient(block: Block) -> Block:
    """Give None where a name does not exist."""

    def run_lenient(run: Run) -> Json:
        try:
            return block(run)
        except UnknownName:
            return None

    return run_lenient


COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "lteq": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gteq": lambda a, b: a >= b,
    "in": lambda a, b: a in b,
    "notin": lambda a, b: a not in b,
}


def compared(run: Run, compare: Callable[[Any, Any], bool], left: Json, right: Json) -> bool:
    """Compare two values; raises TemplateError where they differ in kind, or are too long by now."""
    run.read(left, right)
    try:
        return bool(compare(left, right))
    except TypeError:
        raise TemplateError(
            f"{named(left)} and {named(right)} cannot be compared",
            "they differ in kind",
        ) from None


def add(run: Run, left: Json, right: Json) -> Json:
    """Join two texts, or return the sum of two numbers."""
    if isinstance(left, str) and isinstance(right, str):
        return run.write(left + right)
    return exact(left) + exact(right)


def divide(_run: Run, left: Json, right: Json) -> Json:
    """Return a quotient; of whole numbers that divide, a whole one."""
    result = Decimal(exact(left)) / Decimal(exact(right))
    whole = is_number(left) and isinstance(left, int) and isinstance(right, int)
    return int(result) if whole and result == int(result) else result


def subtract(_run: Run, left: Json, right: Json) -> Json:
    """Return the difference of two numbers."""
    return exact(left) - exact(right)


def multiply(_run: Run, left: Json, right: Json) -> Json:
    """Return the product of two numbers."""
    return exact(left) * exact(right)


def divide_whole(_run: Run, left: Json, right: Json) -> Json:
    """Return the whole part of a quotient."""
    return exact(left) // exact(right)


def remainder(_run: Run, left: Json, right: Json) -> Json:
    """Return what a division leaves."""
    return exact(left) % exact(right)


def binary(operate: Callable[[Run, Json, Json], Json], left: Block, right: Block) -> Block:
    """Return the closure of an operation; no result is an error."""

    def run_binary(run: Run) -> Json:
        try:
            result = operate(run, left(run), right(run))
        except (ArithmeticError, ValueError):
            raise TemplateError("The calculation has no result", "a division by zero?") from None
        return result if isinstance(result, str) else exact(result)

    return run_binary
