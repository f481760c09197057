"""The plan of a request: what is done, as the document stood when it was submitted.

The plan is kept with the request (service_requests.plan: the document's sections, unrendered) and as
its steps (request_steps). A later sync never changes a request in flight.

A step waits for what `depends_on` names, else for the step before it (`step_graph`). A rollback's
steps are planned beside the automation's and stay without a due time until a failure needs them.

One component of a bundle gives one sequence; the steps of several are told apart by
`<component>/<step>`. The first steps of a component wait for the last ones of those it needs, so
what does not need each other runs at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from engine.catalog.documents import Automation, Fulfillment
from engine.catalog.steps import BaseStep, step_graph
from engine.store.documents import StoredDocument
from engine.store.submission import PlannedStep

Section = Literal["automation", "rollback"]
ROLLBACK_PREFIX: Final = "rollback:"
"""Before the step id of a rollback's step: its name may be an automation step's too."""

MANUAL: Final = "manual"
"""The type of a step that waits for people's work; no document can name it."""


def plan_steps(
    fulfillment: Fulfillment, raw: Mapping[str, Any], *, component: str | None = None
) -> tuple[PlannedStep, ...]:
    """Return the steps of one document, automation first; none for a manual-only one.

    `raw` is the same fulfillment as written: a step's configuration is kept unrendered.
    """
    if fulfillment.automation is None:
        return ()
    planned = automation_steps(fulfillment.automation, raw["automation"], component=component)
    if fulfillment.rollback:
        steps, written = fulfillment.rollback.steps, raw["rollback"]["steps"]
        planned += _sequence("rollback", steps, written, component, len(planned))
    return planned


def automation_steps(
    automation: Automation, raw: Mapping[str, Any], *, component: str | None = None
) -> tuple[PlannedStep, ...]:
    """Return the steps of an `automation` section."""
    return _sequence("automation", automation.steps, raw["steps"], component, 0)


def manual_step(
    name: str,
    ticket_type: str,
    *,
    component: str | None = None,
    after: Sequence[PlannedStep] = (),
) -> PlannedStep:
    """Return a step that waits for a ticket of a type to be resolved, after all others of `after`."""
    return PlannedStep(
        step_id=f"{component}/{name}" if component else name,
        step_name=name,
        step_type=MANUAL,
        step_config={"name": name, "type": ticket_type},
        position=len(after),
        depends_on=tuple(_last(after)),
        component=component,
    )


def joined(
    sequences: Mapping[str, Sequence[PlannedStep]], before: Mapping[str, Sequence[str]]
) -> tuple[PlannedStep, ...]:
    """Return the steps of all sequences as one plan.

    `before` names, by sequence, those that come first, without a circle. One without steps hands on
    what it waits for itself.
    """
    ends: dict[str, tuple[str, ...]] = {}

    def begins_after(name: str) -> tuple[str, ...]:
        waited = [id_ for other in before.get(name, ()) for id_ in ends_of(other)]
        return tuple(dict.fromkeys(waited))

    def ends_of(name: str) -> tuple[str, ...]:
        if name not in ends:
            steps = sequences.get(name, ())
            ends[name] = tuple(_last(steps)) if steps else begins_after(name)
        return ends[name]

    planned: list[PlannedStep] = []
    for name, steps in sequences.items():
        first = begins_after(name)
        for step in steps:
            waits = step.depends_on
            if step.section == "automation" and not waits:
                waits = first
            planned.append(replace(step, depends_on=waits, position=len(planned)))
    return tuple(planned)


def plan_document(document: StoredDocument) -> dict[str, Any]:
    """Return service_requests.plan of a create: the document's sections as written."""
    return {
        **plan_part(document),
        "dependencies": document.dependencies,
        "approval": document.approval,
        "destructive": True,
        "content_hash": document.content_hash,
    }


def plan_part(document: StoredDocument) -> dict[str, Any]:
    """Return what a plan keeps of a document: its header, its form, its fulfillment."""
    return {
        "document": {
            **header(document),
            "icon": document.icon,
            "channel": document.channel,
            "path": document.source_file_path,
        },
        "presentation": document.presentation,
        "fulfillment": document.fulfillment,
    }


def header(document: StoredDocument) -> dict[str, Any]:
    """Return what templates see of a document, and its kind."""
    return {
        "kind": document.kind,
        "name": document.name,
        "slug": document.slug,
        "display_name": document.display_name,
        "version": document.version,
        "description": document.description,
        "owner": document.owner,
        "tags": document.tags,
        "category": document.category,
    }


def _last(steps: Sequence[PlannedStep]) -> Iterator[str]:
    """Yield the ids of the steps that no other one waits for; a rollback's do not count."""
    own = [step for step in steps if step.section == "automation"]
    waited_for = {id_ for step in own for id_ in step.depends_on}
    yield from (step.step_id for step in own if step.step_id not in waited_for)


def _sequence(
    section: Section,
    steps: Sequence[BaseStep],
    written: Sequence[Mapping[str, Any]],
    component: str | None,
    first: int,
) -> tuple[PlannedStep, ...]:
    graph = step_graph(steps)
    return tuple(
        PlannedStep(
            step_id=_step_id(section, component, step.name),
            step_name=step.name,
            step_type=step.type,
            step_config=raw,
            position=first + index,
            depends_on=tuple(_step_id(section, component, name) for name in graph[step.name]),
            component=component,
            section=section,
        )
        for index, (step, raw) in enumerate(zip(steps, written, strict=True))
    )


def _step_id(section: Section, component: str | None, name: str) -> str:
    local = f"{ROLLBACK_PREFIX}{name}" if section == "rollback" else name
    return f"{component}/{local}" if component else local
