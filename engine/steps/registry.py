"""Which step types there are: the built-in ones and those of plug-ins.

The tables name modules, so that asking for names imports neither an HTTP library nor a step type.
A new built-in type is one file and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from pydantic import BaseModel

from engine.errors import NotFound
from engine.steps.base import StepType
from engine.steps.plugins import load_plugins, plugin_names
from engine.steps.services import ExportModule, StepServices, TerraformDsn

__all__ = [
    "BUILT_IN",
    "GROUP",
    "ExportModule",
    "StepRegistry",
    "StepServices",
    "TerraformDsn",
    "build_registry",
    "step_type_names",
    "template_model",
    "verifications_of",
]

GROUP: Final = "pao.step_types"

BUILT_IN: Final[Mapping[str, str]] = {
    "HttpGet": "engine.steps.http",
    "HttpPost": "engine.steps.http",
    "HttpPut": "engine.steps.http",
    "HttpPatch": "engine.steps.http",
    "HttpDelete": "engine.steps.http",
    "TerraformFile": "engine.steps.terraform",
}
"""Name of a step type, which is the name of its class, to the module that has it."""


class StepRegistry:
    """The step types of a process, built once with what they need."""

    def __init__(self, types: Mapping[str, StepType], broken: Mapping[str, str]) -> None:
        self._types = types
        self.broken = broken
        """Plug-ins that cannot be used, by name, with the reason."""

    def get(self, name: str) -> StepType:
        """Return the step type; NotFound says what is there, or why a plug-in is not."""
        found = self._types.get(name)
        if found is None:
            why = self.broken.get(name, f"there are {', '.join(sorted(self._types))}")
            raise NotFound(f"There is no step type {name!r}", why, code="unknown_step_type")
        return found

    def __getitem__(self, name: str) -> StepType:
        """Return the step type as `get` does."""
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self._types

    @property
    def names(self) -> frozenset[str]:
        """The names of all usable step types."""
        return frozenset(self._types)


def build_registry(services: StepServices) -> StepRegistry:
    """Build every step type. A plug-in that fails is left out and reported in `broken`."""
    types: dict[str, StepType] = {name: _built_in(name)(services) for name in BUILT_IN}
    broken: dict[str, str] = {}
    for name, plugin in load_plugins(GROUP, BUILT_IN).items():
        if plugin.trouble:
            broken[name] = plugin.trouble
            continue
        try:
            types[name] = plugin.part(services)
        except Exception as error:  # noqa: BLE001 - a foreign class may raise anything
            broken[name] = f"{type(error).__name__}: {error}"
    return StepRegistry(types, broken)


def step_type_names() -> frozenset[str]:
    """Return the names of all step types, without importing any."""
    return frozenset(BUILT_IN) | plugin_names(GROUP, BUILT_IN)


def template_model(name: str) -> type[BaseModel]:
    """Return the shape of a step type's template; NotFound as `StepRegistry.get`."""
    model: type[BaseModel] = _class(name).template_model
    return model


def verifications_of(name: str) -> frozenset[str]:
    """Return which verifications a step type can answer; NotFound as `StepRegistry.get`."""
    return frozenset(_class(name).verifications)


def _class(name: str) -> Any:
    if name in BUILT_IN:
        return _built_in(name)
    plugin = load_plugins(GROUP, BUILT_IN).get(name)
    if plugin is None or plugin.trouble:
        why = plugin.trouble if plugin else None
        raise NotFound(f"There is no step type {name!r}", why or "", code="unknown_step_type")
    return plugin.part


def _built_in(name: str) -> Any:
    return getattr(import_module(BUILT_IN[name]), name)
