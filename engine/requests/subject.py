"""What a step is about: the document, instance and parameters of its request, or of its component.

A bundle is one request, but each of its components is rendered as if it had been ordered alone: by
its own document, for its own instance, with the steps of the component under their plain names.

    create         the parameters asked for
    update, upgrade  the same, and what the targets name of the instance's own
    decommission   what the instance was made with, and what the steps of its create gave
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.store.claimed import ClaimedMember, ClaimedRequest

COMPONENTS = "components"


@dataclass(frozen=True, slots=True)
class StepSubject:
    """What the templates of a step are rendered from; secrets still as references.

    `parameters` are the values asked for, `fields` every field by name, None where it has no value.
    """

    document: Mapping[str, Any]
    catalog_item: Mapping[str, Any]
    parameters: Mapping[str, Any]
    fields: Mapping[str, Any]
    instance: Mapping[str, Any]
    dependencies: Mapping[str, Any]
    steps: Mapping[str, Any]


def step_subject(request: ClaimedRequest, component: str | None) -> StepSubject:
    """Return what the steps of the request itself (None), or of one component, are about."""
    plan = part_of(request.plan, component)
    document: Mapping[str, Any] = plan.get("document") or {}
    parameters = _parameters(request, component)
    fields = dict.fromkeys([*field_names(plan.get("presentation") or {}), *plan.get("names", ())])
    if request.request_type in ("update", "upgrade"):
        known = request.deployment_parameters or {}
        fields |= {name: known.get(name) for name in target_parameters(request.plan.get("targets"))}
    return StepSubject(
        document=document,
        catalog_item=request.plan.get("instance_item") or document,
        parameters=parameters,
        fields={**fields, **parameters},
        instance=_instance(request, component),
        dependencies=_dependencies(request, component),
        steps=_steps(request, component),
    )


def part_of(plan: Mapping[str, Any], component: str | None) -> Mapping[str, Any]:
    """Return the plan of a component, or the whole where none is asked for."""
    if component is None:
        return plan
    part: Mapping[str, Any] = (plan.get(COMPONENTS) or {}).get(component) or {}
    return part


def fulfillment_of(plan: Mapping[str, Any], component: str | None) -> Mapping[str, Any]:
    """Return how a component, or the request's own document, is fulfilled."""
    own = part_of(plan, component).get("fulfillment")
    found: Mapping[str, Any] = own or plan.get("fulfillment") or {}
    return found


def component_outputs(request: ClaimedRequest) -> dict[str, Any]:
    """Return what templates see as `components`: None for one that is off."""
    planned = request.plan.get(COMPONENTS) or {}
    return {
        name: _connected(request.members[name]) if name in request.members else None
        for name in planned
    }


def field_names(presentation: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of all fields of a presentation as written."""
    return (field["name"] for field in written_fields(presentation))


def written_fields(presentation: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield all fields of a presentation as written, in the form's order."""
    for key in ("fields", "bundle_fields"):
        yield from presentation.get(key) or ()
    for group in presentation.get("groups") or ():
        yield from group.get("fields") or ()


def asked_of(request: ClaimedRequest, component: str | None) -> Mapping[str, Any]:
    """Return the parameters that a request asks for, or those of one of its components."""
    asked = request.parameters
    if component is not None:
        own: Mapping[str, Any] = (asked.get(COMPONENTS) or {}).get(component) or {}
        return own
    if COMPONENTS in request.plan and COMPONENTS in asked:
        return {name: value for name, value in asked.items() if name != COMPONENTS}
    return asked


def _parameters(request: ClaimedRequest, component: str | None) -> Mapping[str, Any]:
    asked = asked_of(request, component)
    if request.request_type != "decommission":
        return asked
    member = _member(request, component)
    made_with = member.deployment_parameters if member else request.deployment_parameters
    return {**(made_with or {}), **asked}


def target_parameters(targets: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield the parameters of the instance that an operation's `targets`, as written, name."""
    for target in (targets or {}).get("catalog_items") or ():
        yield from target.get("required_parameters") or ()
        yield from target.get("optional_parameters") or ()


def _instance(request: ClaimedRequest, component: str | None) -> dict[str, Any]:
    member = _member(request, component)
    known: dict[str, Any] = (
        {"id": member.instance_id, "name": member.instance_name}
        if member
        else {"id": request.instance_id, "name": request.instance_name}
    )
    if request.request_type == "create":
        return known
    if member:
        return known | {
            "outputs": member.outputs,
            "parameters": member.deployment_parameters,
            "version": member.catalog_version,
        }
    return known | {
        "outputs": request.service_outputs or {},
        "parameters": request.deployment_parameters or {},
        "version": request.instance_version,
    }


def _dependencies(request: ClaimedRequest, component: str | None) -> Mapping[str, Any]:
    member = _member(request, component)
    return member.dependencies if member else request.dependencies


def _steps(request: ClaimedRequest, component: str | None) -> dict[str, Any]:
    """Return the steps of the same component by name; the outputs of one that gave none are None.

    What destroys has the name of what made, and gives nothing: the earlier outputs stand.
    """
    prefix = f"{component}/" if component else ""
    outputs = {
        step_id.removeprefix(prefix): outputs
        for step_id, outputs in request.steps.items()
        if step_id.startswith(prefix)
    }
    for name, earlier in (request.past_steps.get(component) or {}).items():
        outputs[name] = outputs.get(name) or earlier
    return {name: {"outputs": outputs} for name, outputs in outputs.items()}


def _member(request: ClaimedRequest, component: str | None) -> ClaimedMember | None:
    return request.members.get(component) if component is not None else None


def _connected(member: ClaimedMember) -> dict[str, Any]:
    return {
        "instance_id": member.instance_id,
        "name": member.instance_name,
        "outputs": member.outputs,
    }
