"""What templates cannot see before a request runs, and templates rendered as far as they can be.

The outputs of a step exist once the step ran, and what they lead to (a component's outputs, a
parameter that a bundle fixes by them) not before. Whether a template needs such a value is told by
the names that it holds, not by trying: a default must not stand in for what will be there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import TemplateError
from engine.templates import Scope, Template, check_template, has_template, render

Chain = tuple[str | int, ...]
"""A name with the keys after it: ("steps", "network", "outputs")."""


@dataclass(frozen=True, slots=True)
class _Late:
    """A text that can be rendered only when the step runs, as written."""

    text: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A tree rendered as far as it can be; the other texts stand in `shown` as written.

    `waits_for`: the names that are not known. `late`: the keys at the top below which one is missing.
    """

    shown: Any
    waits_for: tuple[str, ...]
    late: frozenset[str]


@dataclass(frozen=True, slots=True)
class Unknowns:
    """The names that have no value yet, with all that is below them.

    A name that waits for others has them as its value; one that is unknown by itself has none.
    """

    chains: Mapping[Chain, tuple[str, ...]]

    def needed_by(self, template: Template) -> tuple[str, ...]:
        """Return what the template waits for: the names as they are written there, or theirs."""
        found = (
            name
            for reference in template.references
            for chain, others in self.chains.items()
            if _overlap(reference.chain, chain)
            for name in others or (str(reference),)
        )
        return tuple(dict.fromkeys(found))

    def needed_in(self, tree: Any) -> tuple[str, ...]:
        """Return what the texts in a tree name of them; texts that cannot be read name nothing."""
        found = (name for text in _texts(tree) for name in self._needed_by_text(text))
        return tuple(dict.fromkeys(found))

    def render(self, tree: Mapping[str, Any], names: Scope) -> Rendered:
        """Render what needs none of them; raises TemplateError as `render`."""
        late = frozenset(str(key) for key, value in tree.items() if self.needed_in(value))
        rendered = render(self._veiled(tree) if late else tree, names, statements=True)
        return Rendered(_unveiled(rendered) if late else rendered, self.needed_in(tree), late)

    def _needed_by_text(self, text: str) -> tuple[str, ...]:
        try:
            return self.needed_by(check_template(text, statements=True))
        except TemplateError:
            return ()  # rendering says so, with its place

    def _veiled(self, tree: Any) -> Any:
        """Return the tree with what cannot be rendered yet put where rendering does not look."""
        if isinstance(tree, str):
            waits = has_template(tree) and self._needed_by_text(tree)
            return _Late(tree) if waits else tree
        if isinstance(tree, Mapping):
            return {key: self._veiled(value) for key, value in tree.items()}
        if isinstance(tree, list | tuple):
            return [self._veiled(value) for value in tree]
        return tree


def _overlap(one: Collection[Any], other: Collection[Any]) -> bool:
    """Whether one chain leads to the other, or into it."""
    return all(a == b for a, b in zip(one, other, strict=False))


def _unveiled(tree: Any) -> Any:
    if isinstance(tree, _Late):
        return tree.text
    if isinstance(tree, Mapping):
        return {key: _unveiled(value) for key, value in tree.items()}
    return [_unveiled(value) for value in tree] if isinstance(tree, list) else tree


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        if has_template(tree):
            yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from _texts(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _texts(value)
