"""Instances as rows: lists by keyset, one instance whole, its dependencies, history and operations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from engine.foreign_json import clean
from engine.results import (
    DecommissionCheck,
    DependencyView,
    HistoryEntry,
    MemberView,
    OperationView,
    TimelineEntry,
)
from engine.store import queries
from engine.store.pool import Connection
from engine.store.rows import row_or_none, rows, value, values

Direction = Literal["providers", "dependents", "both"]

_sql = queries.load("instances")
_ID = re.compile(r"[a-z0-9-]+")
_NEWEST: Final = "infinity"
"""PostgreSQL's timestamp after all others: where a list begins, so that its plan is that of any page."""

_HIGHEST_ID: Final = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """An instance whole, secrets still as references to their ciphertexts."""

    id: UUID
    instance_id: str
    instance_name: str
    instance_state: str
    catalog_item: str | None
    catalog_bundle: str | None
    document_owner: str
    catalog_version: str
    owner_user_id: str
    owner_team: str
    owner_email: str | None
    deployment_parameters: Mapping[str, Any]
    deployed_resources: Sequence[Mapping[str, Any]]
    service_outputs: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    provisioned_at: datetime | None
    decommissioned_at: datetime | None
    creation_request_id: str | None
    open_requests: Sequence[str]


@dataclass(frozen=True, slots=True)
class ListedInstance:
    """An instance as lists show it; (created_at, id) is its place in them."""

    id: UUID
    instance_id: str
    instance_name: str
    instance_state: str
    catalog_name: str
    catalog_version: str
    owner_user_id: str
    owner_team: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """Which instances a list shows.

    The first four say who owns them, each adding to what is shown: `everything`, an owner, teams,
    the teams that own the documents. The others narrow it: `text` is words that must each begin a
    word of the name, the id or the item's name. `before` is the place of the last one seen.
    """

    everything: bool = False
    owner: str | None = None
    teams: tuple[str, ...] = ()
    document_owners: tuple[str, ...] = ()
    state: str | None = None
    item: str | None = None
    text: str | None = None
    before: tuple[datetime, UUID] | None = None
    limit: int = 20


async def page(connection: Connection, wanted: InstanceFilter) -> list[ListedInstance]:
    """Return up to `limit` instances, newest first."""
    return await rows(connection, _sql.list_instances, list_parameters(wanted), ListedInstance)


def list_parameters(wanted: InstanceFilter) -> dict[str, Any]:
    """Return the parameters of the list's query."""
    before, before_id = wanted.before or (_NEWEST, _HIGHEST_ID)
    return {
        "everything": wanted.everything,
        "owner": wanted.owner,
        "teams": list(wanted.teams),
        "document_owners": list(wanted.document_owners),
        "state": wanted.state,
        "item": clean(wanted.item),
        "patterns": word_patterns(wanted.text or ""),
        "before": before,
        "before_id": before_id,
        "limit": wanted.limit,
    }


async def matching_ids(connection: Connection, word: str) -> list[UUID]:
    """Return the instances that an external id, or the beginning of one, may mean."""
    if not _ID.fullmatch(word):
        return []
    exact = await values(connection, _sql.ids_exact, {"word": word})
    return exact or await values(connection, _sql.ids_like, {"word": word})


async def instance_row(connection: Connection, instance_id: UUID) -> InstanceRow | None:
    """Return one instance."""
    return await row_or_none(connection, _sql.instance_by_id, {"id": instance_id}, InstanceRow)


async def dependencies(
    connection: Connection, instance_id: UUID, direction: Direction = "both"
) -> list[DependencyView]:
    """Return what an instance needs, what needs it, or both; InvalidInput for another direction."""
    parameters = {"id": instance_id, "direction": direction}
    return await rows(connection, _sql.dependencies, parameters, DependencyView)


async def members(connection: Connection, instance_id: UUID) -> list[MemberView]:
    """Return what a bundle consists of; nothing for an item's instance."""
    return await rows(connection, _sql.members, {"id": instance_id}, MemberView)


async def bundles(connection: Connection, instance_id: UUID) -> list[MemberView]:
    """Return the bundles that an instance is a member of."""
    return await rows(connection, _sql.bundles, {"id": instance_id}, MemberView)


async def operations_due(
    connection: Connection, instance_ids: Sequence[UUID], *, teams: Sequence[str], sees_all: bool
) -> dict[UUID, list[str]]:
    """Return the names of what is eligible for each of some instances, as last evaluated.

    Only what is open to somebody of these teams, or everything.
    """
    due: dict[UUID, list[str]] = {id_: [] for id_ in instance_ids}
    asked = {"ids": list(instance_ids), "teams": list(teams), "sees_all": sees_all}
    for one in await rows(connection, _sql.operations_due, asked, _Due):
        due[one.instance_id].append(one.name)
    return due


async def refresh_eligibility(connection: Connection, limit: int) -> int:
    """Judge again what changed or expired; return how much was taken: below `limit` that was all."""
    return int(await value(connection, _sql.refresh_eligibility, {"limit": limit}))


async def can_decommission(connection: Connection, instance_id: UUID) -> DecommissionCheck:
    """Ask whether an instance may go. Nothing is locked: the answer is that of this moment."""
    found = await rows(connection, _sql.can_decommission, {"id": instance_id}, DecommissionCheck)
    return found[0]


async def version_history(connection: Connection, instance_id: UUID) -> list[HistoryEntry]:
    """Return how the updates and upgrades of an instance ended, newest first."""
    return await rows(connection, _sql.version_history, {"id": instance_id}, HistoryEntry)


async def timeline(connection: Connection, instance_id: UUID) -> list[TimelineEntry]:
    """Return everything that happened to an instance, oldest first."""
    return await rows(connection, _sql.timeline, {"id": instance_id}, TimelineEntry)


async def operations(
    connection: Connection, instance_id: UUID, *, teams: Sequence[str], sees_all: bool
) -> list[OperationView]:
    """Return every operation that targets an instance, eligible or not.

    Only what is open to somebody of these teams, or everything.
    """
    asked = {"id": instance_id, "teams": list(teams), "sees_all": sees_all}
    return await rows(connection, _sql.operations, asked, OperationView)


@dataclass(frozen=True, slots=True)
class _Due:
    instance_id: UUID
    name: str


def word_patterns(text: str) -> list[str]:
    """Return a regular expression of PostgreSQL for each word: it begins a word of what is searched."""
    return [f"(^|[^[:alnum:]]){re.escape(word)}" for word in clean(text).split()]
