"""What a form asks of the components of a bundle."""

from __future__ import annotations

from collections.abc import Sequence

from engine.catalog import search
from engine.errors import Conflict
from engine.people.permissions import Denied
from engine.requests.bundles import bundle_order
from engine.requests.components import asked_fields, available
from engine.results import Actor, ComponentForm
from engine.store.pool import Connection


async def component_forms(
    connection: Connection, actor: Actor, name: str
) -> Sequence[ComponentForm]:
    """Return the forms of a bundle's components, required ones first.

    An optional component that cannot be had is left out. Raises NotFound for an unknown bundle, and
    Conflict or Denied, with the reason, where a required component cannot be had.
    """
    order = await bundle_order(connection, actor, name)
    forms: list[ComponentForm] = []
    for component in order.bundle.components:
        is_required = component in order.bundle.required_items
        try:
            item = available(actor, order.document, component, order.items[component.key])
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
