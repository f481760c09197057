"""What admins do: `pao pause` and `unpause`, `pao audit`, `pao keys`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime

import click

from bot.cli.acting import acting, as_option
from bot.cli.command import Invocation, command, group, group_with_answer
from bot.cli.errors import DONE, NO

AUDIT_COLUMNS = ["at", "actor", "action", "target", "outcome", "before", "after", "reason"]
MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"]

keys = group("keys", "The keys that encrypt secrets.")


@command("pause")
@as_option
async def pause(invocation: Invocation, *, user_id: str | None) -> None:
    """Start no new steps, in any process; what runs goes on, and requests are taken."""
    async with invocation.engine() as engine:
        await engine.pause(await acting(engine, user_id))
    invocation.output.record({"paused": True}, text="Paused. `pao unpause` starts steps again.")


@command("unpause")
@as_option
async def unpause(invocation: Invocation, *, user_id: str | None) -> None:
    """Start steps again."""
    async with invocation.engine() as engine:
        await engine.unpause(await acting(engine, user_id))
    invocation.output.record({"paused": False}, text="Steps are started again.")


@group_with_answer("audit")
@click.option("--target", metavar="ID", help="Only what was done to this request or service.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@click.option("--cursor", metavar="C", help="Where the page before ended.")
@as_option
async def audit(
    invocation: Invocation,
    *,
    target: str | None,
    limit: int,
    cursor: str | None,
    user_id: str | None,
) -> None:
    """List who did what to what, newest first; refusals too."""
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        page = await engine.audit_log(actor, target=target, limit=limit, cursor=cursor)
    rows = [asdict(entry) for entry in page.items]
    invocation.output.rows(
        rows, AUDIT_COLUMNS, data={"items": rows, "next_cursor": page.next_cursor}
    )
    if page.next_cursor and invocation.output.format == "table":
        invocation.output.note(f"More: --cursor {page.next_cursor}")


@audit.command("expire")
@click.option(
    "--before",
    required=True,
    metavar="DATE",
    type=click.DateTime(MOMENTS),
    help="2026-01-31 (its midnight in UTC) or 2026-01-31T12:00:00+01:00.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_option
async def expire(
    invocation: Invocation, *, before: datetime, yes: bool, user_id: str | None
) -> None:
    """Delete what was audited before a moment; the deletion is audited."""
    moment = before if before.tzinfo else before.replace(tzinfo=UTC)
    if not yes and sys.stdin.isatty():
        asked = f"Delete all that was audited before {moment.isoformat()}? It cannot be undone."
        click.confirm(asked, abort=True, err=True)
    async with invocation.engine() as engine:
        deleted = await engine.expire_audit_log(await acting(engine, user_id), moment)
    invocation.output.record({"deleted": deleted}, text=f"Deleted {deleted} lines.")


@keys.command("rotate")
@as_option
async def rotate(invocation: Invocation, *, user_id: str | None) -> int:
    """Encrypt every kept secret under the first of PAO_ENCRYPTION_KEYS; exit 1 if any is lost."""
    async with invocation.engine() as engine:
        done = await engine.rotate_keys(await acting(engine, user_id))
    invocation.output.record(
        asdict(done), text=f"Encrypted {done.rotated} secrets under the key {done.key_id}."
    )
    for key_id, count in done.unreadable.items():
        invocation.output.note(
            f"{count} secrets stay as they are: their key {key_id} is not set. Add it to"
            " PAO_ENCRYPTION_KEYS, after the first, and rotate again."
        )
    return NO if done.unreadable else DONE
