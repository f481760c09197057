"""Parameters from the command line: `--params FILE` first, then each `--param k=v`, which wins.

Values of `--param` stay text: the field's type reads them, in the engine, by the same check that a form uses.
`--param component.field=v` is a value of a bundle's component.
"""

from __future__ import annotations

import functools
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from engine.errors import InvalidInput

LARGEST_FILE = 1 << 20
"""Bytes of a file or of standard input: as much as a catalog document may have."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line gave: `texts` names the values that are text still to be read.

    `components` are as in a file: {name: {enabled, parameters}}; their texts are named `name.field`.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()
    dependencies: Mapping[str, str] = field(default_factory=dict)
    components: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ParameterOptions:
    """The two options as they were typed."""

    file: str | None
    params: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether neither was given."""
        return not (self.file or self.params)

    def read(self, secret_names: Collection[str] = (), components: Collection[str] = ()) -> Given:
        """Return the parameters of both options; `components`: the names that may stand before a dot.

        InvalidInput for what is no `k=v`, for a file that cannot be read, and for a secret that
        stands on the command line itself, where the process list and the shell's history keep it.
        """
        document = _document(self.file) if self.file else {}
        dependencies = _mapping(document.pop("dependencies", None), "dependencies")
        chosen = _components(document.pop("components", None))
        texts = _texts(self.params, secret_names)
        own = {}
        for name, value in texts.items():
            component, dot, field_name = name.partition(".")
            if dot and component in components:
                chosen.setdefault(component, {}).setdefault("parameters", {})[field_name] = value
            else:
                own[name] = value
        return Given({**document, **own}, frozenset(texts), dependencies, chosen)


def parameter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--param` and `--params` to a command, which gets them as `options`."""

    @functools.wraps(function)
    def command(*args: Any, file: str | None, params: tuple[str, ...], **options: Any) -> Any:
        return function(*args, options=ParameterOptions(file, params), **options)

    param = click.option(
        "--param",
        "params",
        multiple=True,
        metavar="K=V",
        help="One value; k=@FILE reads a file, k=- standard input, lists repeat or use commas.",
    )
    file = click.option(
        "--params",
        "file",
        metavar="FILE",
        help="YAML or JSON with the values; - is standard input.",
    )
    return file(param(command))


def _texts(params: Sequence[str], secret_names: Collection[str]) -> dict[str, Any]:
    found: dict[str, list[str]] = defaultdict(list)
    for param in params:
        name, separator, value = param.partition("=")
        if not separator or not name:
            raise InvalidInput(
                f"--param {param} cannot be read",
                "it has no name=value form",
                "Write --param name=value",
            )
        found[name].append(_text(name, value, is_secret=name in secret_names))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _text(name: str, value: str, *, is_secret: bool) -> str:
    if value == "-":
        return _standard_input().rstrip("\r\n")
    if value.startswith("@"):
        return _file(value[1:]).rstrip("\r\n")
    if is_secret:
        raise InvalidInput(
            f"The secret {name} is not taken from the command line",
            "the process list and the shell's history would show it",
            f"Write --param {name}=@FILE, or --param {name}=- to read it from standard input",
            field=name,
        )
    return value


def _document(file: str) -> dict[str, Any]:
    """Read YAML or JSON by the catalog's own reader: the same types, the same limits."""
    from engine.catalog.reader import read

    source = "standard input" if file == "-" else file
    text = _standard_input() if file == "-" else _file(file)
    reading = read(source, text.encode("utf-8", "surrogatepass"))
    errors = [finding for finding in reading.findings if finding.is_error]
    if errors:
        first = errors[0]
        raise InvalidInput(
            f"The parameters in {source} cannot be read",
            f"line {first.line}, column {first.column}: {first.text}",
            "Write one `name: value` line for each parameter",
        )
    return dict(reading.sources[0].data) if reading.sources else {}


def _mapping(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(
            f"`{name}` is not a mapping", "it maps names to what is chosen for them", field=name
        )
    return value


def _components(value: Any) -> dict[str, dict[str, Any]]:
    """Return a file's components, each with a mapping of its own."""
    chosen = {}
    for name, component in _mapping(value, "components").items():
        where = f"components.{name}"
        own = dict(_mapping(component, where))
        if "parameters" in own:
            own["parameters"] = dict(_mapping(own["parameters"], f"{where}.parameters"))
        chosen[name] = own
    return chosen


def _standard_input() -> str:
    return _bounded(sys.stdin.read(LARGEST_FILE + 1), "standard input")


def _file(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return _bounded(file.read(LARGEST_FILE + 1), path)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"The file {path} cannot be read",
            str(getattr(error, "strerror", None) or error),
            "Check its path",
        ) from error


def _bounded(text: str, source: str) -> str:
    if len(text) > LARGEST_FILE:
        raise InvalidInput(
            f"{source} is too large", f"more than {LARGEST_FILE >> 20} MiB", "Give less"
        )
    return text
