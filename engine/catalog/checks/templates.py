"""The rules of templates: each can be read, and names only what exists where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from engine.catalog import steps as s
from engine.catalog.bundles import component_graph
from engine.catalog.checks.scope import (
    ANY,
    Scope,
    base_scope,
    missing,
    with_components,
    with_steps,
)
from engine.catalog.checks.subject import Known, Subject
from engine.catalog.documents import Automation, CatalogBundle, CatalogItem, UpdateItem, UpgradeItem
from engine.catalog.fields import Condition, MultiselectField, SelectionField
from engine.catalog.findings import Path, value_at
from engine.catalog.suggest import closest
from engine.errors import TemplateError
from engine.templates import Template, UnknownName, check_condition, check_template, has_template

_SECRET_PLACES: Final = "step templates, headers of manual templates, headers of options_from"
READ_BY_THE_ENGINE: Final = frozenset({"maintenance_window"})
"""Fields that mean something by their name: not before when the work may begin."""

_PARTS: Final = ("steps", "components")
_HEADERS: Final = "headers"
_BODY: Final = "body"


@dataclass(slots=True)
class _Order:
    """What waits for what; asked only where a template names a step or component."""

    graph: Mapping[str, Sequence[str]]
    found: dict[str, frozenset[str]] = field(default_factory=dict)

    def before(self, name: str) -> frozenset[str]:
        """Return all that comes before."""
        if name not in self.found:
            self.found[name] = s.everything_before(self.graph, name) - {name}
        return self.found[name]


@dataclass(slots=True)
class _Place:
    """Where a template stands: what it may name, and what the place allows."""

    scope: Scope
    secrets: bool = False
    secret_headers: bool = False
    statements: bool = False
    statement_body: bool = False
    order: _Order | None = None
    """The steps or components of which not all come before this place."""
    here: str = ""
    """The step or component that the place belongs to."""
    sees_itself: bool = False


@dataclass(slots=True)
class _Walk:
    """One document's templates; notes the names that are used."""

    subject: Subject
    used: set[str] = field(default_factory=set)
    is_whole: bool = True
    """Whether every template could be read, so that `used` is all that is used."""

    def tree(self, path: Path, place: _Place) -> None:
        """Check every text below a place of the document."""
        for where, text in _templates(path, value_at(self.subject.source.data, path)):
            key = where[len(path)] if len(where) > len(path) else None
            statements = place.statements or (place.statement_body and key == _BODY)
            template = self._read(where, text, statements=statements)
            if template is not None:
                secrets = place.secrets or (place.secret_headers and key == _HEADERS)
                self._references(where, template, place, secrets=secrets)

    def condition(self, path: Path, text: object, place: _Place) -> None:
        """Check an expression that decides."""
        if not isinstance(text, str):
            return
        try:
            template = check_condition(text)
        except TemplateError as error:
            self._complain(path, error)
        else:
            self._references(path, template, place, secrets=False)

    def _read(self, path: Path, text: str, *, statements: bool) -> Template | None:
        try:
            return check_template(text, statements=statements)
        except TemplateError as error:
            self._complain(path, error)
            return None

    def _complain(self, path: Path, error: TemplateError) -> None:
        self.is_whole = False
        if isinstance(error, UnknownName):
            allowed = ", ".join(sorted(error.known))
            suggestion = closest(error.name, error.known)
            self.subject.error(
                "unknown-filter", path, error.what, allowed=allowed, suggestion=suggestion
            )
        else:
            allowed = error.do or error.why
            self.subject.error("invalid-template", path, error.what, allowed=allowed)

    def _references(self, path: Path, template: Template, place: _Place, *, secrets: bool) -> None:
        for reference in template.references:
            first = str(reference.chain[0])
            self.used.add(first)
            if first == "secrets":
                if not secrets:
                    message = f"{reference} cannot be used here; secrets resolve only inside a step"
                    self.subject.error("secret-not-allowed", path, message, allowed=_SECRET_PLACES)
                continue
            gap = missing(reference.chain, place.scope)
            if gap is not None:
                self._gap(path, reference.chain, *gap)
            elif _is_later(reference.chain, place):
                kind, name = first.removesuffix("s"), reference.chain[1]
                message = f"the {kind} {name!r} does not come before this; name it in depends_on"
                self.subject.error("unknown-name", path, message)

    def _gap(
        self, path: Path, chain: tuple[str | int, ...], index: int, inside: Mapping[str, Any]
    ) -> None:
        name = str(chain[index])
        if index == 0 and name not in _PARTS and _may_be_lost(self.subject):
            return
        before = ".".join(map(str, chain[:index]))
        if index == 0 and name in _PARTS:
            message = f"{name} cannot be named here"
        elif index == 0:
            message = f"there is no name {name!r} here"
        elif not inside:
            message = f"{before} has nothing inside to ask for {name!r}"
        else:
            message = f"{before} has no {name!r}"
        known = sorted(map(str, inside))
        allowed = ", ".join(known[:40]) + (" ..." if len(known) > 40 else "")
        self.subject.error(
            "unknown-name", path, message, allowed=allowed, suggestion=closest(name, known)
        )


