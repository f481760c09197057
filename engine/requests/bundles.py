"""The order of a bundle: its members, each by its item's own form and steps, as one request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.catalog.bundles import component_graph
from engine.catalog.documents import (
    Bundle,
    Component,
    load_bundle,
    load_fulfillment,
    load_presentation,
)
from engine.people.permissions import Action
from engine.requests import dependencies
from engine.requests.components import (
    asked_dependencies,
    available,
    component_form,
    early_scope,
    judge_component,
    switch_errors,
    switched_on,
)
from engine.requests.dependencies import Wanted
from engine.requests.judging import (
    Form,
    Intake,
    Judged,
    JudgedComponent,
    Planned,
    held_document,
    judge_form,
    named,
    refuse_stale,
    refuse_unrequestable,
)
from engine.requests.plan import joined, manual_step, plan_document, plan_part, plan_steps
from engine.results import Actor, Submission
from engine.store import documents
from engine.store.documents import StoredDocument
from engine.store.pool import Connection
from engine.store.submission import PlannedStep


@dataclass(frozen=True, slots=True)
class BundleOrder:
    """A new instance of a bundle, with its members (judging.Order).

    `items`: the catalog's document of each component; None where there is none.
    """

    document: StoredDocument
    bundle: Bundle
    items: Mapping[str, StoredDocument | None]
    request_type: Literal["create"] = "create"
    action: Literal[Action.REQUEST] = Action.REQUEST
    target: None = None
    told: tuple[()] = ()

    @property
    def heading(self) -> str:
        """The document's name."""
        return self.document.display_name

    @property
    def version(self) -> str:
        """The document's version."""
        return self.document.version

    def forms(self, submission: Submission) -> tuple[Form, ...]:
        """Return what was given for the bundle's own fields, then for each component's."""
        own = load_presentation(self.document.presentation).all_fields
        return (
            Form(self.document, own, submission.parameters, submission.texts),
            *(
                component_form(component, item, submission)
                for component in self.bundle.components
                if (item := self.items[component.key]) is not None
            ),
        )

    def refuse(self, intake: Intake, submission: Submission) -> None:  # noqa: ARG002 (Order)
        """Raise where the bundle takes no requests, or not this form's."""
        refuse_unrequestable(self.document)
        refuse_stale(self.document, submission)

    async def judge(
        self, connection: Connection, intake: Intake, actor: Actor, submission: Submission
    ) -> Judged:
        """Judge the bundle's values, then what is on, then each component by its item's fields.

        Raises Conflict or Denied where a component that is on cannot be had.
        """
        own, *_ = self.forms(submission)
        checked = await judge_form(connection, intake, actor, own)
        on = switched_on(self.bundle, checked, submission)
        errors = [*checked.errors, *switch_errors(self.bundle, submission, on)]
        scope = early_scope(actor, self.document, own.fields, checked.values)
        components: dict[str, JudgedComponent] = {}
        for component in self.bundle.components:
            if component.key in on:
                item = available(actor, self.document, component, self.items[component.key])
                components[component.key], wrong = await judge_component(
                    connection,
                    intake,
                    actor,
                    component_form(component, item, submission),
                    component=component,
                    is_required=component in self.bundle.required_items,
                    scope=scope,
                )
                errors += wrong
        wanted = await self._wanted(connection, actor, submission, components)
        return Judged(own.fields, checked.values, tuple(errors), components, wanted)

    def planned(self, judged: Judged) -> Planned:
        """Return the steps of all components that are on, and the plan with those that are off."""
        on = judged.components
        graph = {
            key: tuple(other for other in before if other in on)
            for key, before in component_graph(self.bundle).items()
        }
        sequences = {key: component_steps(key, one.document) for key, one in on.items()}
        plan = plan_document(self.document) | {
            "bundle": self.document.bundle,
            "components": {
                component.key: self._part(component, graph[component.key], component.key in on)
                for component in self.bundle.components
            },
        }
        return Planned(plan, joined(sequences, graph))

    def _part(self, component: Component, before: Sequence[str], is_on: bool) -> dict[str, Any]:
        item = self.items[component.key]
        part = {} if item is None else plan_part(item) | {"approval": item.approval}
        return part | {
            "catalog_item_id": str(item.id) if item else None,
            "role": component.role,
            "required": component in self.bundle.required_items,
            "enabled": is_on,
            "parameters": component.parameters,
            "depends_on": before if is_on else (),
            "dependencies": edges(component),
        }

    async def _wanted(
        self,
        connection: Connection,
        actor: Actor,
        submission: Submission,
        components: Mapping[str, JudgedComponent],
    ) -> dict[str | None, Wanted]:
        """Judge the existing instances that the bundle and its components are connected with."""
        chosen = _by_component(submission.dependencies, components)
        own = dependencies.asked_by(self.document)
        wanted: dict[str | None, Wanted] = {
            None: await dependencies.judge(connection, actor, own, chosen[None])
        }
        for key, one in components.items():
            asked = asked_dependencies(one.component, one.document, components.keys())
            wanted[key] = await dependencies.judge(connection, actor, asked, chosen[key], f"{key}.")
        return wanted


async def find(connection: Connection, actor: Actor, submission: Submission) -> BundleOrder:
    """Return the order of the bundle that is named."""
    return await bundle_order(connection, actor, submission.bundle or "")


async def bundle_order(connection: Connection, actor: Actor, name: str) -> BundleOrder:
    """Return the order of a bundle; NotFound, or Denied with the same words, as for an item."""
    await documents.hold_items_of_bundle(connection, name)
    document = await held_document(connection, actor, "CatalogBundle", name)
    bundle = load_bundle(document.bundle or {})
    return BundleOrder(document, bundle, await _items(connection, bundle))


async def _items(connection: Connection, bundle: Bundle) -> dict[str, StoredDocument | None]:
    """Return the document of each component, by its key, held against syncs."""
    names = sorted({component.catalog_item for component in bundle.components})
    found = await documents.held_documents(connection, "CatalogItem", names)
    return {c.key: named(found, c.catalog_item) for c in bundle.components}


def component_steps(key: str, item: StoredDocument) -> tuple[PlannedStep, ...]:
    """Return the steps of a component; of one without automation the one that waits for people."""
    steps = plan_steps(load_fulfillment(item.fulfillment), item.fulfillment, component=key)
    return steps or (manual_step("manual", "fulfillment", component=key),)


def edges(component: Component) -> list[dict[str, Any]]:
    """Return the connections of a component with others, as reserve_bundle_members takes them."""
    return [
        {
            "on": edge.on,
            "type": edge.type,
            "name": edge.name or edge.on,
            "required": edge.required,
            "config": edge.config,
        }
        for edge in component.dependencies
    ]


def _by_component(
    named_instances: Mapping[str, str], components: Collection[str]
) -> defaultdict[str | None, dict[str, str]]:
    """Return the chosen instances by whose they are: `<component>.<name>`, else the bundle's own."""
    chosen: defaultdict[str | None, dict[str, str]] = defaultdict(dict)
    for path, instance_id in named_instances.items():
        component, _, name = path.partition(".")
        if name and component in components:
            chosen[component][name] = instance_id
        else:
            chosen[None][path] = instance_id
    return chosen
