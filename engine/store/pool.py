"""Connections to PostgreSQL: the pool, transactions on it, and what happens when it is away.

The only module (with `listen`, `migrate` and `embedded`) that opens connections. Functions of the
other store modules take a connection; only the façade and the worker check one out, by
`transaction`, and never a second one inside (two checkouts in one task can deadlock a small pool).

What the settings of a session are for: a process frozen inside a transaction (SIGSTOP, a paused
virtual machine) would hold its row locks for ever, so the server ends a transaction that idles, a
wait for a lock and a statement that takes too long. Tables are analysed while they are nearly
empty, so plans made for the first values would stay bad: generic plans only.

Three kinds of trouble, each answered in one place:

- a driver's error becomes one of `engine.errors` (`driver_errors`);
- a serialization failure or a deadlock runs the whole transaction function again
  (`retried_on_conflict`), never a part of it;
- a lost database is waited for (`through_outage`) by loops and commands under way; everybody else
  gets `Unavailable` at once.

A COMMIT that is cancelled has an unknown outcome, so a commit is always waited for to its end, and
a deadline of the caller takes effect after it.
"""

from __future__ import annotations

import asyncio
import functools
import json
import random
import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from typing import Any, ParamSpec, TypeAlias, TypeVar

import psycopg
import structlog
from psycopg import errors as driver
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from engine.errors import (
    Conflict,
    ConstraintViolated,
    InvalidInput,
    NotFound,
    PaoError,
    Unavailable,
)
from engine.store.uninterrupted import heeding_cancellation, uninterrupted

P = ParamSpec("P")
T = TypeVar("T")
Connection: TypeAlias = psycopg.AsyncConnection[TupleRow]
Pool: TypeAlias = AsyncConnectionPool[Connection]

CHECKOUT_SECONDS = 10.0
"""How long a checkout waits for a free connection: shorter than any lease."""

CONNECT_SECONDS = 5
"""A server that does not answer within this is away."""

OUTAGE_SECONDS = 300.0
"""How long work under way waits for a lost database before it gives up."""

CONFLICT_TRIES = 6
"""Serialization failures and deadlocks in a row before the error goes to the caller."""

SESSION = {
    "idle_in_transaction_session_timeout": "15s",
    "lock_timeout": "10s",
    "statement_timeout": "60s",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "timezone": "UTC",
}
"""The settings of every session of the engine; the reasons stand at the head of this module."""

KEEPALIVES = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""A peer that vanished without a word is noticed within a minute (seconds; milliseconds)."""

log = structlog.get_logger(__name__)


def conninfo(
    dsn: str,
    application: str = "pao",
    *,
    pooled: bool = False,
    session: Mapping[str, str] | None = None,
) -> str:
    """Return `dsn` with the engine's session settings, each of which `session` may replace.

    `pooled`: there is a transaction pooler (pgbouncer) in between, which refuses start-up options.
    InvalidInput when the DSN cannot be read.
    """
    settings = SESSION | dict(session or {})
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    try:
        return make_conninfo(
            dsn,
            application_name=application,
            connect_timeout=CONNECT_SECONDS,
            **KEEPALIVES,
            **({} if pooled else {"options": options}),
        )
    except psycopg.ProgrammingError as error:
        raise InvalidInput(
            "The database's address cannot be read",
            str(error).strip(),
            "Give it as postgresql://user:password@host/database",
            field="DATABASE_URL",
        ) from error


def new_pool(
    dsn: str, *, max_size: int = 10, application: str = "pao", pooled: bool = False
) -> Pool:
    """Return a closed pool; `await open_pool(pool)` and `await close_pool(pool)` are its life."""
    return AsyncConnectionPool(
        conninfo(dsn, application, pooled=pooled),
        kwargs={"prepare_threshold": None if pooled else 1},
        min_size=1,
        max_size=max_size,
        open=False,
        timeout=CHECKOUT_SECONDS,
        check=_check,
        configure=_configure,
        reconnect_timeout=OUTAGE_SECONDS,
        name=application,
    )


async def open_pool(pool: Pool) -> None:
    """Open the pool; Unavailable at once when the database does not answer."""
    with driver_errors():
        # The pool itself would try until its time is up, and then not know why.
        connection = await psycopg.AsyncConnection.connect(str(pool.conninfo))
        await connection.close()
        await pool.open(wait=True, timeout=CONNECT_SECONDS)


async def close_pool(pool: Pool) -> None:
    """Close the pool; connections that are out are closed when they come back."""
    await pool.close(timeout=CONNECT_SECONDS)


async def connect(
    dsn: str, application: str = "pao", session: Mapping[str, str] | None = None
) -> Connection:
    """Open one connection outside the pool, in autocommit: for LISTEN, locks, migrations."""
    with driver_errors():
        connection = await psycopg.AsyncConnection.connect(
            conninfo(dsn, application, session=session), autocommit=True, prepare_threshold=None
        )
    await _configure(connection)
    return connection


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Check out a connection and give one transaction: committed at the end, else rolled back."""
    with driver_errors(), heeding_cancellation() as heed:
        async with pool.connection() as connection:
            yield connection
            heed()
            await uninterrupted(connection.commit())


