"""The two roles of docs/operating.md: the owner makes the schema, the application's role does all the rest."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from engine import ConfigurationError, Engine, Submission
from engine.store.migrate import migrate
from engine.store.pool import close_pool, connect, new_pool, open_pool
from engine.store.terraform import ROLE, terraform_dsn, terraform_password
from tests.support.encryption import KEY
from tests.support.engines import ADMIN, ALICE, add_item, automation, config
from tests.support.eventually import eventually
from tests.support.http_server import HttpServer

OPERATING = (Path(__file__).parents[3] / "docs/operating.md").read_text("utf-8")
GRANTS = re.search(r"^```sql grants\n(.*?)^```", OPERATING, re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Roles:
    owner: str
    app: str


@pytest.fixture
def roles(server_dsn: str) -> Iterator[Roles]:
    """A database of an owner who is no superuser; gives the addresses of both roles."""
    tag = secrets.token_hex(4)
    owner, app, database = f"owner_{tag}", f"app_{tag}", f"rights_{tag}"
    names = {name: sql.Identifier(name) for name in (owner, app, database, ROLE)}
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        for statement in (
            sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD 'one'").format(names[owner]),
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'another'").format(names[app]),
            # The run's other databases made it, so this owner is not its maker.
            sql.SQL("GRANT {} TO {} WITH ADMIN OPTION").format(names[ROLE], names[owner]),
            sql.SQL("CREATE DATABASE {} OWNER {}").format(names[database], names[owner]),
        ):
            admin.execute(statement)
        yield Roles(
            make_conninfo(server_dsn, user=owner, password="one", dbname=database),
            make_conninfo(server_dsn, user=app, password="another", dbname=database),
        )
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(names[database]))
        for name in (app, owner):
            admin.execute(sql.SQL("DROP OWNED BY {}").format(names[name]))
            admin.execute(sql.SQL("DROP ROLE {}").format(names[name]))


async def made(roles: Roles) -> None:
    """Make the schema and give the application what the page says, both as the owner."""
    assert GRANTS
    app = psycopg.conninfo.conninfo_to_dict(roles.app)["user"]
    await migrate(roles.owner)
    async with await psycopg.AsyncConnection.connect(roles.owner, autocommit=True) as owner:
        await owner.execute(GRANTS[1].replace("pao_app", str(app)).encode())


async def offer(roles: Roles, http_server: HttpServer) -> None:
    """Put an item with one step into service, as the application."""
    http_server.answer("POST", "/databases", status=201, json={"endpoint": "db"})
    template = {"url": f"{http_server.url}/databases", "body": {"size": "{{ size }}"}}
    steps = [{"name": "create", "type": "HttpPost", "template": template}]
    pool = new_pool(roles.app, max_size=1)
    await open_pool(pool)
    try:
        async with pool.connection() as connection:
            await add_item(connection, fulfillment=automation(steps))
    finally:
        await close_pool(pool)


async def test_with_these_rights_a_request_comes_to_its_end(
    roles: Roles, http_server: HttpServer, tmp_path: Path
) -> None:
    await made(roles)
    await offer(roles, http_server)

    async with Engine(config(roles.app, tmp_path)) as engine:
        view = await engine.submit(ALICE, Submission({"size": "large"}, item="database"))
        ended = await engine.drive(view.request_id, timeout=20)
        assert ended.status == "completed", ended
        await engine.pause(ADMIN)
        await engine.unpause(ADMIN)
        assert (await engine.rotate_keys(ADMIN)).unreadable == {}
        with pytest.raises(ConfigurationError, match="--database-url"):
            await engine.expire_audit_log(ADMIN, datetime.now(UTC))
        assert [entry.action for entry in (await engine.audit_log(ADMIN)).items][-1] == (
            "request.submit"
        )


@pytest.mark.parametrize("dispatcher", ["apscheduler", "procrastinate"])
async def test_with_these_rights_a_worker_runs_under_either_dispatcher(
    roles: Roles, http_server: HttpServer, tmp_path: Path, dispatcher: str
) -> None:
    await made(roles)
    await offer(roles, http_server)

    async with Engine(config(roles.app, tmp_path, dispatcher=dispatcher)) as engine:
        worker = engine.dispatcher()
        await worker.start()
        try:
            view = await engine.submit(ALICE, Submission({"size": "large"}, item="database"))

            async def ended() -> bool:
                return (await engine.request(ALICE, view.request_id)).status == "completed"

            await eventually(ended)
        finally:
            await worker.stop()


async def test_terraform_gets_in_by_the_function_that_only_the_application_may_call(
    roles: Roles,
) -> None:
    await made(roles)
    connection = await connect(roles.app)
    try:
        password = terraform_password([KEY]).encode()
        verifier = connection.pgconn.encrypt_password(password, ROLE.encode(), b"scram-sha-256")
        await connection.execute("SELECT set_terraform_login(%s)", [verifier.decode()])
    finally:
        await connection.close()
    assert await terraform_dsn(roles.app, [KEY])


async def test_the_application_can_number_rows_in_every_table(roles: Roles) -> None:
    await made(roles)
    async with await psycopg.AsyncConnection.connect(roles.app, autocommit=True) as app:
        found = await app.execute(
            b"SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'"
            b" AND NOT has_sequence_privilege(quote_ident(sequencename), 'USAGE')"
        )
        assert await found.fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (a int)",
        "ALTER TABLE service_requests ADD COLUMN a int",
        "DROP FUNCTION can_decommission_instance",
        "DELETE FROM audit_log",
        "UPDATE audit_log SET actor = 'U2'",
        "SELECT expire_audit_log(now(), 'U1')",
        "INSERT INTO schema_migrations (version) VALUES (9999)",
        "SELECT * FROM terraform.states",
        "ALTER ROLE pao_terraform PASSWORD 'x'",
    ],
)
async def test_more_is_refused_to_the_application(roles: Roles, statement: str) -> None:
    await made(roles)
    async with await psycopg.AsyncConnection.connect(roles.app, autocommit=True) as app:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await app.execute(statement.encode())
