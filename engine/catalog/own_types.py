"""Field types of an organisation's own: `types.yaml`, a base type plus constraints.

A field of an own type is expanded into a field of the base before anything else is checked, so
that nobody behind the validator knows of own types. A document may set what the type leaves open
and narrow what it sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from engine.catalog.fields import ALIASES, FIELD_TYPES
from engine.catalog.findings import Finding, Path
from engine.catalog.reader import Reading
from engine.catalog.scalars import describe
from engine.catalog.shape import read_shape
from engine.catalog.source import Source
from engine.catalog.suggest import closest

BUILT_IN: Final = frozenset(FIELD_TYPES) | frozenset(ALIASES)
FILE_NAMES: Final = ("types.yaml", "types.yml")

_TEXTS: Final = frozenset({"label", "help_text", "placeholder", "default", "required"})
"""What a document may set whatever the type says; values are checked anyway."""
_LOWER: Final = frozenset({"min_value", "min_length", "min_selections"})
_UPPER: Final = frozenset({"max_value", "max_length", "max_selections", "precision"})
_LISTS: Final = frozenset({"oneof", "options"})


@dataclass(frozen=True, slots=True)
class OwnTypes:
    """The own types by name: each a base type and the properties that it sets."""

    by_name: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    """Names that are defined, but not well: fields of such a type are not judged."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a field's `type` may have beside the built-in ones."""
        return (*self.by_name, *self.broken)


def read_types(readings: Mapping[str, Reading]) -> tuple[OwnTypes, list[Finding]]:
    """Read the definitions of all files of own types."""
    findings: list[Finding] = []
    specs: dict[str, tuple[Source, dict[str, Any]]] = {}
    broken: set[str] = set()
    for reading in readings.values():
        findings += [f for f in reading.findings if f.code != "empty-file"]
        for source in reading.sources:
            for name, spec in source.data.items():
                problem = _definition_problem(source, name, spec, specs)
                if problem is None:
                    specs[name] = (source, spec)
                else:
                    findings.append(problem)
                    broken.add(name)
    known = {name: spec for name, (_, spec) in specs.items()}
    resolved: dict[str, Mapping[str, Any]] = {}
    for name, (source, spec) in specs.items():
        wrong = list(_resolve(source, name, spec, known=known, broken=broken, resolved=resolved))
        findings += wrong
        if wrong:
            broken.add(name)
            resolved.pop(name, None)
    return OwnTypes(resolved, frozenset(broken)), findings


def expand(
    source: Source, data: dict[str, Any], types: OwnTypes
) -> tuple[dict[str, Any], list[Finding]]:
    """Return the document with fields of own types as fields of their bases; a copy where changed."""
    if not types.by_name and not types.broken:
        return data, []
    findings: list[Finding] = []

    def expand_field(spec: Any, path: Path) -> Any:
        name = spec.get("type") if isinstance(spec, dict) else None
        if not isinstance(name, str):
            return spec
        if name in types.broken:
            return {"name": spec.get("name"), "type": "json"}
        own = types.by_name.get(name)
        if own is None:
            return spec
        findings.extend(_widened(source, path, name, own, spec))
        return {**own, **spec, "type": own["type"]}

    return _mapped(data, (), expand_field), findings


_FIELD_LISTS: Final = frozenset({"fields", "bundle_fields"})
_WAYS: Final = frozenset(
    [
        "presentation",
        "groups",
        "fulfillment",
        "automation",
        "rollback",
        "decommission",
        "steps",
        "template",
    ]
)


def _mapped(value: Any, path: Path, change: Callable[[Any, Path], Any]) -> Any:
    """Rebuild the ways that lead to fields, and share everything else."""
    if isinstance(value, list):
        return [_mapped(part, (*path, index), change) for index, part in enumerate(value)]
    if not isinstance(value, dict):
        return value
    result = dict(value)
    for key, inner in value.items():
        here = (*path, key)
        if key in _FIELD_LISTS and isinstance(inner, list):
            result[key] = [change(spec, (*here, index)) for index, spec in enumerate(inner)]
        elif key in _WAYS:
            result[key] = _mapped(inner, here, change)
    return result


