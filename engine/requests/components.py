"""The components of a bundle: which are on, and what each is given.

A component's fixed `parameters` that are made of the bundle's fields alone are rendered and judged
here, with what the person gave for the other fields of its item. Those that read another
component's outputs are judged when they are known, while the request runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from engine.catalog.conditions import holds
from engine.catalog.documents import (
    Bundle,
    Component,
    Dependency,
    load_presentation,
)
from engine.catalog.fields import AnyField, BaseField, SecretField
from engine.catalog.options import DOCUMENT_KEYS
from engine.catalog.suggest import did_you_mean
from engine.catalog.values import Checked, FieldError
from engine.catalog.versions import satisfies
from engine.errors import Conflict, NotFound, TemplateError, quoted
from engine.people.permissions import Action, Denied, document_subject, may
from engine.redaction import Redactor
from engine.requests import dependencies
from engine.requests.approvals import reads
from engine.requests.judging import (
    Form,
    Intake,
    Judged,
    JudgedComponent,
    judge_form,
    refuse_unknown_steps,
    steps_of,
)
from engine.requests.parameters import texts_in
from engine.results import Actor, Submission
from engine.store.documents import StoredDocument
from engine.store.pool import Connection
from engine.templates import check_template, has_template, render

_KEYS: Final = ("enabled", "parameters")
"""What a submission may say of a component."""


def switched_on(bundle: Bundle, checked: Checked, submission: Submission) -> frozenset[str]:
    """Return the keys of the components that are ordered."""
    on = {component.key for component in bundle.required_items}
    for component in bundle.optional_items:
        chosen = said_of(submission, component.key).get("enabled")
        decided = _decided(component, checked)
        if decided is None:
            decided = chosen if isinstance(chosen, bool) else component.starts_enabled
        if decided:
            on.add(component.key)
    return frozenset(on)


def switch_errors(
    bundle: Bundle, submission: Submission, on: Collection[str]
) -> Iterator[FieldError]:
    """Yield what is wrong with what was said of components, and with what is left out."""
    known = [component.key for component in bundle.components]
    for name, said in submission.components.items():
        if name not in known:
            text = f"There is no component {quoted(name)}.{did_you_mean(name, known)}"
            yield FieldError(name, text, "unknown_component")
        else:
            yield from _shape_errors(name, said)
    for component in bundle.components:
        chosen = said_of(submission, component.key).get("enabled")
        if isinstance(chosen, bool) and chosen != (component.key in on):
            is_required = component in bundle.required_items
            why = "It is always part of the bundle." if is_required else _CONDITION
            yield FieldError(component.key, why, "fixed_component")
        for edge in component.dependencies:
            if component.key in on and edge.required and edge.on not in on:
                text = f"{component.key} cannot be without {edge.on}, which is left out."
                yield FieldError(edge.on, text, "disabled_component")


_CONDITION: Final = "The values above decide whether it is part of the bundle."


def said_of(submission: Submission, component: str) -> Mapping[str, Any]:
    """Return what a submission says of a component; empty where it says nothing that can be read."""
    said = submission.components.get(component)
    return said if isinstance(said, Mapping) else {}


def component_form(component: Component, item: StoredDocument, submission: Submission) -> Form:
    """Return what was given for the fields of a component's item."""
    given = said_of(submission, component.key).get("parameters")
    prefix = f"{component.key}."
    return Form(
        item,
        load_presentation(item.presentation).all_fields,
        given if isinstance(given, Mapping) else {},
        frozenset(
            name.removeprefix(prefix) for name in submission.texts if name.startswith(prefix)
        ),
        prefix,
    )


def asked_fields(component: Component, item: StoredDocument) -> tuple[AnyField, ...]:
    """Return the fields of a component's item that the bundle does not fix."""
    fields = load_presentation(item.presentation).all_fields
    return tuple(spec for spec in fields if spec.name not in component.parameters)


def asked_dependencies(
    component: Component, item: StoredDocument, on: Collection[str]
) -> tuple[Dependency, ...]:
    """Return the dependencies of a component's item that no component that is on provides."""
    provided = {edge.name or edge.on for edge in component.dependencies if edge.on in on}
    return tuple(one for one in dependencies.asked_by(item) if one.key not in provided)


def available(
    actor: Actor, bundle: StoredDocument, component: Component, item: StoredDocument | None
) -> StoredDocument:
    """Return the component's item; raises Conflict or Denied where it cannot be had, with the reason."""
    name = component.catalog_item
    if item is None:
        raise _unavailable(bundle, component, f"the catalog has no item {quoted(name)}")
    if not item.is_active:
        raise _unavailable(bundle, component, f"{name} was removed from the catalog")
    if item.lifecycle == "retired":
        raise _unavailable(bundle, component, f"{name} is retired")
    if not satisfies(item.version, component.version):
        why = f"{name} is at version {item.version}, and {component.version} is needed"
        raise _unavailable(bundle, component, why)
    if not may(actor, Action.REQUEST, document_subject(item.owner, item.access)):
        hidden = NotFound(
            f"{bundle.display_name} cannot be requested",
            f"its component {component.key} is not open to you",
            f"Ask {bundle.owner}, who own the bundle",
            code="component_not_yours",
        )
        raise Denied(Action.REQUEST, item.name, hidden)
    return item


