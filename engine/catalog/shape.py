"""From plain data to a document model, and every breach of its shape to a finding.

The models say what a document looks like; pydantic finds what does not fit, all at once. Where
something does not fit, a second reading goes on with the broken parts replaced, so that the checks
of everything else still run: one fault hides no other. What was replaced is in `Shape.broken`, and
nothing is said about it twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine.catalog.findings import Finding, Path, path_text
from engine.catalog.repair import copied, repair_all
from engine.catalog.scalars import describe
from engine.catalog.source import Source
from engine.catalog.suggest import closest

M = TypeVar("M", bound=BaseModel)

MOST_ROUNDS: Final = 20
"""How often broken parts are replaced before the document is given up."""


@dataclass(frozen=True, slots=True)
class Shape(Generic[M]):
    """A document as far as it could be read; None when nothing of it makes sense."""

    document: M | None
    findings: tuple[Finding, ...] = ()
    broken: frozenset[Path] = frozenset()

    def is_broken(self, path: Path) -> bool:
        """Whether a place stands in a part that was replaced."""
        return bool(self.broken) and any(path[: len(part)] == part for part in self.broken)

    def is_touched(self, path: Path) -> bool:
        """Whether a place, or anything inside it, was replaced."""
        return any(part[: len(path)] == path or path[: len(part)] == part for part in self.broken)


def read_shape(source: Source, data: Mapping[str, Any], model: type[M]) -> Shape[M]:
    """Read `data` (the source's, own types expanded) as a model, with findings for what is wrong."""
    try:
        return Shape(model.model_validate(data))
    except ValidationError as error:
        problems = _problems(error, data, model)
    findings = tuple(
        _finding(source, problem)
        for problem in problems
        if path_text(problem.path) not in source.complaints
    )
    repaired = copied(data)
    broken: set[Path] = set()
    for _ in range(MOST_ROUNDS):
        broken |= repair_all(repaired, [problem.path for problem in problems])
        try:
            return Shape(model.model_validate(repaired), findings, frozenset(broken))
        except ValidationError as error:
            problems = _problems(error, repaired, model)
    return Shape(None, findings)


@dataclass(frozen=True, slots=True)
class _Problem:
    """One breach: what kind it is, where it stands, and the sentence about it."""

    code: str
    path: Path
    message: str
    allowed: str = ""
    suggestion: str | None = None
    at_key: bool = False
    is_type: bool = False


def _finding(source: Source, problem: _Problem) -> Finding:
    return source.find(
        problem.code,
        problem.path,
        problem.message,
        allowed=problem.allowed,
        suggestion=problem.suggestion,
        at_key=problem.at_key,
    )


def _problems(error: ValidationError, data: Any, model: type[BaseModel]) -> list[_Problem]:
    """Return the breaches, alternatives of a union merged into one."""
    details = error.errors(include_url=False)
    found = [_problem(detail, data, model) for detail in details]
    found += [problem for detail in details for problem in _nameless(detail, data)]
    deeper = {problem.path[:n] for problem in found for n in range(len(problem.path))}
    merged: dict[Path, _Problem] = {}
    for problem in found:
        if (problem.is_type or problem.code == "too-short") and problem.path in deeper:
            continue  # what is wrong inside says it better
        earlier = merged.get(problem.path)
        if earlier is None:
            merged[problem.path] = problem
        elif earlier.is_type and problem.is_type and problem.allowed not in earlier.allowed:
            merged[problem.path] = _either(earlier, problem)
        elif earlier.is_type and not problem.is_type:
            merged[problem.path] = problem
    return _without_misspelt(list(merged.values()))


def _nameless(detail: ErrorDetails, data: Any) -> Iterator[_Problem]:
    """Find what pydantic does not say of a part whose type it cannot tell: that it has no name."""
    value, path = detail["input"], _real_path(detail["loc"], data, missing=False)
    is_unknown = detail["type"] in ("union_tag_invalid", "union_tag_not_found")
    is_named = len(path) > 1 and path[-2] in ("fields", "bundle_fields", "steps")
    if is_unknown and is_named and isinstance(value, dict) and "name" not in value:
        yield _Problem("missing-key", (*path, "name"), "'name' is missing")


def _without_misspelt(problems: list[_Problem]) -> list[_Problem]:
    """Leave out that a key is missing where it stands there misspelt: that is one fault."""
    meant = {
        (*problem.path[:-1], problem.suggestion)
        for problem in problems
        if problem.code == "unknown-key" and problem.suggestion
    }
    return [p for p in problems if p.code != "missing-key" or p.path not in meant]


def _either(one: _Problem, other: _Problem) -> _Problem:
    allowed = f"{one.allowed} or {other.allowed}"
    message = one.message.replace(one.allowed, allowed, 1)
    return _Problem(one.code, one.path, message, allowed, is_type=True)


def _problem(detail: ErrorDetails, data: Any, model: type[BaseModel]) -> _Problem:
    kind, context = detail["type"], detail.get("ctx", {})
    path = _real_path(detail["loc"], data, missing=kind == "missing")
    if "message" in context and "at" in context:
        at = (*path, context["at"]) if context["at"] else path
        is_type = kind == "wrong-type"
        allowed = context["allowed"] or ("a number" if is_type else "")
        return _Problem(kind, at, context["message"], allowed, is_type=is_type)
    if kind == "missing":
        return _Problem("missing-key", path, f"{path[-1]!r} is missing")
    if kind == "extra_forbidden":
        return _unknown_key(path, detail["loc"], model)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_tag(path, detail, context)
    if kind == "literal_error":
        return _wrong_word(path, detail["input"], context)
    if kind in _TYPE_WORDS:
        needed = _TYPE_WORDS[kind]
        message = f"{needed} is needed, found {describe(detail['input'])}"
        return _Problem("wrong-type", path, message, needed, is_type=True)
    code, words = _BOUNDS.get(kind, ("wrong-value", "{}"))
    bound = next((v for v in context.values() if isinstance(v, (int, float))), "")
    message = words.format(bound) if kind in _BOUNDS else detail["msg"]
    return _Problem(code, path, message, message)


def _unknown_key(path: Path, loc: tuple[int | str, ...], model: type[BaseModel]) -> _Problem:
    known = sorted(_keys_at(loc[:-1], model))
    name = str(path[-1]) if path else ""
    if name == "fields" and "bundle_fields" in known:
        message = "a bundle's fields stand under bundle_fields (or in groups), not under fields"
        return _Problem("unknown-key", path, message, "bundle_fields", "bundle_fields", at_key=True)
    message = f"unknown key {name!r}"
    return _Problem(
        "unknown-key", path, message, ", ".join(known), closest(name, known), at_key=True
    )


def _wrong_tag(path: Path, detail: ErrorDetails, context: Mapping[str, Any]) -> _Problem:
    value = detail["input"]
    named = str(context.get("discriminator", "")).strip("'")
    key = named if named in ("type", "system") else _tag_key(path)
    place = (*path, key)
    if not isinstance(value, dict):
        message = f"a mapping is needed, found {describe(value)}"
        return _Problem("wrong-type", path, message, "a mapping", is_type=True)
    if key not in value:
        misspelt = next((name for name in value if closest(name, [key])), None)
        if misspelt is not None:
            message = f"unknown key {misspelt!r}"
            return _Problem("unknown-key", (*path, misspelt), message, key, key, at_key=True)
        return _Problem("missing-key", place, f"{key!r} is missing")
    if not isinstance(value[key], str):
        message = f"a text is needed, found {describe(value[key])}"
        return _Problem("wrong-type", place, message, "a text")
    allowed = [tag.strip("'") for tag in str(context.get("expected_tags", "")).split(", ")]
    message = f"there is no {key} {value[key]!r}"
    return _Problem(
        "unknown-type", place, message, ", ".join(allowed), closest(value[key], allowed)
    )


def _tag_key(path: Path) -> str:
    return "system" if path and path[-1] == "manual" else "type"


def _wrong_word(path: Path, value: Any, context: Mapping[str, Any]) -> _Problem:
    allowed = re.findall(r"'([^']*)'", str(context.get("expected", "")))
    message = f"{describe(value)} is not allowed here".removeprefix("the text ")
    return _Problem("unknown-value", path, message, ", ".join(allowed), closest(value, allowed))


_TYPE_WORDS: Final[Mapping[str, str]] = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "none_required": "nothing",
    "decimal_type": "a number",
    "is_instance_of": "another kind of value",
}
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "too_short": ("too-short", "at least {} is needed here"),
    "too_long": ("too-long", "at most {} characters are allowed"),
    "string_too_short": ("too-short", "at least {} character is needed here"),
    "string_too_long": ("too-long", "at most {} characters are allowed"),
    "greater_than": ("out-of-range", "this must be above {}"),
    "greater_than_equal": ("out-of-range", "this must be at least {}"),
    "less_than": ("out-of-range", "this must be below {}"),
    "less_than_equal": ("out-of-range", "this must be at most {}"),
}