def _definition_problem(
    source: Source, name: str, spec: Any, known: Mapping[str, tuple[Source, Any]]
) -> Finding | None:
    if name in BUILT_IN:
        message = f"{name!r} is a built-in type; give yours another name"
        return source.find("duplicate-name", (name,), message, at_key=True)
    if name in known:
        other = known[name][0]
        message = f"the type {name!r} is defined twice; first in {other.file}, line {other.place((name,))[0]}"
        return source.find("duplicate-name", (name,), message, at_key=True)
    if not name.replace("-", "_").isidentifier():
        message = f"{name!r} is not the name of a type"
        return source.find("invalid-name", (name,), message, at_key=True)
    if not isinstance(spec, dict):
        message = f"a type is a mapping with a base, found {describe(spec)}"
        return source.find("wrong-type", (name,), message, allowed="{base: string, ...}")
    base = spec.get("base")
    if not isinstance(base, str):
        code = "missing-key" if base is None else "wrong-type"
        message = (
            "'base' is missing" if base is None else f"a base is a name, found {describe(base)}"
        )
        return source.find(code, (name, "base"), message, allowed=", ".join(sorted(FIELD_TYPES)))
    return None


def _resolve(
    source: Source,
    name: str,
    spec: Mapping[str, Any],
    *,
    known: Mapping[str, Mapping[str, Any]],
    broken: set[str],
    resolved: dict[str, Mapping[str, Any]],
) -> Iterator[Finding]:
    """Follow the bases to a built-in type, and judge what the type sets as a field would be."""
    chain, merged, at = [name], dict(spec), spec
    while (base := at["base"]) not in BUILT_IN:
        if base in chain or base not in known:
            yield from _no_base(source, name, [*chain, base], known, broken)
            return
        chain.append(base)
        at = known[base]
        yield from _widened(source, (name,), base, at, merged)
        merged = {**at, **merged}
    del merged["base"]
    own = {key for key in ("name", "type", "conditional") if key in merged}
    for key in sorted(own):
        yield source.find("unknown-key", (name, key), f"a type has no {key!r}", at_key=True)
    if not own:
        resolved[name] = merged | {"type": ALIASES.get(base, base)}
        yield from _constraint_problems(source, name, resolved[name])


def _no_base(
    source: Source,
    name: str,
    chain: list[str],
    known: Mapping[str, Mapping[str, Any]],
    broken: set[str],
) -> Iterator[Finding]:
    """Say why a chain of bases leads to no built-in type; nothing where its end is broken anyway."""
    base = chain[-1]
    if base in broken:
        broken.add(name)
    elif base in known:
        message = f"the types {' -> '.join(chain)} are based on each other"
        yield source.find("cycle", (name, "base"), message)
    else:
        names = sorted({*FIELD_TYPES, *known})
        yield source.find(
            "unknown-type",
            (name, "base"),
            f"there is no type {base!r} to base this on",
            allowed=", ".join(names),
            suggestion=closest(base, names),
        )


def _constraint_problems(
    source: Source, name: str, properties: Mapping[str, Any]
) -> Iterator[Finding]:
    """Read a type's properties as those of a field."""
    node = source.root.children[name]
    inner = Source(source.file, source.data, node, node.line)
    model = FIELD_TYPES[properties["type"]]
    for finding in read_shape(inner, {"name": "x", **properties}, model).findings:
        yield replace(finding, path=f"{name}.{finding.path}")


def _widened(
    source: Source, path: Path, name: str, own: Mapping[str, Any], spec: Mapping[str, Any]
) -> Iterator[Finding]:
    """Find where a field allows more than its type."""
    for key, limit in own.items():
        value = spec.get(key)
        if key in _TEXTS or key in ("type", "base") or value is None or value == limit:
            continue
        if not _narrows(key, limit, value):
            message = f"the type {name} sets {key} to {limit}; a field may only narrow it"
            yield source.find("widened-type", (*path, key), message)


def _narrows(key: str, limit: Any, value: Any) -> bool:
    try:
        if key in _LOWER:
            return bool(value >= limit)
        if key in _UPPER:
            return bool(value <= limit)
    except TypeError:
        return True  # the wrong type is reported where the field is read
    if key in _LISTS and isinstance(value, list) and isinstance(limit, list):
        return all(_option_value(option) in map(_option_value, limit) for option in value)
    return False


def _option_value(option: Any) -> Any:
    return option.get("value") if isinstance(option, dict) else option
