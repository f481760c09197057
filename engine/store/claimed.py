"""What claimed steps are rendered from: their requests, and what those are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import rows

_sql = queries.load("claimed")


@dataclass(frozen=True, slots=True)
class ClaimedRequest:
    """What the steps of a request are rendered from."""

    id: UUID
    request_id: str
    request_type: str
    plan: Mapping[str, Any]
    parameters: Mapping[str, Any]
    requester_user_id: str
    requester_team: str | None
    requester_email: str | None
    requester_name: str
    catalog_commit: str | None
    instance_id: str | None
    instance_name: str | None
    instance_version: str | None
    service_outputs: Mapping[str, Any] | None
    deployment_parameters: Mapping[str, Any] | None
    steps: Mapping[str, Any]
    """The outputs of its steps by id; None of a step that gave none."""
    dependencies: Mapping[str, Any]
    members: Mapping[str, ClaimedMember] = field(default_factory=dict)
    """Of a bundle: the instance of each component that is on."""
    past_steps: Mapping[str | None, Mapping[str, Any]] = field(default_factory=dict)
    """Of a decommission: what the steps of all that was done before gave, by component and name."""

    @property
    def is_destructive(self) -> bool:
        """Whether its document was declared so; what makes or ends an instance always is."""
        makes_or_ends = self.request_type in ("create", "decommission")
        return bool(self.plan.get("destructive", makes_or_ends))

    def instance_of(self, component: str | None) -> str | None:
        """Return the external id of the instance that a step is about: a component's own."""
        member = self.members.get(component or "")
        return member.instance_id if member else self.instance_id


@dataclass(frozen=True, slots=True)
class ClaimedMember:
    """A member of the bundle that a request is about; `outputs` are what its component gave so far."""

    request_id: UUID
    component: str
    id: UUID
    instance_id: str
    instance_name: str
    catalog_version: str
    deployment_parameters: Mapping[str, Any]
    outputs: Mapping[str, Any]
    dependencies: Mapping[str, Any]


async def requests_of(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, ClaimedRequest]:
    """Return what the steps of these requests are rendered from."""
    parameters = {"ids": list(ids)}
    found = await rows(connection, _sql.requests_of_claims, parameters, ClaimedRequest)
    requests_by_id = {request.id: request for request in found}
    return requests_by_id | await _with_what_they_are_about(connection, found)


async def _with_what_they_are_about(
    connection: Connection, found: Sequence[ClaimedRequest]
) -> dict[UUID, ClaimedRequest]:
    """Return the requests about bundles, and those that end something, with what their steps see."""
    ending = [one.id for one in found if one.request_type == "decommission"]
    bundles = [one.id for one in found if one.plan.get("components")]
    if not ending and not bundles:
        return {}
    parameters = {"ids": [*ending, *bundles]}
    members = await rows(connection, _sql.members_of_requests, parameters, ClaimedMember)
    made = await rows(connection, _sql.steps_of_past, {"ids": ending}, _PastStep)
    return {
        one.id: replace(
            one,
            members={m.component: m for m in members if m.request_id == one.id},
            past_steps=_by_component(step for step in made if step.request_id == one.id),
        )
        for one in found
        if one.id in parameters["ids"]
    }


def _by_component(steps: Iterable[_PastStep]) -> dict[str | None, dict[str, Any]]:
    """Return what steps gave by component and name; later outputs of one name over earlier ones."""
    found: dict[str | None, dict[str, Any]] = {}
    for step in steps:
        named = found.setdefault(step.component, {})
        earlier = named.get(step.step_name)
        named[step.step_name] = {**(earlier or {}), **step.outputs} if step.outputs else earlier
    return found


@dataclass(frozen=True, slots=True)
class _PastStep:
    request_id: UUID
    component: str | None
    step_name: str
    outputs: Any