def early_scope(
    actor: Actor, bundle: StoredDocument, fields: Sequence[BaseField], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what fixed parameters may read before the request exists."""
    return {
        **dict.fromkeys(spec.name for spec in fields),
        **values,
        "parameters": [{"name": name, "value": value} for name, value in values.items()],
        "requester": {
            "user_id": actor.user_id,
            "name": actor.name,
            "email": actor.email,
            "team": actor.teams[0] if actor.teams else None,
        },
        "catalog_item": {key: getattr(bundle, key) for key in DOCUMENT_KEYS},
        "current_timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
    }


async def judge_component(
    connection: Connection,
    intake: Intake,
    actor: Actor,
    form: Form,
    *,
    component: Component,
    is_required: bool,
    scope: Mapping[str, Any],
) -> tuple[JudgedComponent, list[FieldError]]:
    """Judge what a component is given, its fixed parameters with it, by the fields of its item."""
    refuse_unknown_steps(steps_of(form.document.fulfillment), intake.step_types)
    fixed, late, errors = fixed_values(component, scope)
    own = {name: value for name, value in form.given.items() if name not in component.parameters}
    whole = Form(
        form.document,
        [spec for spec in form.fields if spec.name not in late],
        own | fixed,
        form.texts - component.parameters.keys(),
        form.prefix,
    )
    checked = await judge_form(connection, intake, actor, whole)
    said = [
        FieldError(f"{form.prefix}{name}", "The bundle sets this; leave it out.", "fixed_parameter")
        for name in form.given
        if name in component.parameters
    ]
    judged = JudgedComponent(component, form.document, form.fields, checked.values, is_required)
    return judged, [*errors, *said, *checked.errors]


def fixed_values(
    component: Component, scope: Mapping[str, Any]
) -> tuple[dict[str, Any], frozenset[str], list[FieldError]]:
    """Return the fixed values that are known now, the names of the others, and what failed.

    A template that gives None means "not given".
    """
    known: dict[str, Any] = {}
    late: set[str] = set()
    errors: list[FieldError] = []
    for name, written in component.parameters.items():
        if not all(str(word) in scope for word in _words(written)):
            late.add(name)
            continue
        try:
            value = render(written, scope)
        except TemplateError as error:
            late.add(name)
            errors.append(FieldError(f"{component.key}.{name}", str(error), error.code))
        else:
            if value is not None:
                known[name] = value
    return known, frozenset(late), errors


def made_of_secrets(one: JudgedComponent, bundle: Judged) -> frozenset[str]:
    """Return the fixed parameters that hold one of the bundle's secrets, in fields for anything."""
    secret = {spec.name for spec in bundle.fields if isinstance(spec, SecretField)}
    redactor = Redactor(text for name in secret for text in texts_in(bundle.values.get(name)))
    return frozenset(
        name
        for name, written in one.component.parameters.items()
        if reads(written, secret) and redactor.holds_secret(one.values.get(name))
    )


def providers_of(written: Any) -> tuple[str, ...]:
    """Return the components that the templates in a value read."""
    found = (chain[1] for chain in _chains(written) if chain[0] == "components" and len(chain) > 1)
    return tuple(dict.fromkeys(str(name) for name in found))


def _words(tree: Any) -> Iterator[str | int]:
    """Yield the first word of everything that the templates in a value name."""
    return (chain[0] for chain in _chains(tree))


def _chains(tree: Any) -> Iterator[Sequence[str | int]]:
    if isinstance(tree, str) and has_template(tree):
        yield from (reference.chain for reference in check_template(tree).references)
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from _chains(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _chains(value)


def _decided(component: Component, checked: Checked) -> bool | None:
    """Return what the bundle's fields say of an optional component; None where it is a choice."""
    if component.enabled_when is None:
        return None
    return holds(component.enabled_when, checked.values, checked.dropped)


def _shape_errors(name: str, said: Any) -> Iterator[FieldError]:
    if not isinstance(said, Mapping):
        yield FieldError(name, "This must hold `enabled` and `parameters`.", "wrong_type")
        return
    for key in said:
        if key not in _KEYS:
            text = f"A component has no {quoted(key)}.{did_you_mean(key, _KEYS)}"
            yield FieldError(f"{name}.{key}", text, "unknown_key")
    if not isinstance(said.get("enabled", False), bool):
        yield FieldError(f"{name}.enabled", "This must be true or false.", "wrong_type")
    if not isinstance(said.get("parameters") or {}, Mapping):
        text = "This must hold values by their fields' names."
        yield FieldError(f"{name}.parameters", text, "wrong_type")


def _unavailable(bundle: StoredDocument, component: Component, why: str) -> Conflict:
    return Conflict(
        f"{bundle.display_name} cannot be requested: its component {component.key} is not available",
        why,
        f"Ask {bundle.owner}, who own the bundle",
        code="component_unavailable",
    )
