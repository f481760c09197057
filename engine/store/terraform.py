"""The way to Terraform's own state: the role `pao_terraform`, which sees nothing else.

Terraform's pg backend opens its own connections, and provisioners inherit its environment: so it
gets a role with rights on the schema `terraform` alone. The password is derived from the first
encryption key: every worker knows it, and nothing stores it. Databases of one server share the
role, so they must share that key as well.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import quote, urlencode

import psycopg

from engine.errors import ConfigurationError, Unavailable
from engine.store import queries
from engine.store.pool import Connection, connect, driver_errors

ROLE = "pao_terraform"
SCHEMA = "terraform"
"""As migration 0006 makes them."""

SSL_MODES = frozenset({"require", "verify-ca", "verify-full"})
"""The modes that Terraform's driver knows beside disable; libpq's others mean "see what works"."""

_sql = queries.load("terraform")


async def terraform_dsn(database_url: str, encryption_keys: Sequence[str]) -> str:
    """Return the URI by which Terraform reaches its state, after making sure that it works.

    `database_url` must not lead through a transaction pooler: Terraform's lock is the session's.
    Raises Unavailable without a database, ConfigurationError without a key or the right to set
    the role's password.
    """
    password = terraform_password(encryption_keys)
    connection = await connect(database_url)
    try:
        dsn = _dsn(connection, password)
        if not await _logs_in(dsn):
            await _set_login(connection, password)
    finally:
        await connection.close()
    return dsn


def terraform_password(encryption_keys: Sequence[str]) -> str:
    """Return the password of `pao_terraform`. ConfigurationError when there is no key."""
    if not encryption_keys:
        raise ConfigurationError(
            "Terraform's state cannot be reached",
            "its role's password comes from the encryption key, and none is set",
            "Set PAO_ENCRYPTION_KEYS",
            code="no_encryption_key",
        )
    return hmac.new(encryption_keys[0].encode(), ROLE.encode(), hashlib.sha256).hexdigest()


async def _set_login(connection: Connection, password: str) -> None:
    verifier = connection.pgconn.encrypt_password(
        password.encode(), ROLE.encode(), b"scram-sha-256"
    ).decode()
    try:
        with driver_errors():
            await connection.execute(_sql.set_login, {"verifier": verifier})
    except Unavailable as error:
        if not isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege):
            raise
        raise ConfigurationError(
            f"The role {ROLE} cannot be given its password",
            str(error.__cause__).partition("\n")[0],
            "Grant the application's role EXECUTE on set_terraform_login(text), and run"
            " `pao db migrate` as the owner of the schema",
        ) from error


async def _logs_in(dsn: str) -> bool:
    try:
        connection = await psycopg.AsyncConnection.connect(dsn, connect_timeout=5)
    except psycopg.OperationalError:
        return False
    await connection.close()
    return True


def _dsn(connection: Connection, password: str) -> str:
    """Return the URI in the words of Terraform's driver, to where `connection` is connected."""
    info = connection.info
    given = info.get_parameters()
    mode = given.get("sslmode", "")
    if mode not in SSL_MODES:
        mode = "require" if connection.pgconn.ssl_in_use else "disable"
    options = {"host": info.host, "port": str(info.port), "sslmode": mode}
    options |= {name: given[name] for name in ("sslrootcert",) if name in given}
    query = urlencode(options, quote_via=quote)
    return f"postgres://{ROLE}:{password}@/{quote(info.dbname, safe='')}?{query}"
