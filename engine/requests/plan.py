"""The plan of a request: what is done, as the document stood when it was submitted.

The plan is kept with the request (service_requests.plan: the document's sections, unrendered) and as
its steps (request_steps). A later sync never changes a request in flight.

A step waits for what `depends_on` names, else for the step before it (`step_graph`). A rollback's
steps are planned beside the automation's and stay without a due time until a failure needs them.
One component gives one sequence; the steps of several are told apart by `<component>/<step>`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from engine.catalog.documents import Fulfillment
from engine.catalog.steps import BaseStep, step_graph
from engine.store.requests import ItemRow, PlannedStep

Section = Literal["automation", "rollback"]
ROLLBACK_PREFIX: Final = "rollback:"
"""Before the step id of a rollback's step: its name may be an automation step's too."""


def plan_steps(
    fulfillment: Fulfillment,
    raw: Mapping[str, Any],
    *,
    component: str | None = None,
    first: int = 0,
) -> tuple[PlannedStep, ...]:
    """Return the steps of one component, automation first; none for a manual-only document.

    `raw` is the same fulfillment as written: a step's configuration is kept unrendered. `first` is
    the position of the first step.
    """
    sections: list[tuple[Section, Sequence[BaseStep]]] = []
    if fulfillment.automation:
        sections.append(("automation", fulfillment.automation.steps))
        if fulfillment.rollback:
            sections.append(("rollback", fulfillment.rollback.steps))
    planned: list[PlannedStep] = []
    for section, steps in sections:
        written = raw[section]["steps"]
        planned += _sequence(section, steps, written, component, first + len(planned))
    return tuple(planned)


def plan_document(item: ItemRow, content_hash: str) -> dict[str, Any]:
    """Return service_requests.plan of a create: the document's sections as written."""
    return {
        "document": {
            "kind": item.kind,
            "name": item.name,
            "slug": item.slug,
            "display_name": item.display_name,
            "version": item.version,
            "description": item.description,
            "owner": item.owner,
            "tags": item.tags,
            "category": item.category,
            "icon": item.icon,
            "channel": item.channel,
            "path": item.source_file_path,
        },
        "presentation": item.presentation,
        "fulfillment": item.fulfillment,
        "dependencies": item.dependencies,
        "approval": item.approval,
        "destructive": True,
        "content_hash": content_hash,
    }


def _sequence(
    section: Section,
    steps: Sequence[BaseStep],
    written: Sequence[Mapping[str, Any]],
    component: str | None,
    first: int,
) -> list[PlannedStep]:
    graph = step_graph(steps)
    return [
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
    ]


def _step_id(section: Section, component: str | None, name: str) -> str:
    local = f"{ROLLBACK_PREFIX}{name}" if section == "rollback" else name
    return f"{component}/{local}" if component else local
