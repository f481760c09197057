"""Instances as people see them: found by an id that may be shortened, listed, whole, over time.

    provisioning ──> active <──> updating ──> degraded
         │             │                         │
         v             v                         v
       failed ──> decommissioning ──────> decommissioned

Their states change in SQL alone: `update_request_status` moves them with their request,
`create_service_instance` promotes what a create reserved at its submission (sql/functions). So a
client that dies leaves an instance in the state that its request explains.

Secrets stand in the JSON columns as references to their ciphertexts, and are shown as dots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, get_args
from uuid import UUID

from engine.catalog.versions import satisfies
from engine.errors import InvalidInput
from engine.people.permissions import Action, Denied, Subject, hidden, may, refusal
from engine.requests import aftermath
from engine.requests.parameters import is_reference, references_in, with_dots
from engine.results import (
    Actor,
    HistoryEntry,
    InstanceSummary,
    InstanceView,
    OperationView,
    Page,
    TimelineEntry,
)
from engine.store import instances
from engine.store.instances import InstanceFilter, InstanceRow, ListedInstance
from engine.store.paging import read_cursor, write_cursor
from engine.store.pool import Connection

Scope = Literal["mine", "team", "all"]

STATES: Final = (
    "provisioning",
    "active",
    "updating",
    "degraded",
    "failed",
    "decommissioning",
    "decommissioned",
)
USABLE: Final = "active"
"""State of the instances that something new may connect to."""

LONGEST_PAGE: Final = 200
LONGEST_SEARCH: Final = 10
"""Pages that are looked through for versions in a range."""


async def find(
    connection: Connection, actor: Actor, instance_id: str, action: Action = Action.SEE_INSTANCE
) -> InstanceRow:
    """Return the instance that the person means and may act on.

    Raises Denied: with NotFound where it does not exist or may not be seen, with Forbidden where it
    may be seen but not acted on. InvalidInput where a shortened id means several.
    """
    ids = await instances.matching_ids(connection, instance_id.strip().lower())
    found = [await instances.instance_row(connection, id_) for id_ in ids]
    seen = [row for row in found if row and may(actor, Action.SEE_INSTANCE, subject_of(row))]
    if not seen:
        raise Denied(action, instance_id, hidden("Instance", instance_id))
    if len(seen) > 1:
        ambiguous = ", ".join(row.instance_id for row in seen[:5])
        raise InvalidInput(
            f"{instance_id} means several instances",
            f"{ambiguous} begin with it",
            "Give more of the id",
        )
    if not may(actor, action, subject_of(seen[0])):
        raise Denied(action, seen[0].instance_id, refusal(action))
    return seen[0]


async def view(connection: Connection, row: InstanceRow) -> InstanceView:
    """Return the instance whole, with what it needs and what needs it, without asking who looks."""
    failed = await aftermath.of_instance(connection, row.id)
    return InstanceView(
        instance_id=row.instance_id,
        instance_name=row.instance_name,
        instance_state=row.instance_state,
        catalog_item=row.catalog_item,
        catalog_bundle=row.catalog_bundle,
        catalog_version=row.catalog_version,
        owner_user_id=row.owner_user_id,
        owner_team=row.owner_team,
        owner_email=row.owner_email,
        deployment_parameters=with_dots(row.deployment_parameters),
        deployed_resources=row.deployed_resources,
        service_outputs=with_dots(row.service_outputs),
        created_at=row.created_at,
        updated_at=row.updated_at,
        provisioned_at=row.provisioned_at,
        decommissioned_at=row.decommissioned_at,
        dependencies=await instances.dependencies(connection, row.id),
        creation_request_id=row.creation_request_id,
        open_requests=row.open_requests,
        secret_outputs=_secret_keys(row),
        members=await instances.members(connection, row.id),
        bundles=await instances.bundles(connection, row.id),
        failed_request_id=failed.request_id if failed else None,
        instance_usable=failed.instance_usable if failed else None,
        update_repeatable=failed.update_repeatable if failed else None,
        comparison=failed.comparison if failed else {},
    )


async def page(
    connection: Connection,
    actor: Actor,
    *,
    scope: str = "mine",
    text: str | None = None,
    state: str | None = None,
    item: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> Page[InstanceSummary]:
    """Return a page of the instances that the person may see, newest first.

    `all` is everything for an admin. `text`: words that must each begin a word of the name, the id
    or the item's name; `item`: a document's name or slug. InvalidInput for a scope, state or cursor
    that is none.
    """
    size = min(max(limit, 1), LONGEST_PAGE)
    wanted = _filter(actor, scope, text=text, state=state, item=item, limit=size, cursor=cursor)
    found = await instances.page(connection, wanted)
    listed = found[: wanted.limit - 1]
    more = len(found) == wanted.limit
    next_cursor = write_cursor(listed[-1].created_at, listed[-1].id) if more else None
    due = await instances.operations_due(
        connection, [row.id for row in listed], teams=actor.teams, sees_all=actor.is_admin
    )
    return Page([_summary(row, due[row.id]) for row in listed], next_cursor)


async def usable(
    connection: Connection,
    actor: Actor,
    *,
    text: str | None,
    item: str | None,
    versions: str | None,
    limit: int,
) -> list[InstanceSummary]:
    """Return running instances that something new may build on, newest first, as `page` does.

    `versions`: a range that the instance's version must meet. Looks through `LONGEST_SEARCH` pages.
    """
    found: list[InstanceSummary] = []
    cursor: str | None = None
    for _ in range(LONGEST_SEARCH):
        part = await page(
            connection,
            actor,
            scope="all",
            text=text,
            state=USABLE,
            item=item,
            limit=LONGEST_PAGE,
            cursor=cursor,
        )
        found += [one for one in part.items if satisfies(one.catalog_version, versions)]
        cursor = part.next_cursor
        if cursor is None or len(found) >= limit:
            break
    return found[:limit]


async def history(connection: Connection, instance_id: UUID) -> list[HistoryEntry]:
    """Return how the instance's updates and upgrades ended, newest first."""
    return await instances.version_history(connection, instance_id)


