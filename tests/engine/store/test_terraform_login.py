"""The role of Terraform's state: its password, and what it may see."""

import asyncio

import psycopg
import pytest

from engine.errors import ConfigurationError
from engine.store.terraform import terraform_dsn, terraform_password
from tests.support.encryption import KEY


async def test_the_role_gets_in_and_sees_its_state_alone(dsn: str) -> None:
    address = await terraform_dsn(dsn, [KEY])
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
        await connection.execute("INSERT INTO terraform.states (name, data) VALUES ('a', '{}')")
        for forbidden in (
            "SELECT * FROM service_requests",
            "SELECT * FROM encrypted_values",
            "CREATE TABLE public.mine (a int)",
            "CREATE TABLE terraform.mine (a int)",
            "SELECT set_terraform_login('SCRAM-SHA-256$x')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(forbidden)


async def test_many_at_once_get_in(dsn: str) -> None:
    addresses = await asyncio.gather(*(terraform_dsn(dsn, [KEY]) for _ in range(8)))
    assert len(set(addresses)) == 1


async def test_the_password_is_the_keys_and_is_not_stored_in_clear(dsn: str) -> None:
    await terraform_dsn(dsn, [KEY])
    assert terraform_password([KEY]) == terraform_password([KEY, "another"])
    assert terraform_password(["another"]) != terraform_password([KEY])
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        row = await (
            await connection.execute(
                "SELECT rolpassword FROM pg_authid WHERE rolname = 'pao_terraform'"
            )
        ).fetchone()
    assert row is not None
    assert row[0].startswith("SCRAM-SHA-256$")


async def test_without_a_key_there_is_no_password(dsn: str) -> None:
    with pytest.raises(ConfigurationError, match="PAO_ENCRYPTION_KEYS"):
        await terraform_dsn(dsn, [])


async def test_a_password_in_clear_is_refused_by_the_database(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            await connection.execute("SELECT set_terraform_login('hunter22')")
