"""Looking at requests: lists, one of them, what its steps wrote."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

import click

from bot.cli.acting import acting, as_option
from bot.cli.command import Invocation, command
from bot.cli.errors import DONE
from bot.cli.output import printable
from bot.cli.request_text import print_request, status_in_words

COLUMNS: Final = [
    "request_id",
    "request_type",
    "catalog_name",
    "instance_name",
    "status",
    "requester",
    "created_at",
]


@command("list")
@click.option(
    "--scope", type=click.Choice(["mine", "team", "all"]), default="all", show_default=True
)
@click.option("--status", metavar="S", help="Only requests in this status.")
@click.option(
    "--waiting", is_flag=True, help="Only what waits for you: approvals, tickets, failures."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--cursor", metavar="C", help="Where the page before ended.")
@as_option
async def list_(
    invocation: Invocation,
    *,
    scope: str,
    status: str | None,
    waiting: bool,
    limit: int,
    cursor: str | None,
    user_id: str | None,
) -> None:
    """List requests, newest first."""
    if waiting and (status or cursor):
        raise click.UsageError("--waiting goes with neither --status nor --cursor.")
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        if waiting:
            items, next_cursor = list(await engine.waiting_for(actor))[:limit], None
        else:
            page = await engine.requests(
                actor, scope=scope, status=status, limit=limit, cursor=cursor
            )
            items, next_cursor = list(page.items), page.next_cursor
    data = {"items": [asdict(item) for item in items], "next_cursor": next_cursor}
    rows = [asdict(item) | {"status": status_in_words(item)} for item in items]
    invocation.output.rows(rows, COLUMNS, data=data)
    if next_cursor and invocation.output.format == "table":
        invocation.output.note(f"More: --cursor {next_cursor}")


@command("get")
@click.argument("request_id")
@click.option("--steps", is_flag=True, help="Show the steps in the table, too.")
@click.option("--watch", is_flag=True, help="Follow it until it ends; do no work.")
@as_option
async def get(
    invocation: Invocation, *, request_id: str, steps: bool, watch: bool, user_id: str | None
) -> int:
    """Show one request."""
    from bot.cli.progress import progress

    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        if watch:
            with progress() as show:
                view = await engine.watch(actor, request_id, on_change=show)
        else:
            view = await engine.request(actor, request_id)
    print_request(invocation, view, steps=steps or watch)
    return DONE


@command("logs")
@click.argument("request_id")
@click.argument("step")
@as_option
async def logs(invocation: Invocation, *, request_id: str, step: str, user_id: str | None) -> None:
    """Print what a step's attempts wrote; with PUBLIC_URL also a link to each, good for an hour."""
    async with invocation.engine() as engine:
        attempts = await engine.logs(await acting(engine, user_id), request_id, step)
    text = "\n".join(
        f"--- attempt {one.attempt_number}{f'  {one.url}' if one.url else ''}\n"
        f"{printable(one.text, lines=True)}"
        for one in attempts
    )
    rows = [asdict(one) for one in attempts]
    invocation.output.record({"attempts": rows}, text=text or "The step has not run yet.")