async def timeline(connection: Connection, instance_id: UUID) -> list[TimelineEntry]:
    """Return everything that happened to the instance, oldest first."""
    return await instances.timeline(connection, instance_id)


async def operations(
    connection: Connection, actor: Actor, instance_id: UUID
) -> list[OperationView]:
    """Return the updates and upgrades for the instance that are open to the person, each with its reason."""
    return await instances.operations(
        connection, instance_id, teams=actor.teams, sees_all=actor.is_admin
    )


def subject_of(row: InstanceRow) -> Subject:
    """Return what the permission table needs to know of an instance."""
    return Subject(holder=row.owner_user_id, team=row.owner_team, document_owner=row.document_owner)


def _filter(
    actor: Actor,
    scope: str,
    *,
    text: str | None,
    state: str | None,
    item: str | None,
    limit: int,
    cursor: str | None,
) -> InstanceFilter:
    if scope not in get_args(Scope):
        raise InvalidInput(f"There is no scope {scope!r}", do="Use mine, team or all")
    if state is not None and state not in STATES:
        raise InvalidInput(f"There is no state {state!r}", do=f"Use one of {', '.join(STATES)}")
    # A deactivated person stands in no relation to anything.
    teams = actor.teams if actor.is_active else ()
    owner = actor.user_id if actor.is_active else None
    everything = scope == "all" and actor.is_admin and actor.is_active
    return InstanceFilter(
        everything=everything,
        owner=owner if scope in ("mine", "all") and not everything else None,
        teams=teams if scope in ("team", "all") and not everything else (),
        document_owners=teams if scope == "all" and not everything else (),
        state=state,
        item=item,
        text=text,
        before=read_cursor(cursor) if cursor else None,
        limit=limit + 1,
    )


def _secret_keys(row: InstanceRow) -> tuple[str, ...]:
    return tuple(
        key
        for key, value in row.service_outputs.items()
        if is_reference(value) or any(True for _ in references_in(value))
    )


def _summary(row: ListedInstance, due: Sequence[str]) -> InstanceSummary:
    return InstanceSummary(
        instance_id=row.instance_id,
        instance_name=row.instance_name,
        instance_state=row.instance_state,
        catalog_name=row.catalog_name,
        catalog_version=row.catalog_version,
        owner_user_id=row.owner_user_id,
        owner_team=row.owner_team,
        created_at=row.created_at,
        updated_at=row.updated_at,
        operations_due=due,
    )
