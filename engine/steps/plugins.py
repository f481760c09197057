"""Parts that other packages add by entry points (`pao.step_types` and its like).

An entry point's name is the word that documents use; it names a class that is built with
`StepServices`. One that cannot be loaded is reported and does not stop the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import structlog

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point that was found: its `part` (a class), or why there is none."""

    name: str
    package: str
    part: Any = None
    trouble: str | None = None


def plugin_names(group: str, built_in: Collection[str]) -> frozenset[str]:
    """Return the names that other packages add to a group, without loading anything of theirs."""
    return frozenset(entry.name for entry in entry_points(group=group)) - frozenset(built_in)


def load_plugins(group: str, built_in: Collection[str]) -> Mapping[str, Plugin]:
    """Load a group's entry points, by name; what is wrong with one stands in it and in the log."""
    plugins = {plugin.name: plugin for plugin in _load(group, built_in)}
    for plugin in plugins.values():
        if plugin.trouble:
            log.error(
                "plugin_broken",
                group=group,
                name=plugin.name,
                package=plugin.package,
                reason=plugin.trouble,
            )
    return plugins


def _load(group: str, built_in: Collection[str]) -> Iterator[Plugin]:
    seen: dict[str, str] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)):
        package = entry.dist.name if entry.dist else "?"
        if entry.name in built_in:
            yield Plugin(entry.name, package, trouble="its name is that of a built-in one")
        elif entry.name in seen:
            yield Plugin(entry.name, package, trouble=f"{seen[entry.name]} has the same name")
        else:
            seen[entry.name] = package
            yield _one(entry, package)


def _one(entry: EntryPoint, package: str) -> Plugin:
    try:
        return Plugin(entry.name, package, entry.load())
    except Exception as error:  # noqa: BLE001 - a foreign module may raise anything when imported
        return Plugin(entry.name, package, trouble=f"{type(error).__name__}: {error}")
