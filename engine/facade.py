"""The façade: the one class by which everything outside uses the engine.

Each verb takes who acts, asks the permission table, does its work in one transaction and gives a
public result (engine/results.py). A refusal is written to the audit log, then raised.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar
from uuid import UUID

from engine.catalog import search
from engine.catalog.diff import DocumentChange
from engine.catalog.documents import load_presentation
from engine.catalog.fields import AnyField, MultiselectField, Option, SelectionField
from engine.catalog.options import Asking, OptionSources, source_of
from engine.catalog.repository import Mirror, in_thread
from engine.catalog.touched import Touched, touched_instances
from engine.catalog.value_choices import allowed_options
from engine.catalog.values import FieldError
from engine.config import EngineConfig
from engine.dispatch.base import Dispatcher
from engine.dispatch.consumers import Handler, OnLead, consume, public
from engine.dispatch.drive import OnChange, drive, watch
from engine.errors import InvalidInput, NotFound, PaoError, Unreachable
from engine.execution.run import Surroundings
from engine.instances import decommission, lifecycle
from engine.instances import dependencies as instance_dependencies
from engine.key_rotation import BEGINNING, Batch, rotate_batch
from engine.outbound import Outbound
from engine.people import directory
from engine.people.directory import Profile
from engine.people.permissions import Action, Denied, may, refusal
from engine.requests import recovery, submit, views
from engine.requests.parameters import in_clear, narrowed, references_in, refuse, surroundings
from engine.requests.recovery import Changes
from engine.requests.submit import Intake, OptionsNeeded, access_of
from engine.results import (
    Actor,
    AttemptLog,
    AuditEntry,
    CatalogDetails,
    CatalogEntry,
    DecommissionCheck,
    DependencyView,
    Event,
    HistoryEntry,
    InstanceSummary,
    InstanceView,
    KeyRotation,
    OperationView,
    Page,
    RequestSummary,
    RequestView,
    Source,
    Submission,
    SyncReport,
    TimelineEntry,
)
from engine.secrets import Cipher, SecretFiles
from engine.steps.registry import build_registry, step_type_names
from engine.steps.services import StepServices
from engine.store import (
    audit,
    conversations,
    form_sessions,
    migrate,
    periodic,
    requests,
    secrets,
    webhooks,
)
from engine.store import catalog as catalog_store
from engine.store.conversations import Conversation
from engine.store.instances import Direction
from engine.store.pool import (
    Connection,
    close_pool,
    new_pool,
    open_pool,
    retried_on_conflict,
    transaction,
)
from engine.store.terraform import terraform_dsn
from engine.tickets.registry import TicketRegistry, build_ticket_systems
from engine.verifications.registry import build_verifications

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Trigger = Literal["command", "start", "interval", "cli", "webhook"]

PAUSED = "paused"
"""The switch that stops the claiming of new steps."""

SPARE_CONNECTIONS = 6
"""Connections beside one for each step: the loops, the outbox, what people ask for."""

FORM_PURPOSE = "form"


class Judging(Protocol[T_co]):
    """Work in a transaction that judges values, and may find that sources must be asked first."""

    def __call__(self, connection: Connection, intake: Intake) -> Awaitable[T_co]:
        """Do it."""


class Engine:
    """The engine on one database. Start it before use; `dispatcher()` is what carries steps."""

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self._pool = new_pool(
            config.database_url,
            max_size=config.worker_concurrency + SPARE_CONNECTIONS,
            pooled=config.database_direct_url is not None,
        )
        self._is_open = False

    async def start(self) -> None:
        """Open the pool and check the schema; raises Unavailable. No loop runs afterwards."""
        if self._is_open:
            return
        await open_pool(self._pool)
        self._is_open = True
        try:
            async with transaction(self._pool) as connection:
                await migrate.require_migrated(connection)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the clients and the pool."""
        if "_sources" in self.__dict__:
            await self._sources.stop()
        if "_services" in self.__dict__:
            await self._services.outbound.stop()
        for name in ("_services", "_sources", "_surroundings", "_systems"):
            self.__dict__.pop(name, None)
        if self._is_open:
            self._is_open = False
            await close_pool(self._pool)

    async def __aenter__(self) -> Engine:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    # The catalog

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
                _require(actor, Action.SYNC)
                await audit.write(connection, _name(actor), Action.SYNC.value)

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

    async def catalog_stats(self, actor: Actor) -> Mapping[str, Any]:
        """Return counts of documents and requests."""

        async def count(connection: Connection) -> Mapping[str, Any]:
            _require(actor, Action.STATS)
            return await search.statistics(connection)

        return await self._transact(count, actor)

    async def touched_instances(
        self, actor: Actor, changes: Sequence[DocumentChange]
    ) -> list[Touched]:
        """Return the running instances that changes of the catalog are about, as far as one sees."""
        async with transaction(self._pool) as connection:
            return await touched_instances(connection, actor, changes)

    async def remember_delivery(self, source: str, delivery: str) -> bool:
        """Take a webhook's delivery; False where it was taken before."""
        return await self._once(lambda c: webhooks.remember(c, source, delivery))

    def form_fields(self, details: CatalogDetails) -> tuple[AnyField, ...]:
        """Return the fields of a document's form; groups stand on the presentation itself."""
        return load_presentation(details.presentation).all_fields

    # Requests

    async def check(self, actor: Actor, submission: Submission) -> list[FieldError]:
        """Judge the values of a submission alone."""

        async def judge(connection: Connection, intake: Intake) -> list[FieldError]:
            checked = await submit.check(connection, intake, actor, submission)
            return list(checked.errors)

        try:
            return await self._judged(actor, submission, judge)
        except InvalidInput as refused:
            if not refused.errors:
                raise
            return list(refused.errors)

    async def submit(self, actor: Actor, submission: Submission) -> RequestView:
        """Make a request, once by its key; a dry run gives what it would be and keeps nothing."""

        async def write(connection: Connection, intake: Intake) -> RequestView:
            request_id = await submit.submit(connection, intake, actor, submission)
            view = await views.view(connection, request_id)
            if submission.dry_run:
                await connection.rollback()
            return view

        return await self._judged(actor, submission, write)

    async def field_options(
        self,
        actor: Actor,
        details: CatalogDetails,
        name: str,
        values: Mapping[str, Any] | None = None,
    ) -> Sequence[Option]:
        """Return what a selection or multiselect offers the person, fetched where it says so.

        `values`: what the form holds so far. Raises Unreachable where the source is down.
        """
        fields = self.form_fields(details)
        spec = next(one for one in fields if one.name == name)
        if not isinstance(spec, SelectionField | MultiselectField):
            return ()
        fetched: dict[str, Sequence[Option]] = {}
        if (source := source_of(spec)) is not None:
            asking = Asking(actor, details.entry, details.path, fields, values or {})
            fetched[name] = await self._sources.options(asking, name, source)
        around = surroundings(actor, access_of(details.access), fetched)
        return allowed_options(spec, around) or ()

    def narrowed(self, actor: Actor, details: CatalogDetails) -> Mapping[str, Sequence[Any]]:
        """Return the values that the limits of the person's teams leave them, by field."""
        return narrowed(actor, access_of(details.access))

    async def request(self, actor: Actor, request_id: str) -> RequestView:
        """Return a request by its id, which may be shortened."""

        async def read(connection: Connection) -> RequestView:
            row = await views.find(connection, actor, request_id)
            return await views.view(connection, row.id)

        return await self._transact(read, actor)

    async def requests(
        self,
        actor: Actor,
        *,
        scope: str = "mine",
        status: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[RequestSummary]:
        """Return a page of requests, newest first: mine, my teams', all that I may see."""
        async with transaction(self._pool) as connection:
            return await views.page(
                connection, actor, scope=scope, status=status, limit=limit, cursor=cursor
            )

    async def cancel(self, actor: Actor, request_id: str) -> RequestView:
        """Cancel a request of which nothing was begun."""
        return await self._change(
            actor, lambda connection: recovery.cancel(connection, actor, request_id)
        )

    async def abort(
        self,
        actor: Actor,
        request_id: str,
        reason: str | None = None,
        *,
        destroy: bool = False,
        completion: bool = False,
        cleanup: bool = True,
    ) -> RequestView:
        """End a request that runs or has failed."""
        return await self._change(
            actor,
            lambda connection: recovery.abort(
                connection,
                self._cipher,
                actor,
                request_id,
                reason=reason,
                destroy=destroy,
                completion=completion,
                cleanup=cleanup,
            ),
        )

    async def resume(
        self,
        actor: Actor,
        request_id: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        texts: frozenset[str] = frozenset(),
        skip_verification: bool = False,
        sequence_timeout: float | None = None,
    ) -> RequestView:
        """Go on from all failed steps, optionally with changed parameters."""
        changes = Changes(parameters or {}, texts, skip_verification, sequence_timeout)
        return await self._change(
            actor,
            lambda connection: recovery.resume(
                connection, self._cipher, actor, request_id, changes
            ),
        )

    async def retry(
        self,
        actor: Actor,
        request_id: str,
        step: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        texts: frozenset[str] = frozenset(),
    ) -> RequestView:
        """Try a failed step again."""
        changes = Changes(parameters or {}, texts)
        return await self._change(
            actor,
            lambda connection: recovery.retry(
                connection, self._cipher, actor, request_id, step=step, changes=changes
            ),
        )

    async def skip(self, actor: Actor, request_id: str, step: str, reason: str) -> RequestView:
        """Leave a failed step out."""
        return await self._change(
            actor,
            lambda connection: recovery.skip(
                connection, self._cipher, actor, request_id, step=step, reason=reason
            ),
        )

    async def resolve(
        self,
        actor: Actor,
        request_id: str,
        step: str | None = None,
        *,
        outputs: Mapping[str, Any] | None = None,
    ) -> RequestView:
        """Say that a failed step, or a manual-only request, was done by hand."""
        return await self._change(
            actor,
            lambda connection: recovery.resolve(
                connection, self._cipher, actor, request_id, step=step, outputs=outputs
            ),
        )

    async def logs(self, actor: Actor, request_id: str, step: str) -> list[AttemptLog]:
        """Return the log of a step, one text an attempt."""

        async def read(connection: Connection) -> list[AttemptLog]:
            row = await views.find(connection, actor, request_id)
            return await views.logs(connection, row.id, step)

        return await self._transact(read, actor)

    async def secret_outputs(self, actor: Actor, request_id: str) -> Mapping[str, Any]:
        """Return the secret outputs of a request in clear; audited."""

        async def read(connection: Connection) -> Mapping[str, Any]:
            row = await views.find(connection, actor, request_id, Action.SEE_SECRETS)
            outputs = await views.secret_outputs(connection, row.id)
            await audit.write(connection, _name(actor), Action.SEE_SECRETS.value, row.request_id)
            kept = await secrets.by_id(connection, references_in(outputs))
            clear = {
                id_: self._cipher.decrypt(one.ciphertext, one.purpose, one.key_id)
                for id_, one in kept.items()
            }
            return dict(in_clear(outputs, clear))

        return await self._transact(read, actor)

    async def secret_parameters(self, actor: Actor, request_id: str) -> set[str]:
        """Return the names of the secret fields of a request's document."""

        async def read(connection: Connection) -> set[str]:
            row = await views.find(connection, actor, request_id)
            fields = load_presentation(row.plan["presentation"]).all_fields
            return {field.name for field in fields if field.type == "secret"}

        return await self._transact(read, actor)

    async def drive(
        self,
        request_id: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 (part of the result, not an error)
        on_change: OnChange | None = None,
    ) -> RequestView:
        """Carry one request (full id) to its end in this process."""
        return await drive(
            self._surroundings,
            self._systems,
            self.config,
            await self._internal_id(request_id),
            limit=timeout,
            on_change=on_change,
        )

    async def watch(
        self, actor: Actor, request_id: str, *, on_change: OnChange | None = None
    ) -> RequestView:
        """Follow a request to its end; does none of its work."""
        view = await self.request(actor, request_id)
        id_ = await self._internal_id(view.request_id)
        return await watch(self._pool, self.config, id_, on_change=on_change)

    # Instances

    async def instances(
        self,
        actor: Actor,
        *,
        scope: str = "mine",
        text: str | None = None,
        state: str | None = None,
        item: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[InstanceSummary]:
        """Return a page of service instances, newest first."""
        async with transaction(self._pool) as connection:
            return await lifecycle.page(
                connection,
                actor,
                scope=scope,
                text=text,
                state=state,
                item=item,
                limit=limit,
                cursor=cursor,
            )

    async def usable_instances(
        self,
        actor: Actor,
        *,
        text: str | None = None,
        item: str | None = None,
        versions: str | None = None,
        limit: int = 100,
    ) -> list[InstanceSummary]:
        """Return running instances of versions in a range, for something new to connect to."""
        async with transaction(self._pool) as connection:
            return await lifecycle.usable(
                connection, actor, text=text, item=item, versions=versions, limit=limit
            )

    async def instance(self, actor: Actor, instance_id: str) -> InstanceView:
        """Return an instance by its id, which may be shortened."""

        async def read(connection: Connection) -> InstanceView:
            row = await lifecycle.find(connection, actor, instance_id)
            return await lifecycle.view(connection, row)

        return await self._transact(read, actor)

    async def instance_dependencies(
        self, actor: Actor, instance_id: str, direction: Direction = "both"
    ) -> Sequence[DependencyView]:
        """Return what an instance needs, what needs it, or both."""

        async def read(connection: Connection) -> Sequence[DependencyView]:
            row = await lifecycle.find(connection, actor, instance_id)
            return await instance_dependencies.of_instance(connection, row.id, direction)

        return await self._transact(read, actor)

    async def instance_graph(
        self, actor: Actor, instance_id: str, direction: Direction = "both"
    ) -> str:
        """Return an instance's dependencies as a Mermaid graph."""

        async def read(connection: Connection) -> str:
            row = await lifecycle.find(connection, actor, instance_id)
            found = await instance_dependencies.of_instance(connection, row.id, direction)
            return instance_dependencies.mermaid(row, found)

        return await self._transact(read, actor)

    async def instance_history(self, actor: Actor, instance_id: str) -> Sequence[HistoryEntry]:
        """Return how an instance's updates and upgrades ended, newest first."""

        async def read(connection: Connection) -> Sequence[HistoryEntry]:
            row = await lifecycle.find(connection, actor, instance_id)
            return await lifecycle.history(connection, row.id)

        return await self._transact(read, actor)

    async def instance_timeline(self, actor: Actor, instance_id: str) -> Sequence[TimelineEntry]:
        """Return everything that happened to an instance, oldest first."""

        async def read(connection: Connection) -> Sequence[TimelineEntry]:
            row = await lifecycle.find(connection, actor, instance_id)
            return await lifecycle.timeline(connection, row.id)

        return await self._transact(read, actor)

    async def instance_operations(self, actor: Actor, instance_id: str) -> Sequence[OperationView]:
        """Return the updates and upgrades for an instance, ineligible ones with the reason."""

        async def read(connection: Connection) -> Sequence[OperationView]:
            row = await lifecycle.find(connection, actor, instance_id)
            return await lifecycle.operations(connection, row.id)

        return await self._transact(read, actor)

    async def can_decommission(self, actor: Actor, instance_id: str) -> DecommissionCheck:
        """Ask whether an instance may go, and who stands in the way."""

        async def read(connection: Connection) -> DecommissionCheck:
            row = await lifecycle.find(connection, actor, instance_id)
            return await decommission.check(connection, row.id)

        return await self._transact(read, actor)

    # People

    async def actor(self, user_id: str, *, source: Source, audit_name: str | None = None) -> Actor:
        """Return who acts, with the teams and rights of this moment; NotFound when unknown."""
        async with transaction(self._pool) as connection:
            return await directory.find_actor(
                connection, self.config, user_id, source=source, audit_name=audit_name
            )

    async def remember_person(self, profile: Profile) -> None:
        """Keep what Slack says of a person."""
        async with transaction(self._pool) as connection:
            await directory.remember(connection, profile)

    async def person_is_stale(self, user_id: str) -> bool:
        """Say whether Slack must be asked again about a person."""
        async with transaction(self._pool) as connection:
            return await directory.is_stale(connection, user_id)

    # Events, and what those who tell of them keep

    async def consume(
        self,
        name: str,
        handler: Handler,
        stopping: asyncio.Event,
        *,
        on_lead: OnLead | None = None,
    ) -> None:
        """Hand every event to `handler`, at least once and in order, until `stopping` is set.

        One process at a time reads for a consumer; `on_lead` is awaited when it becomes this one.
        """
        await consume(self._pool, self.config, name, handler, stopping, on_lead=on_lead)

    async def conversation(self, request_id: str) -> Conversation | None:
        """Return where a request (full id) is told of."""
        async with transaction(self._pool) as connection:
            return await conversations.find(connection, request_id)

    async def keep_conversation(self, request_id: str, conversation: Conversation) -> None:
        """Remember where a request is told of, and what its card shows."""
        async with transaction(self._pool) as connection:
            await conversations.keep(connection, request_id, conversation)

    async def keep_untold(self, event_id: int) -> None:
        """Remember that an event has still to be told, whatever happens to this process."""
        async with transaction(self._pool) as connection:
            await conversations.keep_untold(connection, event_id)

    async def untold_events(self, request_id: str | None) -> list[Event]:
        """Return what has still to be told of a request (None: of the catalog), in order."""
        async with transaction(self._pool) as connection:
            return [public(row) for row in await conversations.untold(connection, request_id)]

    async def untold_requests(self) -> Sequence[str | None]:
        """Return the requests (None: the catalog) of which something has still to be told."""
        async with transaction(self._pool) as connection:
            return await conversations.untold_requests(connection)

    async def told_event(self, event_id: int) -> None:
        """Remember that an event was told, so that nobody tells it again."""
        async with transaction(self._pool) as connection:
            await conversations.told(connection, event_id)

    async def park_untold(self, consumer: str, event_id: int, error: str) -> None:
        """Put an event aside, visibly, that its consumer cannot tell."""
        async with transaction(self._pool) as connection:
            await conversations.park_untold(connection, consumer, event_id, error)

    async def conversations_behind(self) -> list[str]:
        """Return the requests whose cards may show less than is known."""
        async with transaction(self._pool) as connection:
            return await conversations.behind(connection)

    async def keep_form(
        self,
        actor: Actor,
        subject: str,
        state: Mapping[str, Any],
        secret_values: Mapping[str, Any],
        session_id: str | None = None,
    ) -> str:
        """Keep a form under way for a day, secrets encrypted; return its id."""
        sealed = None
        if secret_values:
            sealed = self._cipher.encrypt(dict(secret_values), _form_purpose(actor, subject))[0]
        async with transaction(self._pool) as connection:
            if session_id is not None and await form_sessions.update(
                connection, session_id, actor.user_id, state, sealed
            ):
                return session_id
            return await form_sessions.insert(connection, actor.user_id, subject, state, sealed)

    async def kept_form(
        self, actor: Actor, session_id: str
    ) -> tuple[str, Mapping[str, Any], Mapping[str, Any]] | None:
        """Return (id, state, secrets) of a form under way; None when it expired."""
        async with transaction(self._pool) as connection:
            return self._opened(
                actor, await form_sessions.find(connection, session_id, actor.user_id)
            )

    async def form_draft(
        self, actor: Actor, subject: str
    ) -> tuple[str, Mapping[str, Any], Mapping[str, Any]] | None:
        """Return (id, state, secrets) of the form about `subject` that the person touched last."""
        async with transaction(self._pool) as connection:
            found = await form_sessions.latest(connection, actor.user_id, subject)
            return self._opened(actor, found)

    async def forget_forms(self, actor: Actor, subject: str) -> None:
        """Forget the person's forms about `subject`."""
        async with transaction(self._pool) as connection:
            await form_sessions.delete(connection, actor.user_id, subject)

    # Running

    def dispatcher(self) -> Dispatcher:
        """Return what carries steps and runs the periodic jobs; ConfigurationError if it cannot."""

        async def sync() -> SyncReport:
            return await self.sync_catalog(None, "interval")

        return Dispatcher(self._surroundings, self._systems, self.config, sync)

    async def pause(self, actor: Actor) -> None:
        """Claim nothing new, in any process; what runs goes on, submissions are taken."""
        await self._turn_pause(actor, on=True)

    async def unpause(self, actor: Actor) -> None:
        """Claim again."""
        await self._turn_pause(actor, on=False)

    async def audit_log(
        self, actor: Actor, *, target: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[AuditEntry]:
        """Return a page of who did what to what, newest first; `target`: of one thing (full id)."""

        async def read(connection: Connection) -> Page[AuditEntry]:
            _require(actor, Action.AUDIT)
            return await audit.entries(connection, target=target, cursor=cursor, limit=limit)

        return await self._transact(read, actor)

    async def expire_audit_log(self, actor: Actor, before: datetime) -> int:
        """Delete what was audited before a moment; return how many lines. Audited itself."""

        async def expire(connection: Connection) -> int:
            _require(actor, Action.EXPIRE_AUDIT)
            return await audit.expire(connection, before, _name(actor))

        return await self._transact(expire, actor)

    async def rotate_keys(self, actor: Actor) -> KeyRotation:
        """Bring every kept secret under the first encryption key; ConfigurationError without one."""

        async def ask(connection: Connection) -> None:
            _require(actor, Action.ROTATE_KEYS)
            after = {"key_id": self._cipher.key_id}
            await audit.write(connection, _name(actor), Action.ROTATE_KEYS.value, after=after)

        await self._transact(ask, actor)
        rotated, unreadable, place = 0, Counter[str](), BEGINNING
        while batch := await self._rotate_after(place):
            rotated, unreadable, place = (
                rotated + batch.rotated,
                unreadable + batch.unreadable,
                batch.last,
            )
        return KeyRotation(self._cipher.key_id, rotated, dict(unreadable))

    async def _rotate_after(self, place: UUID) -> Batch | None:
        return await self._once(lambda connection: rotate_batch(connection, self._cipher, place))

    async def health(self) -> Mapping[str, str | None]:
        """Return what is wrong with each part, None where nothing is."""
        try:
            async with transaction(self._pool) as connection:
                return await self._look_after(connection)
        except PaoError as error:
            return {"database": str(error)}

    async def _look_after(self, connection: Connection) -> Mapping[str, str | None]:
        migrations = None
        try:
            await migrate.require_migrated(connection)
        except PaoError as error:
            migrations = str(error)
        age = await periodic.seconds_since_sync(connection) if migrations is None else None
        catalog = "It was never synced" if age is None and self.config.catalog_url else None
        paused = await audit.is_on(connection, PAUSED)
        return {
            "database": None,
            "migrations": migrations,
            "catalog": catalog,
            "dispatcher": "It is paused" if paused else None,
        }

    # What the verbs are made of

    @retried_on_conflict
    async def _once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with transaction(self._pool) as connection:
            return await work(connection)

    async def _transact(self, work: Callable[[Connection], Awaitable[T]], actor: Actor | None) -> T:
        """Do `work` in one transaction; a refusal is audited and raised as what it is."""
        try:
            return await self._once(work)
        except Denied as denied:
            async with transaction(self._pool) as connection:
                await audit.write(
                    connection,
                    _name(actor) if actor else "",
                    denied.action.value,
                    denied.target,
                    outcome="denied",
                )
            raise denied.error from None

    async def _judged(
        self,
        actor: Actor,
        submission: Submission,
        work: Judging[T],
    ) -> T:
        """Do `work`; the sources of options that it needs are asked between two transactions."""
        intake = self._intake
        while True:
            try:
                return await self._transact(partial(work, intake=intake), actor)
            except OptionsNeeded as needed:
                found = await self._fetched(actor, submission, needed)
                intake = replace(intake, options={**intake.options, **found})

    async def _fetched(
        self, actor: Actor, submission: Submission, needed: OptionsNeeded
    ) -> dict[str, Sequence[Option]]:
        """Return the options of fields; InvalidInput, by field, where a source is down."""
        item, found, errors = needed.item, {}, []
        given = submission.parameters
        asking = Asking(actor, item, item.source_file_path, needed.fields, given)
        for spec in needed.fields:
            if spec.name in needed.names and (source := source_of(spec)) is not None:
                try:
                    found[spec.name] = await self._sources.options(asking, spec.name, source)
                except Unreachable as down:
                    errors.append(FieldError(spec.name, str(down), down.code))
        refuse(errors)
        return found

    async def _change(
        self, actor: Actor, verb: Callable[[Connection], Awaitable[UUID]]
    ) -> RequestView:
        """Do a verb on a request; return the request as it stands then."""

        async def work(connection: Connection) -> RequestView:
            return await views.view(connection, await verb(connection))

        return await self._transact(work, actor)

    async def _turn_pause(self, actor: Actor, *, on: bool) -> None:
        async def turn(connection: Connection) -> None:
            _require(actor, Action.PAUSE)
            await audit.turn(connection, PAUSED, on=on, by=_name(actor))
            after = {PAUSED: on}
            await audit.write(connection, _name(actor), Action.PAUSE.value, after=after)
            await requests.wake(connection, "pao_steps")

        await self._transact(turn, actor)

    async def _internal_id(self, request_id: str) -> UUID:
        async with transaction(self._pool) as connection:
            return await views.internal_id(connection, request_id)

    def _opened(
        self, actor: Actor, session: form_sessions.FormSession | None
    ) -> tuple[str, Mapping[str, Any], Mapping[str, Any]] | None:
        if session is None:
            return None
        clear: Mapping[str, Any] = {}
        if session.ciphertext:
            purpose = _form_purpose(actor, session.subject)
            clear = self._cipher.decrypt(session.ciphertext, purpose)
        return session.id, session.state, clear

    @cached_property
    def _cipher(self) -> Cipher:
        return Cipher(self.config.encryption_keys)

    @property
    def _intake(self) -> Intake:
        return Intake(self.config, self._cipher, step_type_names())

    @cached_property
    def _services(self) -> StepServices:
        direct = self.config.database_direct_url or self.config.database_url
        return StepServices(
            outbound=Outbound(self.config.outbound_allow),
            export_module=self._export_module,
            data_dir=self.config.data_dir,
            terraform_bin=self.config.terraform_bin,
            terraform_dsn=lambda: terraform_dsn(direct, self.config.encryption_keys),
            terraform_module_allow=self.config.terraform_module_allow,
            github=self.config.github,
            tickets=self.config.tickets,
        )

    @cached_property
    def _surroundings(self) -> Surroundings:
        return Surroundings(
            pool=self._pool,
            steps=build_registry(self._services),
            verifications=build_verifications(self._services),
            cipher=self._cipher,
            secret_files=SecretFiles(self.config.secrets_dir, self.config.secrets_allow),
            data_dir=self.config.data_dir,
            public_url=self.config.public_url,
            outage_seconds=self.config.database_outage.total_seconds(),
        )

    @cached_property
    def _sources(self) -> OptionSources:
        files = SecretFiles(self.config.secrets_dir, self.config.secrets_allow)
        return OptionSources(self._services.outbound, files)

    @cached_property
    def _systems(self) -> TicketRegistry:
        return build_ticket_systems(self._services)

    async def _export_module(self, commit: str, path: str, target: Path) -> None:
        """Write a folder of the catalog's repository, as of a commit, to `target`."""
        async with transaction(self._pool) as connection:
            origin = await catalog_store.origin_of_commit(connection, commit)
        if origin is None:
            raise NotFound(
                "The Terraform module cannot be read",
                f"the commit {commit[:12]} was never synced here",
                "Sync the catalog and make the request again",
            )
        mirror = Mirror.of(self.config, origin.repository_url, origin.branch)
        await in_thread(mirror, mirror.export_tree, commit, path, target)


def _require(actor: Actor, action: Action) -> None:
    if not may(actor, action):
        raise Denied(action, None, refusal(action))


def _name(actor: Actor) -> str:
    return actor.audit_name or actor.user_id


def _form_purpose(actor: Actor, subject: str) -> str:
    return f"{FORM_PURPOSE}:{actor.user_id}:{subject}"