@asynccontextmanager
async def snapshot(pool: Pool) -> AsyncIterator[Connection]:
    """Check out a connection whose statements all see one and the same moment; for reading only."""
    with driver_errors(), heeding_cancellation():
        async with pool.connection() as connection:
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            await connection.set_read_only(True)
            try:
                yield connection
            finally:
                await connection.rollback()
                await connection.set_isolation_level(None)
                await connection.set_read_only(None)


def retried_on_conflict(
    function: Callable[P, Awaitable[T]],
) -> Callable[P, Awaitable[T]]:
    """Run an async function that is one whole transaction again when it lost against another."""

    @functools.wraps(function)
    async def retried(*args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(1, CONFLICT_TRIES):
            try:
                return await function(*args, **kwargs)
            except Conflict as conflict:
                if not isinstance(
                    conflict.__cause__, (driver.SerializationFailure, driver.DeadlockDetected)
                ):
                    raise
                log.info("transaction_retried", attempt=attempt, error=str(conflict.__cause__))
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311
        return await function(*args, **kwargs)

    return retried


async def through_outage(
    operation: Callable[[], Awaitable[T]], *, limit: float = OUTAGE_SECONDS
) -> T:
    """Run an idempotent operation again, with backoff, while the database is away.

    The time starts with the first failure; after `limit` seconds the last Unavailable is raised.
    """
    deadline: float | None = None
    delay = 0.1
    while True:
        try:
            return await operation()
        except Unavailable as error:
            now = time.monotonic()
            deadline = deadline or now + limit
            if now + delay > deadline:
                raise
            log.warning("database_away", error=str(error), retry_in=delay)
        await asyncio.sleep(delay)
        delay = min(delay * 2, 5.0)


@contextmanager
def driver_errors() -> Iterator[None]:
    """Turn what the driver raises inside into the errors of PAO; others pass as they are.

    `RAISE EXCEPTION` of our SQL functions becomes Conflict with MESSAGE, DETAIL and HINT as what,
    why and do (`no_data_found`: NotFound; `invalid_parameter_value`: InvalidInput).
    """
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable(
            "No database connection is free",
            str(error),
            "Look at the database's health and at WORKER_CONCURRENCY",
        ) from error
    except psycopg.Error as error:
        raise wrapped(error) from error


def wrapped(error: psycopg.Error) -> PaoError:
    """Return the error of PAO that stands for a driver's error."""
    diagnosis = error.diag
    said = (diagnosis.message_primary or " ".join(str(error).split()) or type(error).__name__,)
    told = (*said, diagnosis.message_detail or "", diagnosis.message_hint or "")
    match error:
        case driver.NoDataFound():
            return NotFound(*told)
        case driver.RaiseException():
            return Conflict(*told)
        case driver.InvalidParameterValue():
            return InvalidInput(*told)
        case driver.IntegrityError() if diagnosis.constraint_name:
            return ConstraintViolated(diagnosis.constraint_name, *told[:2])
        case driver.SerializationFailure() | driver.DeadlockDetected():
            return Conflict("The change met another at the same moment", *said, "Try again")
        case driver.LockNotAvailable() | driver.QueryCanceled():
            return Unavailable("The database took too long", *said, "Try again")
        case driver.InsufficientPrivilege() | driver.UndefinedTable() | driver.UndefinedFunction():
            return Unavailable(
                "The database's schema does not fit this program",
                *said,
                "Run `pao db migrate`, or `pao db status` to see what is missing",
                code="schema_not_migrated",
            )
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return Unavailable("The database is not reachable", *said, "Check PAO_DATABASE_URL")
        case psycopg.DataError():
            return InvalidInput("A value cannot be stored", *said)
    return PaoError("The database refused a statement", *told[:2], code="database_error")


async def _check(connection: Connection) -> None:
    """Ask the server only where its end of the idle connection has something to say, as when it closed.

    A peer that vanished without a word is noticed by the keepalives and by `tcp_user_timeout`.
    """
    idle = select.poll()
    idle.register(connection.fileno(), select.POLLIN)
    if idle.poll(0):
        await AsyncConnectionPool.check_connection(connection)


async def _configure(connection: Connection) -> None:
    """Exact numbers out of JSON, and nothing into it that PostgreSQL's JSON does not know."""
    set_json_loads(_loads, connection)
    set_json_dumps(_ENCODER.encode, connection)


def _loads(text: str | bytes) -> Any:
    # One decoder for all: json.loads makes a new one for each value with options.
    return _DECODER.decode(text if isinstance(text, str) else text.decode())


_DECODER = json.JSONDecoder(parse_float=Decimal)


def _plain_number(value: Any) -> int | float:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return int(value) if value == value.to_integral_value() else float(value)


_ENCODER = json.JSONEncoder(allow_nan=False, default=_plain_number)
