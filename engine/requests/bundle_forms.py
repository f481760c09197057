"""What a form asks of the components of a bundle."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from engine.catalog import search
from engine.catalog.documents import Component, load_presentation
from engine.catalog.fields import SecretField
from engine.catalog.values import check_values
from engine.errors import Conflict
from engine.people.permissions import Denied
from engine.requests.bundles import bundle_order
from engine.requests.components import (
    asked_fields,
    available,
    early_scope,
    fixed_values,
    providers_of,
)
from engine.results import SECRET_DOTS, Actor, ComponentForm
from engine.store.documents import StoredDocument
from engine.store.pool import Connection


async def component_forms(
    connection: Connection,
    actor: Actor,
    name: str,
    values: Mapping[str, Any] | None = None,
    texts: Collection[str] = (),
) -> Sequence[ComponentForm]:
    """Return the forms of a bundle's components, required ones first.

    `values` (`texts` of them as typed) are what the bundle's own fields hold so far: what the bundle
    fixes is rendered as far as they tell it. Without them it stays as written.

    An optional component that cannot be had is left out. Raises NotFound for an unknown bundle, and
    Conflict or Denied, with the reason, where a required component cannot be had.
    """
    order = await bundle_order(connection, actor, name)
    scope = None if values is None else _scope(actor, order.document, values, texts)
    forms: list[ComponentForm] = []
    for component in order.bundle.components:
        is_required = component in order.bundle.required_items
        try:
            item = available(actor, order.document, component, order.items[component.key])
        except (Conflict, Denied):
            if is_required:
                raise
            continue
        fixed, late = _fixed(component, scope)
        forms.append(
            ComponentForm(
                name=component.key,
                display_name=item.display_name,
                required=is_required,
                enabled=is_required or component.starts_enabled,
                enabled_when=component.enabled_when,
                role=component.role,
                fields=asked_fields(component, item),
                fixed=fixed,
                details=await search.details(connection, actor, item.name, "CatalogItem"),
                version=item.version,
                provided={edge.name or edge.on: edge.on for edge in component.dependencies},
                late=late,
            )
        )
    return forms


def _scope(
    actor: Actor, document: StoredDocument, values: Mapping[str, Any], texts: Collection[str]
) -> dict[str, Any]:
    """Return what fixed parameters may read, of a form that is half filled; secrets as dots.

    What is made of one is shown, whatever the type of its field.
    """
    fields = load_presentation(document.presentation).all_fields
    checked = check_values(fields, values, texts=texts, partial=True)
    secret = {spec.name for spec in fields if isinstance(spec, SecretField)}
    shown = {name: SECRET_DOTS if name in secret else one for name, one in checked.values.items()}
    return early_scope(actor, document, fields, shown)


def _fixed(
    component: Component, scope: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """Return what the bundle fixes, rendered where that can be, and where the rest comes from.

    What is rendered to nothing is None: not asked, and not given either.
    """
    written = component.parameters
    if scope is None:
        return dict(written), {}
    known, late, _ = fixed_values(component, scope)
    fixed = {name: value if name in late else known.get(name) for name, value in written.items()}
    return fixed, {name: providers_of(written[name]) for name in written if name in late}
