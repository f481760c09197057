"""What a submission reads and writes: instances it is about, the request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from engine.errors import ConstraintViolated
from engine.foreign_json import clean
from engine.results import Kind
from engine.store import queries
from engine.store.documents import StoredDocument
from engine.store.pool import Connection
from engine.store.rows import jsonb, row_or_none, rows, run, value, values

_sql = queries.load("submission")

ONE_ACTIVE_REQUEST: Final = "uq_service_requests_active_subject"
"""The index by which the database refuses a second active request of an instance."""

PROVIDERS_STAY: Final = "check_dependencies_provider_stays"
"""The rule by which the database refuses that anything new needs what is on its way out."""


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """The request that was submitted under an idempotency key."""

    id: UUID
    request_id: str
    submission_hash: str | None
    requester_user_id: str


@dataclass(frozen=True, slots=True)
class ActiveRequest:
    """The request that is under way about an instance."""

    id: UUID
    request_id: str
    request_type: str


@dataclass(frozen=True, slots=True)
class Member:
    """A living member of a bundle's instance. `providers`: the instances that it needs."""

    id: UUID
    instance_id: str
    instance_name: str
    document_id: UUID
    component: str
    role: str | None
    is_required: bool
    was_provisioned: bool
    providers: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class BegunStep:
    """A step that was begun on an instance at some time, with the commit it was planned at."""

    instance: UUID
    step_name: str
    step_type: str
    step_config: Mapping[str, Any]
    catalog_commit: str | None
    by_hand: bool
    """Whether people completed it, and no attempt did."""
    presentation: Mapping[str, Any]
    targets: Mapping[str, Any]
    """The form, and what an operation was for, as the step's request had them."""


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request to be written. `kind` and `document_id` are None for a decommission."""

    id: UUID
    suffix: str
    type: str
    kind: Kind | None
    document_id: UUID | None
    target: UUID | None
    version: str
    parameters: Mapping[str, Any]
    user_id: str
    team: str
    email: str | None
    key: str | None
    hash: str
    title: str
    source: str
    submitted_by: str
    channel: str | None
    commit: str | None
    plan: Mapping[str, Any]
    not_before: datetime | None


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step to be written. `depends_on` holds step ids of the same request."""

    step_id: str
    step_name: str
    step_type: str
    step_config: Mapping[str, Any]
    position: int
    depends_on: tuple[str, ...]
    component: str | None = None
    section: str = "automation"


@dataclass(frozen=True, slots=True)
class NewMember:
    """A member of a new bundle's instance. `dependencies`: [{on, type, name, required, config}]."""

    component: str
    document: StoredDocument
    instance_name: str
    role: str | None
    is_required: bool
    parameters: Mapping[str, Any]
    dependencies: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Provider:
    """An instance that a new one may depend on."""

    id: UUID
    instance_id: str
    instance_name: str
    instance_state: str
    owner_user_id: str
    owner_team: str
    catalog_version: str
    service_outputs: Mapping[str, Any] | None
    catalog_name: str
    catalog_slug: str
    document_owner: str


@dataclass(frozen=True, slots=True)
class ChosenDependency:
    """A dependency to be written with a new instance."""

    provider: UUID
    type: str
    name: str
    config: Any
    required: bool


async def lock_key(connection: Connection, key: str) -> None:
    """Let one transaction at a time submit under a key."""
    await value(connection, _sql.lock_key, {"key": key})


async def request_of_key(connection: Connection, key: str) -> KeyedRequest | None:
    """Return the request that was submitted under the key."""
    return await row_or_none(connection, _sql.request_of_key, {"key": key}, KeyedRequest)


async def lock_instances(
    connection: Connection, instance_id: UUID, *, members: bool = False
) -> None:
    """Take an instance, and a bundle's members, in the order of their ids."""
    parameters = {"id": instance_id, "members": members}
    await values(connection, _sql.lock_instances, parameters)


async def active_request(connection: Connection, instance_id: UUID) -> ActiveRequest | None:
    """Return the request that is under way about an instance."""
    return await row_or_none(connection, _sql.active_request, {"id": instance_id}, ActiveRequest)


async def members(connection: Connection, instance_id: UUID) -> list[Member]:
    """Return the living members of a bundle's instance; none for an item's."""
    return await rows(connection, _sql.members, {"id": instance_id}, Member)