def _real_path(loc: tuple[int | str, ...], data: Any, *, missing: bool) -> Path:
    """Return where a location leads in the document: without the union tags that pydantic adds."""
    path: list[str | int] = []
    for index, part in enumerate(loc):
        if _holds(data, part):
            path.append(part)
            data = data[part]
        elif missing and index == len(loc) - 1:
            path.append(part)
    return tuple(path)


def _holds(data: Any, part: int | str) -> bool:
    if isinstance(data, dict):
        return part in data
    return isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data)


# Which keys a place knows: a walk over the models' annotations, only after an error.


def _keys_at(loc: Iterable[int | str], model: type[BaseModel]) -> set[str]:
    models = [model]
    for part in loc:
        if isinstance(part, int):
            continue
        inner = [
            other
            for candidate in models
            for name, info in candidate.model_fields.items()
            if part in (name, info.alias)
            for other in _models_in(info.annotation)
        ]
        models = inner or [m for m in models if part in _tags(m)] or models
    return {info.alias or name for m in models for name, info in m.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is Annotated:
        yield from _models_in(get_args(annotation)[0])
    elif get_origin(annotation) is not Literal:
        for part in get_args(annotation):
            yield from _models_in(part)


def _tags(model: type[BaseModel]) -> set[str]:
    """Return the names that pydantic may give a union's member in a location."""
    tags = {model.__name__}
    for key in ("type", "system"):
        if key in model.model_fields:
            tags.update(map(str, get_args(model.model_fields[key].annotation)))
    if {"HttpPost", "HttpGet"} <= tags:
        tags.add("http")
    return tags