def check_templates(subject: Subject, known: Known) -> None:
    """Check every template of a document that is no bundle."""
    document = subject.document
    assert isinstance(document, CatalogItem | UpdateItem | UpgradeItem)  # noqa: S101
    walk = _Walk(subject)
    day_2 = not isinstance(document, CatalogItem)
    scope = base_scope(
        document.presentation.all_fields,
        day_2=day_2,
        parameters=_target_parameters(document),
        dependencies=[dependency.key for dependency in document.dependencies],
    )
    _header_templates(walk, scope)
    _fulfillment_templates(walk, document, scope, known)
    _warn_unused(walk)


def check_bundle_templates(subject: Subject) -> None:
    """Check every template of a bundle."""
    document = subject.document
    assert isinstance(document, CatalogBundle)  # noqa: S101
    walk = _Walk(subject)
    scope = base_scope(
        document.presentation.all_fields,
        dependencies=[dependency.key for dependency in document.dependencies],
    )
    _header_templates(walk, scope)
    graph = component_graph(document.bundle)
    components, order = with_components(scope, graph), _Order(graph)
    for key, items in (
        ("required_items", document.bundle.required_items),
        ("optional_items", document.bundle.optional_items),
    ):
        for index, component in enumerate(items):
            place = _Place(components, order=order, here=component.key)
            walk.tree(("bundle", key, index, "parameters"), place)
            if component.enabled_when is not None:
                walk.used.update(component.enabled_when.names())
    _warn_unused(walk)


def _header_templates(walk: _Walk, scope: Scope) -> None:
    document = walk.subject.document
    if document.approval is not None:
        walk.condition(("approval", "required"), document.approval.required, _Place(scope))
    for index in range(len(document.dependencies)):
        walk.tree(("dependencies", index, "config"), _Place(scope))
    for path, spec in walk.subject.placed:
        if spec.conditional is not None:
            _note_condition(walk, spec.conditional)
        if isinstance(spec, SelectionField | MultiselectField) and spec.options_from is not None:
            walk.tree((*path, "options_from", "url"), _Place(scope))
            headers = _Place(scope, secrets=True)
            walk.tree((*path, "options_from", "headers"), headers)


def _fulfillment_templates(
    walk: _Walk, document: CatalogItem | UpdateItem | UpgradeItem, scope: Scope, known: Known
) -> None:
    fulfillment = document.fulfillment
    outputs = {name: plugin.outputs for name, plugin in known.plugin_steps.items()}
    manual = _Place(scope, secret_headers=True, statements=True)
    walk.tree(("fulfillment", "manual", "template"), manual)
    steps: Sequence[s.BaseStep] = ()
    path: Path
    if fulfillment.automation is not None:
        _checks_before(walk, ("fulfillment", "automation"), fulfillment.automation, scope)
        steps = fulfillment.automation.steps
        _sequence(walk, ("fulfillment", "automation"), steps, scope, outputs)
    after = with_steps(scope, steps, outputs)
    if fulfillment.rollback is not None:
        path = ("fulfillment", "rollback")
        _sequence(walk, path, fulfillment.rollback.steps, after, outputs)
    if fulfillment.decommission is not None:
        down: dict[str, Any] = {**after, "instance": {**after["instance"], **_ENDING}}
        place = _Place(down, secret_headers=True, statements=True)
        walk.tree(("fulfillment", "decommission", "manual", "template"), place)
        automation = fulfillment.decommission.automation
        if automation is not None:
            path = ("fulfillment", "decommission", "automation")
            _checks_before(walk, path, automation, down)
            _sequence(walk, path, automation.steps, down, outputs)


