"""The rules across documents: what they name exists, fits, and does not run in circles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.catalog.bundles import component_graph
from engine.catalog.checks.fields import check_condition_names
from engine.catalog.checks.subject import Subject
from engine.catalog.checks.templates import check_bundle_templates
from engine.catalog.documents import (
    KINDS,
    CatalogBundle,
    CatalogItem,
    Component,
    Kind,
    UpdateItem,
    UpgradeItem,
    slugify,
)
from engine.catalog.fields import InstanceField, SecretField
from engine.catalog.findings import Path
from engine.catalog.steps import find_cycles
from engine.catalog.values import check_values
from engine.catalog.versions import VersionError, parse_range, parse_version
from engine.templates import has_template

_PROVIDERS: Final[tuple[Kind, ...]] = ("CatalogItem", "CatalogBundle")


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every document of the repository by kind and slug; None where one exists but is lost."""

    by_slug: Mapping[Kind, Mapping[str, Subject | None]]
    names: Mapping[Kind, tuple[str, ...]]

    @classmethod
    def of(cls, subjects: Iterable[Subject], lost: Iterable[tuple[Kind | None, str]]) -> Catalog:
        """Collect documents; a lost one whose kind nobody knows counts as every kind."""
        found: dict[Kind, dict[str, Subject | None]] = {kind: {} for kind in KINDS}
        names: dict[Kind, list[str]] = {kind: [] for kind in KINDS}
        for subject in subjects:
            found[subject.document.kind].setdefault(subject.document.slug, subject)
            names[subject.document.kind].append(subject.document.name)
        for kind, name in lost:
            for one in (kind,) if kind else KINDS:
                found[one].setdefault(slugify(name), None)
                names[one].append(name)
        return cls(found, {kind: tuple(known) for kind, known in names.items()})

    def has(self, name: str, kinds: Iterable[Kind]) -> bool:
        """Whether some document of these kinds has the name or slug."""
        return any(slugify(name) in self.by_slug[kind] for kind in kinds)

    def get(self, name: str, kind: Kind) -> Subject | None:
        """Return a document by name or slug; None when it is unknown or lost."""
        return self.by_slug[kind].get(slugify(name))

    def known(self, kinds: Iterable[Kind]) -> list[str]:
        """Return the names of these kinds."""
        return [name for kind in kinds for name in self.names[kind]]


def check_across(subjects: Iterable[Subject], catalog: Catalog) -> None:
    """Apply the rules across documents to each of them."""
    every = list(subjects)
    _check_twins(every)
    for subject in every:
        document = subject.document
        _check_dependencies(subject, catalog)
        _check_replacement(subject, catalog)
        _check_instance_fields(subject, catalog)
        if isinstance(document, CatalogBundle):
            _check_bundle(subject, document, catalog)
            check_bundle_templates(subject)
        elif isinstance(document, UpdateItem | UpgradeItem):
            _check_operation(subject, document, catalog)
    _check_circles(every, catalog)


def _check_twins(subjects: Iterable[Subject]) -> None:
    first: dict[tuple[Kind, str], Subject] = {}
    for subject in subjects:
        document = subject.document
        other = first.setdefault((document.kind, document.slug), subject)
        if other is not subject:
            line = other.source.place(("name",))[0]
            message = (
                f"the {document.kind} {document.name!r} exists already as {other.document.name!r}"
                f" in {other.source.file}, line {line}"
            )
            subject.error("duplicate-name", ("name",), message)


def _check_dependencies(subject: Subject, catalog: Catalog) -> None:
    for index, dependency in enumerate(subject.document.dependencies):
        path: Path = ("dependencies", index)
        if not catalog.has(dependency.catalog_item, _PROVIDERS):
            known = catalog.known(_PROVIDERS)
            subject.unknown(
                "unknown-item", (*path, "catalog_item"), "item", dependency.catalog_item, known
            )
            continue
        provider = _first(catalog, dependency.catalog_item, _PROVIDERS)
        if provider is not None:
            _check_version(subject, (*path, "version"), dependency.version, provider)


def _check_version(subject: Subject, path: Path, wanted: str | None, provider: Subject) -> None:
    if wanted is None:
        return
    document = provider.document
    try:
        fits = parse_range(wanted).contains(parse_version(document.version))
    except VersionError:
        return
    if not fits:
        message = f"{document.name} is version {document.version}, which is outside {wanted!r}"
        subject.error("no-version", path, message)


def _check_replacement(subject: Subject, catalog: Catalog) -> None:
    name = subject.document.replaced_by
    if name is not None and not catalog.has(name, (subject.document.kind,)):
        known = catalog.known((subject.document.kind,))
        subject.unknown("unknown-item", ("replaced_by",), subject.document.kind, name, known)


def _check_instance_fields(subject: Subject, catalog: Catalog) -> None:
    for path, spec in subject.placed:
        wanted = spec.catalog_item if isinstance(spec, InstanceField) else None
        if wanted is not None and not catalog.has(wanted, _PROVIDERS):
            known = catalog.known(_PROVIDERS)
            subject.unknown("unknown-item", (*path, "catalog_item"), "item", wanted, known)


