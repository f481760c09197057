"""What benchmarks run on: a durable PostgreSQL of their own, rows to work on, an engine of no-op steps."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from engine import EngineConfig
from engine.collector import spare_what_lives
from engine.dispatch.base import Carrier
from engine.execution.run import Surroundings
from engine.secrets import Cipher, SecretFiles
from engine.steps.base import Completed, StepContext, Waiting
from engine.steps.extension import Registry
from engine.store.embedded import EmbeddedServer
from engine.store.migrate import migrate
from engine.store.pool import Pool, close_pool, new_pool, open_pool
from engine.store.queries import parse

HERE = Path(__file__).parent
KEY = "YmVuY2htYXJrcyBoYXZlIG5vIHNlY3JldHMgYXQgYWw="
SLOTS = 50
"""Steps at a time: as many as one statement of the floor carries."""

OPTIONS = ("max_connections=200", "shared_buffers=256MB")
"""Durable: fsync and synchronous_commit are as PostgreSQL has them."""

PRESENTATION = {"fields": [{"name": "size", "type": "string", "default": "small"}]}
PLAN = {
    "document": {"kind": "CatalogItem", "name": "bench", "version": "1.0.0", "owner": "platform"},
    "presentation": PRESENTATION,
    "fulfillment": {"automation": {"steps": []}},
}


def statements(name: str) -> dict[str, str]:
    """The named blocks of one of the benchmarks' own SQL files."""
    return parse((HERE / f"{name}.sql").read_text("utf-8"), name)


LOAD = statements("load")


@contextmanager
def durable_server() -> Iterator[str]:
    """A PostgreSQL with fsync for the block's time; gives the DSN of its owner."""
    folder = Path(tempfile.mkdtemp(prefix="pao-bench-"))
    try:
        with EmbeddedServer(folder, options=OPTIONS).held() as dsn:
            yield dsn
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def new_database(admin: str, *, migrated: bool = True) -> str:
    """Make a database and return its DSN."""
    name = f"bench_{secrets.token_hex(4)}"
    async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as connection:
        await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    parts = conninfo_to_dict(admin)
    dsn = f"postgresql://{parts['user']}:{parts['password']}@/{name}?host={parts['host']}"
    if migrated:
        await migrate(dsn)
    return dsn


class Anything(BaseModel):
    """The shape of a template that nobody reads."""

    model_config = ConfigDict(extra="allow")


@dataclass
class Noop:
    """The step type of the benchmarks: gives one output, and counts."""

    started: int = 0
    wanted: int = 0
    on_start: asyncio.Event = field(default_factory=asyncio.Event)
    name: ClassVar[str] = "Noop"
    template_model: ClassVar[type[BaseModel]] = Anything
    verifications: ClassVar[frozenset[str]] = frozenset()
    outputs: ClassVar[frozenset[str] | None] = None

    async def start(self, context: StepContext) -> Completed | Waiting:  # noqa: ARG002
        self.started += 1
        if self.started >= self.wanted:
            self.on_start.set()
        return Completed({"ok": True})

    async def after(self, steps: int) -> None:
        """Return when so many steps more have begun, without asking anybody meanwhile."""
        self.wanted = self.started + steps
        self.on_start.clear()
        await self.on_start.wait()

    async def poll(self, context: StepContext) -> Completed:  # noqa: ARG002
        return Completed({"ok": True})

    async def cancel(self, context: StepContext) -> None: ...


class Tomorrow(Noop):
    """Hands its work to an outside system that takes a day."""

    name: ClassVar[str] = "Tomorrow"

    async def start(self, context: StepContext) -> Waiting:  # noqa: ARG002
        self.started += 1
        return Waiting(86_400.0, {"job": self.started}, job_id=str(self.started))


@dataclass
class World:
    """A migrated database with the benchmark's item, and an engine of no-op steps on it."""

    dsn: str
    pool: Pool
    connection: psycopg.AsyncConnection[Any]
    config: EngineConfig
    around: Surroundings
    noop: Noop
    tomorrow: Tomorrow
    item: UUID

    def carrier(self, **settings: Any) -> Carrier:
        return Carrier(self.around, Registry("ticket system", {}), self.config, **settings)

    async def requests(
        self, requests: int, steps: int, *, wide: bool = False, step_type: str = "Noop"
    ) -> list[UUID]:
        """Write requests whose steps are not due yet."""
        cursor = await self.connection.execute(
            LOAD["add_requests"],
            {
                "item": self.item,
                "plan": Jsonb(PLAN),
                "requests": requests,
                "steps": steps,
                "type": step_type,
                "wide": wide,
            },
        )
        return [row[0] for row in await cursor.fetchall()]

    async def make_due(self, ids: Sequence[UUID]) -> None:
        await self.connection.execute(LOAD["make_due"], {"ids": list(ids)})

    async def all_completed(self) -> None:
        """Return when no request is in progress any more."""
        while True:
            cursor = await self.connection.execute(LOAD["is_any_open"])
            if await cursor.fetchone() == (False,):
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def world(admin: str) -> AsyncIterator[World]:
    """A database of its own with an engine on it."""
    async with world_on(await new_database(admin)) as made:
        yield made


@asynccontextmanager
async def world_on(dsn: str) -> AsyncIterator[World]:
    """An engine of no-op steps on a migrated database."""
    pool = new_pool(dsn, max_size=SLOTS + 6)
    await open_pool(pool)
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    folder = Path(tempfile.mkdtemp(prefix="pao-bench-data-"))
    noop, tomorrow = Noop(), Tomorrow()
    config = EngineConfig(
        database_url=dsn, data_dir=folder, worker_concurrency=SLOTS, encryption_keys=(KEY,)
    )
    around = Surroundings(
        pool=pool,
        steps=Registry("step type", {"Noop": noop, "Tomorrow": tomorrow}),
        verifications=Registry("verification", {}),
        cipher=Cipher((KEY,)),
        secret_files=SecretFiles(None),
        data_dir=folder,
    )
    try:
        cursor = await connection.execute(LOAD["add_item"], {"presentation": Jsonb(PRESENTATION)})
        row = await cursor.fetchone()
        assert row is not None
        spare_what_lives()  # as `pao run` and `pao worker` do, once all is started
        yield World(dsn, pool, connection, config, around, noop, tomorrow, row[0])
    finally:
        await connection.close()
        await close_pool(pool)
        shutil.rmtree(folder, ignore_errors=True)
