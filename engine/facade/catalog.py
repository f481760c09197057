"""What people ask of the catalog, and what brings it up to date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from engine.catalog import search
from engine.catalog.diff import DocumentChange
from engine.catalog.documents import load_presentation
from engine.catalog.fields import AnyField, MultiselectField, Option, SelectionField
from engine.catalog.options import Asking, source_of
from engine.catalog.touched import Touched, touched_instances
from engine.catalog.value_choices import allowed_options
from engine.facade.core import Core, named, require
from engine.instances import lifecycle
from engine.people.permissions import Action
from engine.requests.bundle_forms import component_forms
from engine.requests.parameters import narrowed, surroundings
from engine.requests.submit import access_of
from engine.requests.targets import seen
from engine.results import (
    Actor,
    CatalogChange,
    CatalogDetails,
    CatalogEntry,
    ComponentForm,
    Page,
    SyncReport,
)
from engine.store import audit, events
from engine.store.pool import (
    Connection,
    transaction,
)

Trigger = Literal["command", "start", "interval", "cli", "webhook"]


class CatalogVerbs(Core):
    """What people ask of the catalog, and what brings it up to date."""

    async def sync_catalog(
        self,
        actor: Actor | None,
        trigger: Trigger = "command",
        url: str | None = None,
        branch: str | None = None,
    ) -> SyncReport:
        """Bring the catalog to the last commit of its repository; `actor` None is the machine."""
        from engine.catalog.sync import Source as Repository  # noqa: PLC0415 (brings in Git)
        from engine.catalog.sync import sync  # noqa: PLC0415

        async def ask(connection: Connection) -> None:
            if actor is not None:
                require(actor, Action.SYNC)
                await audit.write(connection, named(actor), Action.SYNC.value)

        await self._transact(ask, actor)
        return await sync(Repository.of(self.config, url, branch), trigger)

    async def catalog_entries(
        self,
        actor: Actor,
        *,
        text: str | None = None,
        kind: str | None = None,
        category: str | None = None,
        tag: str | None = None,
        owner: str | None = None,
        limit: int = search.PAGE,
        cursor: str | None = None,
        requestable: bool = False,
    ) -> Page[CatalogEntry]:
        """Return a page of what the person may see of the catalog."""
        wanted = search.Wanted(text, kind, category, tag, owner, requestable)
        async with transaction(self._pool) as connection:
            return await search.entries(connection, actor, wanted, limit=limit, cursor=cursor)

    async def catalog_entry(
        self, actor: Actor, name: str, kind: str | None = None
    ) -> CatalogDetails:
        """Return one document by name or slug; NotFound carries did-you-mean."""
        return await self._transact(
            lambda connection: search.details(connection, actor, name, kind), actor
        )

    async def catalog_changes(self, actor: Actor, limit: int = 5) -> Sequence[CatalogChange]:
        """Return what the last syncs changed of what the person may see, newest first."""
        if not actor.is_active:
            return ()
        async with transaction(self._pool) as connection:
            return await events.catalog_changes(
                connection, teams=actor.teams, sees_all=actor.is_admin, limit=limit
            )

    async def bundle_components(
        self,
        actor: Actor,
        name: str,
        values: Mapping[str, Any] | None = None,
        texts: frozenset[str] = frozenset(),
    ) -> Sequence[ComponentForm]:
        """Return what a form asks of the components of a bundle, required ones first.

        `values` of the bundle's own fields (`texts`: as typed) render what it fixes. Conflict, with
        the reason, where a required component cannot be had.
        """
        return await self._transact(
            lambda connection: component_forms(connection, actor, name, values, texts), actor
        )

    async def catalog_stats(self, actor: Actor) -> Mapping[str, Any]:
        """Return counts of documents and requests."""

        async def count(connection: Connection) -> Mapping[str, Any]:
            require(actor, Action.STATS)
            return await search.statistics(connection)

        return await self._transact(count, actor)

    async def touched_instances(
        self, actor: Actor, changes: Sequence[DocumentChange]
    ) -> list[Touched]:
        """Return the running instances that changes of the catalog are about, as far as one sees."""
        async with transaction(self._pool) as connection:
            return await touched_instances(connection, actor, changes)

    def form_fields(self, details: CatalogDetails) -> tuple[AnyField, ...]:
        """Return the fields of a document's form; groups stand on the presentation itself."""
        return load_presentation(details.presentation).all_fields

    async def _beside(
        self, actor: Actor, details: CatalogDetails, instance_id: str | None
    ) -> Mapping[str, Any]:
        """Return what sources of options see of the instance of an operation."""
        if instance_id is None:
            return {}
        row = await self._transact(
            lambda connection: lifecycle.find(connection, actor, instance_id), actor
        )
        return seen(row, details.targets)

    def narrowed(self, actor: Actor, details: CatalogDetails) -> Mapping[str, Sequence[Any]]:
        """Return the values that the limits of the person's teams leave them, by field."""
        return narrowed(actor, access_of(details.access))

    async def field_options(
        self,
        actor: Actor,
        details: CatalogDetails,
        name: str,
        values: Mapping[str, Any] | None = None,
        *,
        instance_id: str | None = None,
    ) -> Sequence[Option]:
        """Return what a selection or multiselect offers the person, fetched where it says so.

        `values`: what the form holds so far; `instance_id`: the instance that an operation is for.
        Raises Unreachable where the source is down, Denied for an instance that is not the person's.
        """
        fields = self.form_fields(details)
        spec = next(one for one in fields if one.name == name)
        if not isinstance(spec, SelectionField | MultiselectField):
            return ()
        fetched: dict[str, Sequence[Option]] = {}
        if (source := source_of(spec)) is not None:
            beside = await self._beside(actor, details, instance_id)
            asking = Asking(actor, details.entry, details.path, fields, values or {}, beside)
            fetched[name] = await self._sources.options(asking, name, source)
        around = surroundings(actor, access_of(details.access), fetched)
        return allowed_options(spec, around) or ()