def _check_operation(
    subject: Subject, document: UpdateItem | UpgradeItem, catalog: Catalog
) -> None:
    for index, target in enumerate(document.targets.catalog_items):
        path: Path = ("targets", "catalog_items", index)
        if not catalog.has(target.name, _PROVIDERS):
            known = catalog.known(_PROVIDERS)
            subject.unknown("unknown-item", (*path, "name"), "item", target.name, known)
            continue
        item = _first(catalog, target.name, _PROVIDERS)
        if item is None:
            continue
        fields = {spec.name for spec in item.document.presentation.all_fields}
        for number, name in enumerate(target.required_parameters):
            if name not in fields and not item.shape.broken:
                place = (*path, "required_parameters", number)
                subject.warn("unknown-parameter", place, f"{target.name} has no parameter {name!r}")
        _check_lower(subject, (*path, "to_version"), target.to_version, target.version_range)


def _check_lower(subject: Subject, path: Path, to_version: str | None, version_range: str) -> None:
    """Warn where every version that the range names is above the version afterwards."""
    if to_version is None:
        return
    after = parse_version(to_version)
    lows = [
        comparator.version
        for choice in parse_range(version_range).choices
        for comparator in choice
        if comparator.operator in (">=", ">", "=")
    ]
    if lows and all(low.key > after.key for low in lows):
        message = f"to_version {to_version} is lower than the versions that it is for"
        subject.warn("lower-version", path, message)


# Bundles


def _check_bundle(subject: Subject, document: CatalogBundle, catalog: Catalog) -> None:
    bundle = document.bundle
    if not bundle.components:
        subject.error("too-short", ("bundle",), "a bundle needs at least one component")
    placed = _placed_components(document)
    subject.duplicates([(c.key, _key_place(subject, path)) for path, c in placed], "component")
    keys = {component.key for _, component in placed}
    for path, component in placed:
        _check_key(subject, path, component, catalog)
        _check_component(subject, path, component, catalog)
        _check_edges(subject, path, component, placed, keys)
        _check_switch(subject, path, component)
    graph = component_graph(bundle)
    for name in graph:
        graph[name] = tuple(other for other in graph[name] if other != name)
    for cycle in find_cycles(graph):
        path = next(path for path, component in placed if component.key == cycle[0])
        message = f"the components {' -> '.join(cycle)} wait for each other"
        subject.error("cycle", path, message)


def _placed_components(document: CatalogBundle) -> list[tuple[Path, Component]]:
    return [
        (("bundle", key, index), component)
        for key, items in (
            ("required_items", document.bundle.required_items),
            ("optional_items", document.bundle.optional_items),
        )
        for index, component in enumerate(items)
    ]


def _key_place(subject: Subject, path: Path) -> Path:
    named = (*path, "name")
    return named if subject.source.has(named) else (*path, "catalog_item")


LONGEST_KEY: Final = 100
LONGEST_STEP: Final = 255
"""Characters of a component's name, and of a step's with it, as the database keeps them."""


def _check_key(subject: Subject, path: Path, component: Component, catalog: Catalog) -> None:
    """Check that steps and fields can be named by the component: NAME/STEP and NAME.FIELD."""
    place, key = _key_place(subject, path), component.key
    if "/" in key or "." in key:
        message = f"the component's name {key!r} has a . or /, which part it from steps and fields"
        subject.error("invalid-name", place, message, allowed="a name without . and /")
    if len(key) > LONGEST_KEY:
        message = f"at most {LONGEST_KEY} characters are allowed for a component's name"
        subject.error("too-long", place, message)
        return
    item = catalog.get(component.catalog_item, "CatalogItem")
    longest = max((len(name) for name in _step_names(item)), default=0)
    if len(key) + 1 + longest > LONGEST_STEP:
        message = f"at most {LONGEST_STEP} characters are allowed for COMPONENT/STEP"
        subject.error("too-long", place, message)


def _step_names(item: Subject | None) -> Iterator[str]:
    fulfillment = getattr(item.document, "fulfillment", None) if item else None
    if fulfillment is not None:
        down = fulfillment.decommission
        for part in (fulfillment.automation, fulfillment.rollback, down and down.automation):
            yield from (step.name for step in (part.steps if part else ()))


def _check_component(subject: Subject, path: Path, component: Component, catalog: Catalog) -> None:
    place = (*path, "catalog_item")
    if not catalog.has(component.catalog_item, ("CatalogItem",)):
        known = catalog.known(("CatalogItem",))
        subject.unknown("unknown-item", place, "item", component.catalog_item, known)
        return
    item = catalog.get(component.catalog_item, "CatalogItem")
    if item is None:
        return
    lifecycle = item.document.lifecycle
    if lifecycle == "retired":
        subject.error("retired-item", place, f"{item.document.name} is retired")
    elif lifecycle == "deprecated":
        subject.warn("deprecated-item", place, f"{item.document.name} is deprecated")
    _check_version(subject, (*path, "version"), component.version, item)
    if not item.shape.broken:
        _check_parameters(subject, (*path, "parameters"), component.parameters, item)


