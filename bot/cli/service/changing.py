"""Updates and upgrades: what a service may get, and getting it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from bot.cli.acting import acting, as_option
from bot.cli.command import Invocation, command
from bot.cli.confirming import confirm_change, yes_option
from bot.cli.driving import Follow, follow_options
from bot.cli.ordering import Order, order_options, place, secrets_among
from bot.cli.parameters import ParameterOptions, parameter_options
from engine.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine import Actor, CatalogDetails, Engine, OperationView

COLUMNS: Final = [
    "operation_type",
    "operation_name",
    "operation_version",
    "eligible",
    "destructive",
    "downtime_required",
    "estimated_duration",
    "reason",
    "path",
]


@command("operations")
@click.argument("instance_id")
@as_option
async def operations(invocation: Invocation, *, instance_id: str, user_id: str | None) -> None:
    """Show which updates and upgrades a service may get, why not the others, and where upgrades lead."""
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        found = await engine.instance_operations(actor, instance_id)
        paths = await engine.upgrade_path(actor, instance_id)
    rows = [{**asdict(one), "path": _path_from(one, paths)} for one in found]
    invocation.output.rows(rows, COLUMNS, empty="The catalog has no update or upgrade for it.")


def _change_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what update and upgrade take."""
    for option in (follow_options, as_option, yes_option, parameter_options, order_options):
        function = option(function)
    return click.argument("instance_id")(click.argument("name")(function))


@command("update")
@_change_options
async def update(invocation: Invocation, **options: Any) -> int:
    """Change a service by an update of the catalog; what is not given stays as it is."""
    return await _change(invocation, "update", **options)


@command("upgrade")
@_change_options
async def upgrade(invocation: Invocation, **options: Any) -> int:
    """Bring a service to another version by an upgrade of the catalog."""
    return await _change(invocation, "upgrade", **options)


async def _change(
    invocation: Invocation,
    request_type: Literal["update", "upgrade"],
    *,
    instance_id: str,
    name: str,
    order: Order,
    options: ParameterOptions,
    yes: bool,
    user_id: str | None,
    follow: Follow,
) -> int:
    from engine import Submission

    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        instance = await engine.instance(actor, instance_id)
        details = await _details(engine, actor, instance.instance_id, request_type, name)
        given = options.read(secrets_among(engine.form_fields(details)))
        if not order.dry_run:
            confirm_change(details, instance.instance_name, yes=yes)
        wanted = Submission(
            parameters=given.values,
            texts=given.texts,
            dependencies=given.dependencies,
            item=name,
            instance=instance.instance_id,
            request_type=request_type,
            confirmation=instance.instance_name,
        )
        return await place(invocation, engine, actor, wanted, order=order, follow=follow)


async def _details(
    engine: Engine,
    actor: Actor,
    instance_id: str,
    request_type: Literal["update", "upgrade"],
    name: str,
) -> CatalogDetails:
    """Return the operation's document, with what is asked besides because the service lacks it.

    Where the operation cannot be run now, the document alone: the order is refused with the reason,
    or is one that was made before under the same key.
    """
    try:
        return (await engine.operation_form(actor, instance_id, request_type, name)).details
    except Conflict:
        kind = "UpdateItem" if request_type == "update" else "UpgradeItem"
        return await engine.catalog_entry(actor, name, kind)


def _path_from(operation: OperationView, paths: Sequence[Sequence[OperationView]]) -> Sequence[str]:
    """Return the upgrades that follow each other from this one on, itself first; empty for one alone."""
    for path in paths:
        if len(path) > 1 and path[0].operation_name == operation.operation_name:
            return [f"{one.operation_name} {one.operation_version}" for one in path]
    return ()
