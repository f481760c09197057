"""Parts that documents name and plug-ins add to: step types, verifications, ticket systems.

The built-in ones stand in a table that names modules, so that asking for names imports neither an
HTTP library nor a step type. Other packages add theirs by entry points: the entry point's name is
the word that documents use, and it names a class that is built with `StepServices`. One that
cannot be loaded or built is reported and does not stop the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Any, Generic, TypeVar

import structlog

from engine.errors import NotFound
from engine.steps.services import StepServices

log = structlog.get_logger(__name__)

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Registry(Generic[Part]):
    """The parts of one kind in a process. `broken`: plug-ins that cannot be used, with the reason."""

    noun: str
    parts: Mapping[str, Part]
    broken: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> Part:
        """Return the part; NotFound says which there are, or why a plug-in is not."""
        if name not in self.parts:
            raise _unknown(self.noun, name, self.broken.get(name), self.names)
        return self.parts[name]

    @property
    def names(self) -> frozenset[str]:
        """The names of all usable parts."""
        return frozenset(self.parts)


@dataclass(frozen=True, slots=True)
class Kind(Generic[Part]):
    """One kind of part: `built_in` maps names to `module:Class`, `group` is the entry points'."""

    noun: str
    group: str
    built_in: Mapping[str, str]

    def names(self) -> frozenset[str]:
        """Return the names of all parts, without importing any."""
        return frozenset(self.built_in) | {entry.name for entry in self._entries()}

    def part_class(self, name: str) -> Any:
        """Return the class of a part; NotFound as `Registry.get`."""
        found, why = self._class(name)
        if found is None:
            raise _unknown(self.noun, name, why, self.names())
        return found

    def build(self, services: StepServices) -> Registry[Part]:
        """Build every part. What is wrong with a plug-in stands in `broken` and in the log."""
        parts: dict[str, Part] = {
            name: resolve_name(where)(services) for name, where in self.built_in.items()
        }
        broken: dict[str, str] = {}
        for entry in self._entries():
            if entry.name in parts:
                broken[entry.name] = f"{_package(entry)}: the name is taken"
                continue
            part, why = _loaded(entry, services)
            if part is None:
                broken[entry.name] = why
            else:
                parts[entry.name] = part
        for name, why in broken.items():
            log.error("plugin_broken", kind=self.noun, name=name, reason=why)
        return Registry(self.noun, parts, broken)

    def _class(self, name: str) -> tuple[Any, str | None]:
        if name in self.built_in:
            return resolve_name(self.built_in[name]), None
        for entry in self._entries():
            if entry.name == name:
                return _loaded(entry, None)
        return None, None

    def _entries(self) -> list[EntryPoint]:
        return sorted(entry_points(group=self.group), key=lambda entry: (entry.name, entry.value))


def _loaded(entry: EntryPoint, services: StepServices | None) -> tuple[Any, str]:
    """Return a plug-in's class, or its part when services are given; (None, reason) if it fails."""
    try:
        part_class = entry.load()
        return (part_class if services is None else part_class(services)), ""
    except Exception as error:  # noqa: BLE001 - a foreign module or class may raise anything
        return None, f"{_package(entry)}: {type(error).__name__}: {error}"


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value


def _unknown(noun: str, name: str, why: str | None, names: frozenset[str]) -> NotFound:
    return NotFound(
        f"There is no {noun} {name!r}",
        why or f"there are {', '.join(sorted(names))}",
        code=f"unknown_{noun.replace(' ', '_')}",
    )
