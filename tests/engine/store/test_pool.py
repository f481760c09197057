from __future__ import annotations

import asyncio
import socket
from decimal import Decimal

import pytest
from psycopg.types.json import Jsonb

from engine.errors import (
    Conflict,
    ConstraintViolated,
    InvalidInput,
    NotFound,
    PaoError,
    Unavailable,
)
from engine.store import pool as store
from engine.store.pool import (
    Connection,
    Pool,
    close_pool,
    connect,
    driver_errors,
    new_pool,
    open_pool,
    retried_on_conflict,
    through_outage,
    transaction,
)


@pytest.fixture
async def table(connection: Connection) -> None:
    await connection.execute(
        b"CREATE TABLE t (n int CONSTRAINT n_is_small CHECK (n < 10), j jsonb)"
    )


async def count(connection: Connection) -> int:
    row = await (await connection.execute(b"SELECT count(*) FROM t")).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.usefixtures("table")
async def test_a_transaction_commits_at_its_end(pool: Pool, connection: Connection) -> None:
    async with transaction(pool) as tx:
        await tx.execute(b"INSERT INTO t VALUES (1)")
        assert await count(connection) == 0
    assert await count(connection) == 1


@pytest.mark.usefixtures("table")
async def test_a_transaction_that_raises_leaves_nothing(pool: Pool, connection: Connection) -> None:
    async def write() -> None:
        async with transaction(pool) as tx:
            await tx.execute(b"INSERT INTO t VALUES (1)")
            raise LookupError

    with pytest.raises(LookupError):
        await write()
    assert await count(connection) == 0


@pytest.mark.usefixtures("table")
async def test_a_cancelled_commit_is_waited_for(pool: Pool, connection: Connection) -> None:
    await connection.execute(
        b"CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
        b"'BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END'"
    )
    await connection.execute(
        b"CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED "
        b"FOR EACH ROW EXECUTE FUNCTION slow()"
    )
    written = asyncio.Event()

    async def write() -> None:
        async with transaction(pool) as tx:
            await tx.execute(b"INSERT INTO t VALUES (1)")
            written.set()

    writing = asyncio.create_task(write())
    await written.wait()
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await count(connection) == 1
    async with transaction(pool) as tx:
        assert await count(tx) == 1


async def test_sessions_cannot_hold_locks_for_ever(pool: Pool) -> None:
    async with transaction(pool) as tx:
        for name, value in store.SESSION.items():
            row = await (await tx.execute(f"SHOW {name}".encode())).fetchone()
            assert row is not None
            assert row[0] in {value, value.replace("60s", "1min")}


async def test_one_setting_can_be_replaced(dsn: str) -> None:
    async with await connect(dsn, session={"lock_timeout": "1s"}) as connection:
        row = await (await connection.execute(b"SHOW lock_timeout")).fetchone()
        assert row == ("1s",)


@pytest.mark.usefixtures("table")
async def test_numbers_in_json_stay_exact(pool: Pool) -> None:
    async with transaction(pool) as tx:
        await tx.execute(b"INSERT INTO t (j) VALUES (%s)", [Jsonb([Decimal("0.1"), Decimal(7), 2])])
        row = await (await tx.execute(b"SELECT j FROM t")).fetchone()
        assert row == ([Decimal("0.1"), 7, 2],)


@pytest.mark.usefixtures("table")
async def test_json_that_postgresql_does_not_know_is_refused(pool: Pool) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        async with transaction(pool) as tx:
            await tx.execute(b"INSERT INTO t (j) VALUES (%s)", [Jsonb(float("nan"))])


RAISED = {
    "RAISE 'Taken' USING DETAIL = 'by req-1', HINT = 'Wait'": Conflict,
    "RAISE 'Gone' USING ERRCODE = 'no_data_found', DETAIL = 'by req-1', HINT = 'Wait'": NotFound,
    "RAISE 'Odd' USING ERRCODE = '22023', DETAIL = 'by req-1', HINT = 'Wait'": InvalidInput,
}


