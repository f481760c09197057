"""`pao db`: the schema, the address, and the embedded server."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from bot.cli.command import Invocation, group
from bot.cli.errors import DONE, NO, UNREACHABLE
from bot.settings import clear
from engine.store import migrate as migrations

db = group("db", "The database: schema, address, embedded server.")


@db.command("migrate")
@click.option(
    "--phase",
    type=click.Choice(["all", "pre"]),
    default="all",
    show_default=True,
    help="`pre`: leave out what old code would not survive.",
)
async def migrate(invocation: Invocation, phase: migrations.Phase) -> None:
    """Bring the schema up to date."""
    embedded = invocation.database.embedded
    if embedded is not None:
        await asyncio.to_thread(embedded.start)
    done = await migrations.migrate(_direct_address(invocation), phase)
    invocation.output.record(
        {"applied": done},
        text="\n".join(f"Applied {name}." for name in done) or "The schema is up to date.",
    )


@db.command("status")
async def status(invocation: Invocation) -> int:
    """List the migrations; exit 0 when all are applied, 3 when any is pending, else 1."""
    await invocation.database.ready()
    lines = await migrations.status(_direct_address(invocation))
    invocation.output.rows(
        [asdict(line) for line in lines], ["version", "name", "state", "applied_at"]
    )
    states = {line.state for line in lines}
    if "pending" in states:
        invocation.output.note("Migrations are pending. Run `pao db migrate`.")
        return UNREACHABLE
    return DONE if states == {"applied"} else NO


@db.command("url")
async def url(invocation: Invocation) -> None:
    """Print the database's address; the embedded server is started for it."""
    address, _ = await invocation.database.ready()
    invocation.output.record({"url": address}, text=address)


@db.command("stop")
def stop(invocation: Invocation) -> None:
    """Stop the embedded server."""
    embedded = invocation.database.embedded
    stopped = embedded is not None and embedded.stop()
    if embedded is None:
        text = "There is nothing to stop: the database is not the embedded one."
    else:
        text = "Stopped." if stopped else "It was not running."
    invocation.output.record({"stopped": stopped}, text=text)


def _direct_address(invocation: Invocation) -> str:
    """Return the address for schema work, past a pooler; the embedded server has started."""
    database = invocation.database
    if database.embedded is not None:
        return database.embedded.dsn
    return clear(invocation.settings.database_direct_url) or str(database.url)