async def steps_begun(connection: Connection, instance_ids: Sequence[UUID]) -> list[BegunStep]:
    """Return the steps that ever began on instances, decommissions aside, oldest first."""
    return await rows(connection, _sql.steps_begun, {"ids": list(instance_ids)}, BegunStep)


async def count_team_documents(connection: Connection, team: str, document_id: UUID) -> int:
    """Count the team's living instances of an item or bundle; others who count wait meanwhile."""
    parameters = {"team": team, "document_id": document_id}
    await value(connection, _sql.lock_team_documents, parameters)
    return int(await value(connection, _sql.count_team_documents, parameters))


async def next_instance_number(connection: Connection, document_id: UUID) -> int:
    """Return the number for an instance that is given no name."""
    return int(await value(connection, _sql.next_instance_number, {"document_id": document_id}))


async def providers(connection: Connection, instance_ids: Sequence[str]) -> list[Provider]:
    """Return the instances of external ids; unknown ones are left out."""
    return await rows(connection, _sql.providers, {"instance_ids": list(instance_ids)}, Provider)


async def insert_request(connection: Connection, request: NewRequest) -> str | None:
    """Write a request as `submitted`; return its external id.

    None, and nothing is written, where its target has an active request already.
    """
    parameters = {
        "id": request.id,
        "suffix": request.suffix,
        "type": request.type,
        "kind": request.kind,
        "document_id": request.document_id,
        "target": request.target,
        "version": request.version,
        "parameters": jsonb(request.parameters),
        "user_id": request.user_id,
        "team": request.team,
        "email": request.email,
        "key": request.key,
        "hash": request.hash,
        "title": clean(request.title),
        "source": request.source,
        "submitted_by": request.submitted_by,
        "channel": request.channel,
        "commit": request.commit,
        "plan": jsonb(request.plan),
        "not_before": request.not_before,
    }
    if request.target is None:
        return str(await value(connection, _sql.insert_request, parameters))
    try:
        async with connection.transaction():
            return str(await value(connection, _sql.insert_request, parameters))
    except ConstraintViolated as error:
        if error.constraint != ONE_ACTIVE_REQUEST:
            raise
        return None


async def insert_steps(
    connection: Connection, request_id: UUID, steps: Sequence[PlannedStep]
) -> None:
    """Write the steps of a request, not due yet."""
    planned = [
        {
            "step_id": step.step_id,
            "step_name": step.step_name,
            "step_type": step.step_type,
            "step_config": step.step_config,
            "position": step.position,
            "depends_on": step.depends_on,
            "waiting_on": len(step.depends_on),
            "component": step.component,
            "section": step.section,
        }
        for step in steps
    ]
    await run(connection, _sql.insert_steps, {"request_id": request_id, "steps": jsonb(planned)})


async def reserve_instance(connection: Connection, request_id: UUID, name: str) -> UUID:
    """Make the instance of a create, in state provisioning; return its id."""
    found = await value(connection, _sql.reserve_instance, {"id": request_id, "name": name})
    return UUID(str(found))


async def reserve_members(
    connection: Connection, request_id: UUID, members: Sequence[NewMember]
) -> dict[str, UUID]:
    """Make the members of a bundle's create, connected; return their ids by component."""
    wanted = [
        {
            "component": member.component,
            "catalog_item_id": str(member.document.id),
            "catalog_item_name": member.document.name,
            "catalog_version": member.document.version,
            "instance_name": clean(member.instance_name),
            "role": member.role,
            "is_required": member.is_required,
            "parameters": member.parameters,
            "dependencies": member.dependencies,
        }
        for member in members
    ]
    parameters = {"id": request_id, "members": jsonb(wanted)}
    found = await value(connection, _sql.reserve_members, parameters)
    return {component: UUID(id_) for component, id_ in found.items()}


async def insert_dependencies(
    connection: Connection,
    request_id: UUID,
    instance_id: UUID,
    chosen: Sequence[ChosenDependency],
) -> None:
    """Connect a new instance with its providers.

    ConstraintViolated where a provider is on its way out, or the instance itself.
    """
    dependencies = [
        {
            "provider": str(dependency.provider),
            "type": dependency.type,
            "name": dependency.name,
            "config": dependency.config,
            "required": dependency.required,
        }
        for dependency in chosen
    ]
    parameters = {
        "request_id": request_id,
        "instance_id": instance_id,
        "dependencies": jsonb(dependencies),
    }
    await run(connection, _sql.insert_dependencies, parameters)
