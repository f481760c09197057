"""Events that could not be told: `pao events parked`, `retry`, `discard`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict

import click

from bot.cli.acting import acting, as_option
from bot.cli.command import Invocation, group

COLUMNS = ["event_id", "consumer", "kind", "request_id", "instance_id", "parked_at", "error"]

events = group("events", "Events that could not be told, and what becomes of them.")


@events.command("parked")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@as_option
async def parked(invocation: Invocation, *, limit: int, user_id: str | None) -> None:
    """List the events that a consumer could not handle, the oldest first."""
    async with invocation.engine() as engine:
        found = await engine.parked_events(await acting(engine, user_id), limit)
    rows = [asdict(event) for event in found]
    invocation.output.rows(rows, COLUMNS, data={"items": rows})


@events.command("retry")
@click.argument("event_ids", metavar="[EVENT_ID]...", nargs=-1, type=int)
@click.option("--all", "all_of_them", is_flag=True, help="All that are put aside.")
@as_option
async def retry(
    invocation: Invocation, *, event_ids: Sequence[int], all_of_them: bool, user_id: str | None
) -> None:
    """Have events told once more; the bot that runs does so, and puts aside what fails again."""
    wanted = _wanted(event_ids, all_of_them=all_of_them)
    async with invocation.engine() as engine:
        found = await engine.retry_parked_events(await acting(engine, user_id), wanted)
    invocation.output.record({"retried": list(found)}, text=f"To be told once more: {len(found)}.")


@events.command("discard")
@click.argument("event_ids", metavar="[EVENT_ID]...", nargs=-1, type=int)
@click.option("--all", "all_of_them", is_flag=True, help="All that are put aside.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_option
async def discard(
    invocation: Invocation,
    *,
    event_ids: Sequence[int],
    all_of_them: bool,
    yes: bool,
    user_id: str | None,
) -> None:
    """Give events up: nobody is told of them; what they tell of stays as it is."""
    wanted = _wanted(event_ids, all_of_them=all_of_them)
    if not yes and sys.stdin.isatty():
        click.confirm("Give them up? Nobody will be told of them.", abort=True, err=True)
    async with invocation.engine() as engine:
        found = await engine.discard_parked_events(await acting(engine, user_id), wanted)
    invocation.output.record({"discarded": list(found)}, text=f"Given up: {len(found)}.")


def _wanted(event_ids: Sequence[int], *, all_of_them: bool) -> Sequence[int] | None:
    if bool(event_ids) == all_of_them:
        raise click.UsageError("Name events (`pao events parked` lists them), or give --all.")
    return None if all_of_them else event_ids
