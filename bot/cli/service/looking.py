"""Looking at services: lists, one of them, its history, who needs whom."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal, get_args

import click

from bot.cli.acting import acting, as_option
from bot.cli.command import Invocation, command
from bot.cli.output import lines, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine import DependencyView, InstanceView, MemberView

Direction = Literal["providers", "dependents", "both"]

COLUMNS = [
    "instance_id",
    "instance_name",
    "instance_state",
    "catalog_name",
    "catalog_version",
    "owner_team",
    "owner_user_id",
]
DEPENDENCY_COLUMNS = [
    "relationship",
    "instance_id",
    "instance_name",
    "instance_state",
    "dependency_type",
    "dependency_name",
    "is_required",
]
HISTORY_COLUMNS = [
    "upgraded_at",
    "upgrade_type",
    "from_version",
    "to_version",
    "upgrade_item_name",
    "upgrade_status",
    "upgrade_duration_seconds",
    "rollback_available",
]
TIMELINE_COLUMNS = ["at", "kind", "request_id", "data"]
MEMBER_COLUMNS = [
    "instance_id",
    "instance_name",
    "instance_state",
    "catalog_item",
    "catalog_version",
    "component_name",
    "member_role",
    "is_required",
]


@command("list")
@click.argument("words", nargs=-1)
@click.option(
    "--scope", type=click.Choice(["mine", "team", "all"]), default="all", show_default=True
)
@click.option("--state", metavar="S", help="Only services in this state.")
@click.option("--item", metavar="NAME", help="Only services of this item or bundle.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@click.option("--cursor", metavar="C", help="Where the page before ended.")
@as_option
async def list_(
    invocation: Invocation,
    *,
    words: tuple[str, ...],
    scope: str,
    state: str | None,
    item: str | None,
    limit: int,
    cursor: str | None,
    user_id: str | None,
) -> None:
    """List services, newest first; WORDS begin words of the name, the id or the item."""
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        page = await engine.instances(
            actor,
            scope=scope,
            text=" ".join(words) or None,
            state=state,
            item=item,
            limit=limit,
            cursor=cursor,
        )
    rows = [asdict(instance) for instance in page.items]
    invocation.output.rows(rows, COLUMNS, data={"items": rows, "next_cursor": page.next_cursor})
    if page.next_cursor and invocation.output.format == "table":
        invocation.output.note(f"More: --cursor {page.next_cursor}")


@command("get")
@click.argument("instance_id")
@as_option
async def get(invocation: Invocation, *, instance_id: str, user_id: str | None) -> None:
    """Show one service: outputs, parameters, resources, dependencies both ways, open requests."""
    async with invocation.engine() as engine:
        view = await engine.instance(await acting(engine, user_id), instance_id)
    invocation.output.record(asdict(view), text=_view_text(view))


@command("history")
@click.argument("instance_id")
@click.option("--timeline", is_flag=True, help="Everything that happened to it, oldest first.")
@as_option
async def history(
    invocation: Invocation, *, instance_id: str, timeline: bool, user_id: str | None
) -> None:
    """Show how the updates and upgrades of a service ended, newest first."""
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        if timeline:
            happened = await engine.instance_timeline(actor, instance_id)
            rows = [asdict(entry) for entry in happened]
            invocation.output.rows(rows, TIMELINE_COLUMNS, empty="Nothing is known of it.")
            return
        entries = await engine.instance_history(actor, instance_id)
    invocation.output.rows(
        [asdict(entry) for entry in entries],
        HISTORY_COLUMNS,
        empty="No update or upgrade has ended on it yet.",
    )


@command("dependencies")
@click.argument("instance_id")
@click.option(
    "--direction",
    type=click.Choice(get_args(Direction)),
    default="both",
    show_default=True,
    help="What it needs, what needs it, or both.",
)
@click.option("--format", "picture", type=click.Choice(["mermaid"]), help="As a picture's text.")
@as_option
async def dependencies(
    invocation: Invocation,
    *,
    instance_id: str,
    direction: Direction,
    picture: str | None,
    user_id: str | None,
) -> None:
    """Show what a service needs and what needs it."""
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        if picture:
            drawn = await engine.instance_graph(actor, instance_id, direction)
            invocation.output.record({"mermaid": drawn}, text=drawn)
            return
        found = await engine.instance_dependencies(actor, instance_id, direction)
    invocation.output.rows(
        [asdict(dependency) for dependency in found],
        DEPENDENCY_COLUMNS,
        empty="It needs nothing, and nothing needs it.",
    )


def _view_text(view: InstanceView) -> str:
    facts = {
        key: getattr(view, key)
        for key in (
            "instance_id",
            "instance_name",
            "instance_state",
            "catalog_item" if view.catalog_item else "catalog_bundle",
            "catalog_version",
            "owner_user_id",
            "owner_team",
            "creation_request_id",
            "open_requests",
            "created_at",
            "provisioned_at",
            "decommissioned_at",
        )
    }
    sections = [
        lines({key: value for key, value in facts.items() if value}),
        _section("Outputs", lines(view.service_outputs, exact=True)),
        _section("Parameters", lines(view.deployment_parameters, exact=True)),
        _section("Resources", _resources(view)),
        _section("Dependencies", _dependencies(view.dependencies)),
        _section("Members", _members(view.members)),
        _section("Member of", _members(view.bundles)),
        _section("After the change that failed", _aftermath(view)),
    ]
    return "\n\n".join(section for section in sections if section)


def _section(title: str, text: str) -> str:
    return f"{title}\n{text}" if text else ""


def _resources(view: InstanceView) -> str:
    rows = list(view.deployed_resources)
    return table(rows, ["address", "type", "id"]) if rows else ""


def _dependencies(found: Sequence[DependencyView]) -> str:
    rows = [asdict(dependency) for dependency in found]
    return table(rows, DEPENDENCY_COLUMNS) if rows else ""


def _members(found: Sequence[MemberView]) -> str:
    return table([asdict(member) for member in found], MEMBER_COLUMNS) if found else ""


def _aftermath(view: InstanceView) -> str:
    """Return what a failed update or upgrade left, and what was asked against what there is."""
    if view.failed_request_id is None:
        return ""
    facts = {
        "request": view.failed_request_id,
        "instance_usable": view.instance_usable,
        "update_repeatable": view.update_repeatable,
    }
    rows = [{"name": name, **both} for name, both in view.comparison.items()]
    differing = f"\n{table(rows, ['name', 'asked', 'actual'])}" if rows else ""
    return lines(facts) + differing
