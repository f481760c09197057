"""JSON Schema (draft 2020-12) for the values of `json` fields: the parts that documents use.

By hand because the bot must not hang: patterns run in linear time, references stay inside the
schema, and recursion and work are bounded. `format` is an annotation, as the draft has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from engine.catalog.suggest import did_you_mean
from engine.regexps import compile_pattern

Schema = Any
Path = tuple[str | int, ...]

DEEPEST: Final = 64
"""Schemas within schemas, references included."""
MOST_CHECKS: Final = 100_000
"""Sub-schemas looked at for one value."""

_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and value == int(value),
    "number": lambda value: _is_number(value),  # noqa: PLW0108  (defined below)
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_ONE: Final = frozenset(
    ["items", "contains", "not", "if", "then", "else", "additionalProperties", "propertyNames"]
)
_LIST: Final = frozenset(["allOf", "anyOf", "oneOf", "prefixItems"])
_MAP: Final = frozenset(
    ["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"]
)
_COUNTS: Final = frozenset(
    [
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "minContains",
        "maxContains",
    ]
)
_NUMBERS: Final = frozenset(
    ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]
)
_WORDS: Final = frozenset(
    [
        "$schema",
        "$id",
        "$comment",
        "title",
        "description",
        "format",
        "contentEncoding",
        "contentMediaType",
    ]
)
_FREE: Final = frozenset(["const", "default", "examples", "deprecated", "readOnly", "writeOnly"])
_OTHER: Final = frozenset(
    ["$ref", "type", "enum", "required", "pattern", "uniqueItems", "dependentRequired"]
)
KEYWORDS: Final = _ONE | _LIST | _MAP | _COUNTS | _NUMBERS | _WORDS | _FREE | _OTHER


def schema_problems(
    schema: Schema, path: Path = (), root: Schema = None
) -> Iterator[tuple[Path, str]]:
    """Yield what is wrong with a schema itself, each with its place."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield path, "a schema is a mapping, true or false"
        return
    for keyword, argument in schema.items():
        here = (*path, keyword)
        if keyword not in KEYWORDS:
            yield here, f"unknown keyword {keyword!r}.{did_you_mean(keyword, KEYWORDS)}"
        elif keyword in _ONE:
            yield from schema_problems(argument, here, root)
        elif keyword in _LIST or keyword in _MAP:
            yield from _nested_problems(keyword, argument, here, root)
        elif complaint := _argument_problem(keyword, argument, root):
            yield here, complaint


def value_problem(schema: Schema, value: Any) -> str | None:
    """Return what is wrong with a value, its place included; None when it meets the schema."""
    found = _Check(schema).problem(schema, value, (), 0)
    if found is None:
        return None
    path, message = found
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
    return f"{where}: {message}" if where else message


def _nested_problems(
    keyword: str, argument: Any, path: Path, root: Schema
) -> Iterator[tuple[Path, str]]:
    if keyword in _LIST:
        if not isinstance(argument, list) or not argument:
            yield path, f"{keyword} is a list of schemas"
            return
        for index, part in enumerate(argument):
            yield from schema_problems(part, (*path, index), root)
        return
    if not isinstance(argument, dict):
        yield path, f"{keyword} is a mapping of schemas"
        return
    for key, part in argument.items():
        if keyword == "patternProperties" and (complaint := _pattern_problem(key)):
            yield (*path, key), complaint
        yield from schema_problems(part, (*path, key), root)


def _argument_problem(keyword: str, argument: Any, root: Schema) -> str | None:
    """Return what is wrong with a keyword's argument that holds no schema."""
    if keyword in _COUNTS:
        good = isinstance(argument, int) and not isinstance(argument, bool) and argument >= 0
        return None if good else f"{keyword} is a whole number from 0"
    if keyword in _NUMBERS:
        good = _is_number(argument) and (keyword != "multipleOf" or argument > 0)
        return None if good else f"{keyword} is a number" + (" above 0" * (keyword == "multipleOf"))
    if keyword in _WORDS:
        return None if isinstance(argument, str) else f"{keyword} is a text"
    return _OTHER_PROBLEMS[keyword](argument, root) if keyword in _OTHER else None


def _pattern_problem(pattern: Any, _root: Schema = None) -> str | None:
    if not isinstance(pattern, str):
        return "a pattern is a text"
    try:
        compile_pattern(pattern)
    except ValueError as error:
        return f"the pattern {pattern!r} cannot be used: {error}"
    return None


