"""What an apply left: outputs, and resources as address, type and id. Never attribute values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import StepFailed
from engine.foreign_json import Json, clean, size_of
from engine.steps.base import Resource
from engine.steps.outputs import take_outputs
from engine.steps.terraform.module import SOURCE_OUTPUT
from engine.steps.terraform.plan import short_address

LARGEST_OUTPUTS = 1 << 20
"""Bytes of all outputs together."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """A step's outputs, and the names of those that are secret."""

    values: Mapping[str, Json]
    sensitive: frozenset[str]


def read_outputs(document: Mapping[str, Any], config: Mapping[str, Json]) -> Outputs:
    """Read `terraform output -json`, and take what the step's `outputs` declare.

    An output is sensitive when the one that it is taken from is.
    """
    try:
        values = {
            str(name): clean(one.get("value"))
            for name, one in document.items()
            if name != SOURCE_OUTPUT
        }
    except ValueError as error:
        raise _unusable(f"The module's outputs are {error}") from error
    if size_of(values) > LARGEST_OUTPUTS:
        raise _unusable(f"The module's outputs are larger than {LARGEST_OUTPUTS} bytes")
    secret = {name for name, one in document.items() if one.get("sensitive")}
    taken = take_outputs(config, values)
    return Outputs(
        {name: output.value for name, output in taken.items()},
        frozenset(
            name
            for name, output in taken.items()
            if output.source in secret or (output.source is None and secret)
        ),
    )


def read_resources(document: Mapping[str, Any]) -> Sequence[Resource]:
    """Read `terraform show -json`: the managed resources of all modules."""
    root = (document.get("values") or {}).get("root_module") or {}
    return tuple(_resources(root))


def _resources(module: Mapping[str, Any]) -> Iterator[Resource]:
    for one in module.get("resources", ()):
        if one.get("mode") == "managed":
            identity = (one.get("values") or {}).get("id")
            yield Resource(
                short_address(str(one.get("address"))),
                str(one.get("type")),
                identity if isinstance(identity, str) else None,
            )
    for child in module.get("child_modules", ()):
        yield from _resources(child)


def _unusable(message: str) -> StepFailed:
    return StepFailed("outputs_unusable", message, kind="permanent")