def _checks_before(walk: _Walk, path: Path, automation: Automation, scope: Scope) -> None:
    """Check what the checks before the first step ask: no step has run then."""
    place = _Place({name: inside for name, inside in scope.items() if name != "steps"})
    for index, call in enumerate(automation.pre_execution_checks):
        if call.template is not None:
            walk.tree((*path, "pre_execution_checks", index, "template"), place)


_ENDING: Final = {"version": ANY, "outputs": ANY, "parameters": ANY}
"""What a decommission knows of its instance."""


def _sequence(
    walk: _Walk,
    path: Path,
    steps: Sequence[s.BaseStep],
    scope: Scope,
    outputs: Mapping[str, Any],
) -> None:
    order = _Order(s.step_graph(steps))
    earlier: Mapping[str, Any] = scope.get("steps", {})
    own: Mapping[str, Any] = with_steps(scope, steps, outputs)["steps"]
    seen = {**scope, "steps": {**earlier, **own}}
    for index, step in enumerate(steps):
        here = (*path, "steps", index)
        place = _Place(
            seen,
            secrets=True,
            statements=isinstance(step, s.JiraStep),
            statement_body=isinstance(step, s.HttpStep),
            order=order,
            here=step.name,
        )
        walk.tree((*here, "template"), place)
        if step.verification:
            after = _Place(seen, order=order, here=step.name, sees_itself=True)
            walk.tree((*here, "verification"), after)
        walk.condition((*here, "when"), step.when, place)


def _is_later(chain: tuple[str | int, ...], place: _Place) -> bool:
    """Whether a chain names a step or component that does not come before its place."""
    if place.order is None or chain[0] not in ("steps", "components") or len(chain) < 2:
        return False
    name = str(chain[1])
    if name == place.here:
        return not place.sees_itself
    return name in place.order.graph and name not in place.order.before(place.here)


def _target_parameters(document: CatalogItem | UpdateItem | UpgradeItem) -> Iterator[str]:
    if not isinstance(document, CatalogItem):
        for target in document.targets.catalog_items:
            yield from target.required_parameters
            yield from target.optional_parameters


def _warn_unused(walk: _Walk) -> None:
    """Warn of fields that nothing uses; a look at `parameters` uses all."""
    is_lost = any(walk.subject.shape.is_touched((key,)) for key in ("fulfillment", "bundle"))
    if "parameters" in walk.used or not walk.is_whole or is_lost:
        return
    for path, spec in walk.subject.placed:
        if spec.name not in walk.used and spec.name not in READ_BY_THE_ENGINE:
            message = f"no template uses the field {spec.name!r}"
            walk.subject.warn("unused-field", (*path, "name"), message)


def _may_be_lost(subject: Subject) -> bool:
    """Whether names may be missing because what declares them could not be read."""
    presentation = subject.document.presentation
    if presentation.all_fields == () and not presentation.model_fields_set:
        return True
    broken = subject.shape.broken
    return any(part[0] == "presentation" and len(part) <= 2 for part in broken) or bool(
        broken & {("targets",), ("targets", "catalog_items")}
    )


def _note_condition(walk: _Walk, condition: Condition) -> None:
    walk.used.update(condition.names())


def _templates(path: Path, tree: Any) -> Iterator[tuple[Path, str]]:
    """Yield the texts with something to render; places are made for these alone."""
    if isinstance(tree, str):
        if has_template(tree):
            yield path, tree
        return
    if not isinstance(tree, dict | list):
        return
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if isinstance(value, str):
            if has_template(value):
                yield (*path, key), value
        elif isinstance(value, dict | list):
            yield from _templates((*path, key), value)