def _check_parameters(
    subject: Subject, path: Path, parameters: Mapping[str, Any], item: Subject
) -> None:
    """Check fixed values by the item's own form; templates are checked when they are rendered."""
    assert isinstance(item.document, CatalogItem)  # noqa: S101
    fields = item.document.presentation.all_fields
    literal = {name: value for name, value in parameters.items() if not _has_templates(value)}
    known = {spec.name for spec in fields}
    for name in parameters:
        if name not in known:
            place = (*path, name)
            subject.unknown("unknown-parameter", place, "parameter", name, known)
    given = {name: value for name, value in literal.items() if name in known}
    relevant = [spec for spec in fields if spec.name in given]
    for spec in relevant:
        if isinstance(spec, SecretField):
            message = f"everybody who reads the catalog reads the secret {spec.name!r}"
            subject.warn("secret-field", (*path, spec.name), message)
    for error in check_values(
        [spec.model_copy(update={"conditional": None}) for spec in relevant], given
    ).errors:
        subject.error("invalid-parameter", (*path, error.field), f"{error.field}: {error.message}")


def _has_templates(value: Any) -> bool:
    match value:
        case str():
            return has_template(value)
        case dict():
            return any(map(_has_templates, value.values()))
        case list():
            return any(map(_has_templates, value))
    return False


def _check_edges(
    subject: Subject,
    path: Path,
    component: Component,
    placed: Iterable[tuple[Path, Component]],
    keys: set[str],
) -> None:
    for index, name in enumerate(component.depends_on or ()):
        here = (*path, "depends_on", index)
        here = here if subject.source.has(here) else (*path, "depends_on")
        _check_edge(subject, here, component, name, keys)
    edges = [(e, (*path, "dependencies", i)) for i, e in enumerate(component.dependencies)]
    subject.duplicates([(e.name, place) for e, place in edges if e.name], "dependency")
    subject.duplicates([(f"{e.type} from {e.on}", place) for e, place in edges], "connection")
    off = {other.key for place, other in placed if _is_off(place, other)}
    for index, edge in enumerate(component.dependencies):
        here = (*path, "dependencies", index, "on")
        _check_edge(subject, here, component, edge.on, keys)
        is_on = path[1] == "required_items" or component.starts_enabled
        if edge.required and is_on and edge.on in off:
            message = f"{component.key} cannot be without {edge.on}, which is off at first"
            subject.error("disabled-component", here, message)


def _is_off(path: Path, component: Component) -> bool:
    """Whether a component is off unless somebody chooses it, and no condition decides."""
    is_decided = component.enabled_when is not None and component.default_enabled is None
    return path[1] == "optional_items" and not is_decided and not component.starts_enabled


def _check_edge(
    subject: Subject, path: Path, component: Component, name: str, keys: set[str]
) -> None:
    if name == component.key:
        subject.error("cycle", path, f"the component {name!r} waits for itself")
    elif name not in keys:
        subject.unknown("unknown-component", path, "component", name, keys)


def _check_switch(subject: Subject, path: Path, component: Component) -> None:
    for key in ("enabled_when", "default_enabled"):
        if getattr(component, key) is not None and path[1] == "required_items":
            message = f"a required item is always there; {key} stands on optional items only"
            subject.error("conflicting-keys", (*path, key), message, at_key=True)
    if component.enabled_when is None:
        return
    if component.default_enabled is not None:
        message = "enabled_when and default_enabled exclude each other"
        subject.error("conflicting-keys", (*path, "default_enabled"), message, at_key=True)
    fields = {spec.name: (place, spec) for place, spec in subject.placed}
    check_condition_names(subject, (*path, "enabled_when"), component.enabled_when, fields)


# Circles of dependencies


def _check_circles(subjects: Iterable[Subject], catalog: Catalog) -> None:
    """Find circles of required dependencies between items and bundles."""
    graph: dict[str, tuple[str, ...]] = {}
    places: dict[str, tuple[Subject, Path]] = {}
    for subject in subjects:
        if subject.document.kind not in _PROVIDERS:
            continue
        for index, dependency in enumerate(subject.document.dependencies):
            provider = _first(catalog, dependency.catalog_item, _PROVIDERS)
            if provider is None:
                continue
            key = f"{subject.document.kind}:{subject.document.slug}"
            other = f"{provider.document.kind}:{provider.document.slug}"
            graph[key] = (*graph.get(key, ()), other)
            places.setdefault(key, (subject, ("dependencies", index, "catalog_item")))
    for cycle in find_cycles(graph):
        subject, path = places[cycle[0]]
        names = [name.partition(":")[2] for name in cycle]
        subject.error("cycle", path, f"the items {' -> '.join(names)} depend on each other")


def _first(catalog: Catalog, name: str, kinds: Iterable[Kind]) -> Subject | None:
    return next((found for kind in kinds if (found := catalog.get(name, kind))), None)
