"""The order of a bundle's components: which come first, by what is said and what is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.catalog.documents import Bundle, Component
from engine.errors import TemplateError
from engine.templates import check_template, has_template


def component_graph(bundle: Bundle) -> dict[str, tuple[str, ...]]:
    """Return what each component waits for, by key.

    With `depends_on`: what it names. Without: the components whose outputs its parameters use.
    Either way the providers of its `dependencies` come first.
    """
    known = {component.key for component in bundle.components}
    return {
        component.key: tuple(dict.fromkeys(_before(component, known)))
        for component in bundle.components
    }


def _before(component: Component, known: set[str]) -> Iterator[str]:
    yield from (edge.on for edge in component.dependencies)
    if component.depends_on is not None:
        yield from component.depends_on
    else:
        yield from (name for name in used_components(component) if name in known)


def used_components(component: Component) -> Iterator[str]:
    """Yield the components that a component's parameters name in templates."""
    for text in _texts(component.parameters):
        try:
            references = check_template(text).references
        except TemplateError:
            continue  # reported where templates are checked
        for reference in references:
            if reference.chain[0] == "components" and len(reference.chain) > 1:
                yield str(reference.chain[1])


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        if has_template(tree):
            yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from _texts(value)
    elif isinstance(tree, (list, tuple)):
        for value in tree:
            yield from _texts(value)
