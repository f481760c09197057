"""What the verbs of the façade stand on: the pool, one transaction for each verb, the services."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar
from uuid import UUID

from engine.catalog.commits import in_thread
from engine.catalog.options import OptionSources
from engine.catalog.repository import Mirror
from engine.checks.registry import build_checks
from engine.config import EngineConfig
from engine.errors import NotFound
from engine.execution.rehearsal import Rehearsals
from engine.execution.run import Surroundings
from engine.outbound import Outbound
from engine.people.permissions import Action, Denied, may, refusal
from engine.requests import views
from engine.requests.manual import ManualWork
from engine.requests.step_approvals import StepApprovals
from engine.requests.submit import Intake
from engine.results import (
    Actor,
)
from engine.secrets import Cipher, SecretFiles
from engine.steps.registry import build_registry, step_type_names
from engine.steps.services import StepServices
from engine.store import (
    audit,
    migrate,
)
from engine.store import catalog as catalog_store
from engine.store.pool import (
    Connection,
    close_pool,
    new_pool,
    open_pool,
    retried_on_conflict,
    snapshot,
    transaction,
)
from engine.store.terraform import terraform_dsn
from engine.tickets.registry import TicketRegistry, build_ticket_systems
from engine.verifications.registry import build_verifications

T = TypeVar("T")

T_co = TypeVar("T_co", covariant=True)

SPARE_CONNECTIONS = 6
"""Connections beside one for each step: the loops, the outbox, what people ask for."""


class Core:
    """The engine on one database, without its verbs. Start it before use."""

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
        for name in ("_services", "_sources", "_surroundings", "_systems", "_rehearsals"):
            self.__dict__.pop(name, None)
        if self._is_open:
            self._is_open = False
            await close_pool(self._pool)

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    @retried_on_conflict
    async def _once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with transaction(self._pool) as connection:
            return await work(connection)

    async def _transact(self, work: Callable[[Connection], Awaitable[T]], actor: Actor | None) -> T:
        """Do `work` in one transaction; a refusal is audited and raised as what it is."""
        try:
            return await self._once(work)
        except Denied as denied:
            await self._note_denied(denied, actor)
            raise denied.error from None

    async def _at_one_moment(self, work: Callable[[Connection], Awaitable[T]], actor: Actor) -> T:
        """Do `work`, which only reads, on one snapshot; a refusal is audited as in `_transact`."""
        try:
            async with snapshot(self._pool) as connection:
                return await work(connection)
        except Denied as denied:
            await self._note_denied(denied, actor)
            raise denied.error from None

    async def _note_denied(self, denied: Denied, actor: Actor | None) -> None:
        async with transaction(self._pool) as connection:
            await audit.write(
                connection,
                named(actor) if actor else "",
                denied.action.value,
                denied.target,
                outcome="denied",
            )

    async def _internal_id(self, request_id: str) -> UUID:
        async with transaction(self._pool) as connection:
            return await views.internal_id(connection, request_id)

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
            manual=ManualWork(self._pool),
            approvals=StepApprovals(self._pool, self._cipher, self.config.teams),
        )

    @cached_property
    def _surroundings(self) -> Surroundings:
        return Surroundings(
            pool=self._pool,
            steps=build_registry(self._services),
            verifications=build_verifications(self._services),
            checks=build_checks(self._services),
            cipher=self._cipher,
            secret_files=SecretFiles(self.config.secrets_dir, self.config.secrets_allow),
            data_dir=self.config.data_dir,
            public_url=self.config.public_url,
            outage_seconds=self.config.database_outage.total_seconds(),
            traced=self.config.otlp_endpoint is not None,
        )

    @cached_property
    def _rehearsals(self) -> Rehearsals:
        return Rehearsals(self._surroundings, self._systems)

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


def require(actor: Actor, action: Action) -> None:
    """Raise Denied unless the actor may do it, whatever it is done to."""
    if not may(actor, action):
        raise Denied(action, None, refusal(action))


def named(actor: Actor) -> str:
    """Return the name by which the audit log knows the actor."""
    return actor.audit_name or actor.user_id
