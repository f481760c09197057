"""What a form asks of the components of a bundle."""

from __future__ import annotations

from collections.abc import Sequence

from engine.catalog import search
from engine.catalog.documents import load_bundle
from engine.errors import Conflict
from engine.people.permissions import Denied
from engine.requests.bundles import items_of
from engine.requests.components import asked_fields, available
from engine.requests.judging import held_document
from engine.results import Actor, ComponentForm
from engine.store.pool import Connection


async def component_forms(
    connection: Connection, actor: Actor, name: str
) -> Sequence[ComponentForm]:
    """Return the forms of a bundle's components, required ones first.

    An optional component that cannot be had is left out. Raises NotFound for an unknown bundle, and
    Conflict or Denied, with the reason, where a required component cannot be had.
    """
    document = await held_document(connection, actor, "CatalogBundle", name)
    bundle = load_bundle(document.bundle or {})
    items = await items_of(connection, bundle)
    forms: list[ComponentForm] = []
    for component in bundle.components:
        is_required = component in bundle.required_items
        try:
            item = available(actor, document, component, items[component.key])
        except (Conflict, Denied):
            if is_required:
                raise
            continue
        forms.append(
            ComponentForm(
                name=component.key,
                display_name=item.display_name,
                required=is_required,
                enabled=is_required or component.starts_enabled,
                enabled_when=component.enabled_when,
                role=component.role,
                fields=asked_fields(component, item),
                fixed=component.parameters,
                details=await search.details(connection, actor, item.name, "CatalogItem"),
                version=item.version,
                provided={edge.name or edge.on: edge.on for edge in component.dependencies},
            )
        )
    return forms