@pytest.mark.parametrize(("statement", "kind"), RAISED.items(), ids=["P0001", "P0002", "22023"])
async def test_what_sql_raises_says_what_why_and_what_to_do(
    statement: str, kind: type[PaoError], pool: Pool
) -> None:
    body = statement.replace("'", "''")
    with pytest.raises(kind) as raised:
        async with transaction(pool) as tx:
            await tx.execute(f"DO 'BEGIN {body}; END'".encode())
    assert (raised.value.why, raised.value.do) == ("by req-1", "Wait")


@pytest.mark.usefixtures("table")
async def test_a_broken_constraint_is_known_by_its_name(pool: Pool) -> None:
    with pytest.raises(ConstraintViolated) as raised:
        async with transaction(pool) as tx:
            await tx.execute(b"INSERT INTO t VALUES (10)")
    assert raised.value.constraint == "n_is_small"


async def test_a_missing_table_names_the_migration(pool: Pool) -> None:
    with pytest.raises(Unavailable, match="pao db migrate"):
        async with transaction(pool) as tx:
            await tx.execute(b"SELECT * FROM not_yet")


@pytest.mark.usefixtures("table")
async def test_the_loser_of_a_deadlock_runs_again(pool: Pool, connection: Connection) -> None:
    await connection.execute(b"INSERT INTO t VALUES (1), (2)")
    both = asyncio.Barrier(2)
    runs = 0

    @retried_on_conflict
    async def swap(first: int, second: int) -> None:
        nonlocal runs
        runs += 1
        async with transaction(pool) as tx:
            lock = b"SELECT n FROM t WHERE n = %s FOR UPDATE"
            await tx.execute(lock, [first])
            if runs <= 2:
                await both.wait()
            await tx.execute(lock, [second])

    await asyncio.gather(swap(1, 2), swap(2, 1))
    assert runs == 3


@pytest.mark.usefixtures("table")
async def test_a_refusal_is_not_tried_again(pool: Pool) -> None:
    runs = 0

    @retried_on_conflict
    async def refused() -> None:
        nonlocal runs
        runs += 1
        async with transaction(pool) as tx:
            await tx.execute(b"INSERT INTO t VALUES (10)")

    with pytest.raises(ConstraintViolated):
        await refused()
    assert runs == 1


async def test_a_server_that_is_not_there_is_unavailable_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dsn = f"postgresql://x@127.0.0.1:{unused.getsockname()[1]}/x"
        with pytest.raises(Unavailable, match="not reachable"):
            await open_pool(new_pool(dsn))


def test_an_address_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InvalidInput, match="address cannot be read") as raised:
        new_pool("postgresql://[")
    assert raised.value.field == "DATABASE_URL"


async def test_the_pool_gives_working_connections_after_all_were_lost(
    pool: Pool, connection: Connection
) -> None:
    async with transaction(pool) as tx:
        await tx.execute(b"SELECT 1")
    await connection.execute(
        b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        b"WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    async with transaction(pool) as tx:
        row = await (await tx.execute(b"SELECT 1")).fetchone()
        assert row == (1,)


async def test_an_outage_is_outlasted() -> None:
    answers = iter([Unavailable("away"), Unavailable("away"), "back"])

    async def ask() -> str:
        answer = next(answers)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    assert await through_outage(ask) == "back"


async def test_an_outage_that_lasts_too_long_is_told() -> None:
    async def ask() -> None:
        raise Unavailable("away")

    with pytest.raises(Unavailable):
        await through_outage(ask, limit=0.05)


async def test_closing_twice_is_fine(dsn: str) -> None:
    pool = new_pool(dsn)
    await open_pool(pool)
    await close_pool(pool)
    await close_pool(pool)
    assert pool.closed


async def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(LookupError), driver_errors():
        raise LookupError