def _type_problem(argument: Any, _root: Schema) -> str | None:
    names = argument if isinstance(argument, list) else [argument]
    wrong = [name for name in names if not isinstance(name, str) or name not in _TYPES]
    if not wrong and names:
        return None
    return f"type is one of {', '.join(_TYPES)}.{did_you_mean(wrong[0] if wrong else '', _TYPES)}"


def _reference_problem(argument: Any, root: Schema) -> str | None:
    if not isinstance(argument, str) or not argument.startswith("#"):
        return "$ref points into this schema: #/$defs/NAME"
    try:
        _resolve(root, argument)
    except LookupError:
        return f"$ref {argument!r} points to nothing"
    return None


def _names_problem(argument: Any, _root: Schema) -> str | None:
    good = isinstance(argument, list) and all(isinstance(name, str) for name in argument)
    return None if good else "required is a list of names"


_OTHER_PROBLEMS: Final[Mapping[str, Callable[[Any, Schema], str | None]]] = {
    "$ref": _reference_problem,
    "type": _type_problem,
    "pattern": _pattern_problem,
    "required": _names_problem,
    "enum": lambda a, _: None if isinstance(a, list) and a else "enum is a list of values",
    "uniqueItems": lambda a, _: None if isinstance(a, bool) else "uniqueItems is true or false",
    "dependentRequired": lambda a, _: (
        None
        if isinstance(a, dict) and not any(_names_problem(names, None) for names in a.values())
        else "dependentRequired maps a name to a list of names"
    ),
}

Found = tuple[Path, str] | None


class _Check:
    """One value's check against one schema; counts the work."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = MOST_CHECKS

    def problem(self, schema: Schema, value: Any, path: Path, depth: int) -> Found:
        """Return the first problem with its place."""
        self._left -= 1
        if depth > DEEPEST or self._left < 0:
            return path, "the schema is too involved to check this value"
        if schema is True:
            return None
        if schema is False:
            return path, "no value is allowed here"
        if "$ref" in schema:
            target = _resolve(self._root, schema["$ref"])
            if found := self.problem(target, value, path, depth + 1):
                return found
        return (
            _plain_problem(schema, value, path)
            or self._combined(schema, value, path, depth + 1)
            or self._inside(schema, value, path, depth + 1)
        )

    def _combined(self, schema: Schema, value: Any, path: Path, depth: int) -> Found:
        for part in schema.get("allOf", ()):
            if found := self.problem(part, value, path, depth):
                return found
        if "anyOf" in schema and not self._fitting(schema["anyOf"], value, path, depth):
            return path, "none of the allowed forms fits"
        if "oneOf" in schema:
            fitting = self._fitting(schema["oneOf"], value, path, depth)
            if fitting != 1:
                return path, f"exactly one of the allowed forms must fit, {fitting} do"
        if "not" in schema and self.problem(schema["not"], value, path, depth) is None:
            return path, "this form is not allowed"
        if "if" in schema:
            branch = "else" if self.problem(schema["if"], value, path, depth) else "then"
            return self.problem(schema.get(branch, True), value, path, depth)
        return None

    def _fitting(self, schemas: list[Schema], value: Any, path: Path, depth: int) -> int:
        return sum(self.problem(part, value, path, depth) is None for part in schemas)

    def _inside(self, schema: Schema, value: Any, path: Path, depth: int) -> Found:
        if isinstance(value, list):
            parts: Iterator[tuple[Schema, Any, str | int | None]] = self._of_list(schema, value)
        elif isinstance(value, dict):
            parts = self._of_mapping(schema, value)
        else:
            return None
        for part, inner, key in parts:
            if found := self.problem(part, inner, path if key is None else (*path, key), depth):
                return found
        if "contains" in schema and isinstance(value, list):
            count = sum(
                self.problem(schema["contains"], item, path, depth) is None for item in value
            )
            low, high = schema.get("minContains", 1), schema.get("maxContains", count)
            if not low <= count <= high:
                return path, f"{count} entries have the wanted form, {low} or more are needed"
        return None

    def _of_list(
        self, schema: Schema, value: list[Any]
    ) -> Iterator[tuple[Schema, Any, str | int | None]]:
        first = schema.get("prefixItems", [])
        for index, item in enumerate(value):
            part = first[index] if index < len(first) else schema.get("items", True)
            yield part, item, index

    def _of_mapping(
        self, schema: Schema, value: dict[str, Any]
    ) -> Iterator[tuple[Schema, Any, str | int | None]]:
        own, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        rest = schema.get("additionalProperties", True)
        for key, inner in value.items():
            fitting = [part for p, part in patterns.items() if compile_pattern(p).found_in(key)]
            if key in own:
                fitting.append(own[key])
            if rest is False and not fitting:
                yield False, inner, key
            for part in fitting or [rest]:
                yield part, inner, key
            if "propertyNames" in schema:
                yield schema["propertyNames"], key, key
        for key, part in schema.get("dependentSchemas", {}).items():
            if key in value:
                yield part, value, None


def _plain_problem(schema: Mapping[str, Any], value: Any, path: Path) -> Found:
    """Check the keywords that hold no schema."""
    names = schema.get("type")
    if names is not None:
        names = names if isinstance(names, list) else [names]
        if not any(_TYPES[name](value) for name in names):
            return path, f"this must be of type {' or '.join(names)}"
    if "enum" in schema and not any(_alike(value, choice) for choice in schema["enum"]):
        return path, "allowed are " + ", ".join(str(choice) for choice in schema["enum"])
    if "const" in schema and not _alike(value, schema["const"]):
        return path, f"this must be {schema['const']}"
    for keyword, judge in _PLAIN.items():
        if keyword in schema and (message := judge(schema[keyword], value)):
            return path, message
    return None


def _sized(
    kind: type[str | list[Any] | dict[str, Any]], size: str, sign: int
) -> Callable[[Any, Any], str | None]:
    bound = "at least" if sign > 0 else "at most"

    def judge(limit: int, value: Any) -> str | None:
        if not isinstance(value, kind) or (len(value) - limit) * sign >= 0:
            return None
        return (
            f"{bound} {limit} {size} are needed"
            if sign > 0
            else f"{bound} {limit} {size} are allowed"
        )

    return judge


def _bounded(words: str, good: Callable[[Any, Any], bool]) -> Callable[[Any, Any], str | None]:
    return lambda limit, value: (
        f"this must be {words} {limit}" if _is_number(value) and not good(value, limit) else None
    )


def _required(names: list[str], value: Any) -> str | None:
    missing = [name for name in names if name not in value] if isinstance(value, dict) else []
    return f"this lacks {', '.join(missing)}" if missing else None


def _dependent(needs: dict[str, list[str]], value: Any) -> str | None:
    wanted = [
        n for key, names in needs.items() if isinstance(value, dict) and key in value for n in names
    ]
    return _required(wanted, value)


def _unique(wanted: bool, value: Any) -> str | None:
    if not wanted or not isinstance(value, list):
        return None
    twice = len({_key(item) for item in value}) < len(value)
    return "entries must differ from each other" if twice else None


def _matches(pattern: str, value: Any) -> str | None:
    if not isinstance(value, str) or compile_pattern(pattern).found_in(value):
        return None
    return f"this must match {pattern}"


_PLAIN: Final[Mapping[str, Callable[[Any, Any], str | None]]] = {
    "minLength": _sized(str, "characters", 1),
    "maxLength": _sized(str, "characters", -1),
    "minItems": _sized(list, "entries", 1),
    "maxItems": _sized(list, "entries", -1),
    "minProperties": _sized(dict, "keys", 1),
    "maxProperties": _sized(dict, "keys", -1),
    "minimum": _bounded("at least", lambda value, limit: value >= limit),
    "maximum": _bounded("at most", lambda value, limit: value <= limit),
    "exclusiveMinimum": _bounded("above", lambda value, limit: value > limit),
    "exclusiveMaximum": _bounded("below", lambda value, limit: value < limit),
    "multipleOf": _bounded(
        "a multiple of", lambda value, limit: (Fraction(value) / Fraction(limit)).denominator == 1
    ),
    "required": _required,
    "dependentRequired": _dependent,
    "uniqueItems": _unique,
    "pattern": _matches,
}


def _alike(one: Any, other: Any) -> bool:
    return bool(_key(one) == _key(other))


def _key(value: Any) -> Any:
    """Return a hashable stand-in: equal for equal JSON values, 1 and 1.0 alike, 1 and true not."""
    if isinstance(value, dict):
        return "{", frozenset((key, _key(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return "[", tuple(map(_key, value))
    return isinstance(value, bool), value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _resolve(root: Schema, reference: str) -> Schema:
    """Follow a JSON Pointer; raises LookupError when it points to nothing."""
    found = root
    for part in reference.lstrip("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and key.isdigit():
            found = found[int(key)]
        elif isinstance(found, dict):
            found = found[key]
        else:
            raise LookupError(reference)
    if not isinstance(found, (dict, bool)):
        raise LookupError(reference)  # noqa: TRY004
    return found
