"""Decommissioning: whether a service may go, and its end."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

from bot.cli.acting import acting, as_option
from bot.cli.command import Invocation, command
from bot.cli.confirming import confirm_by_name, yes_option
from bot.cli.driving import Follow, follow_options
from bot.cli.errors import DONE, NO
from bot.cli.ordering import Order, order_options, place
from bot.cli.output import printable, table

if TYPE_CHECKING:
    from engine import DecommissionCheck

BLOCKING_COLUMNS: Final = [
    "instance_id",
    "instance_name",
    "instance_state",
    "dependency_type",
    "owner_team",
    "owner_user_id",
    "needs",
]


@command("decommission")
@click.argument("instance_id")
@click.option("--check", is_flag=True, help="Ask only; exit 0 when it may go, else 1.")
@order_options
@yes_option
@as_option
@follow_options
async def decommission(
    invocation: Invocation,
    *,
    instance_id: str,
    check: bool,
    order: Order,
    yes: bool,
    user_id: str | None,
    follow: Follow,
) -> int:
    """Retire a service for good; or ask whether it may go, and who stands in the way."""
    from engine import Submission

    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        if check:
            answer = await engine.can_decommission(actor, instance_id)
            invocation.output.record(asdict(answer), text=_check_text(answer))
            return DONE if answer.can_decommission else NO
        instance = await engine.instance(actor, instance_id)
        if not order.dry_run:
            warning = (
                f"{instance.instance_id} is decommissioned, and what it consists of is destroyed."
            )
            confirm_by_name(warning, instance.instance_name, yes=yes)
        wanted = Submission(
            parameters={},
            instance=instance.instance_id,
            request_type="decommission",
            confirmation=instance.instance_name,
        )
        return await place(invocation, engine, actor, wanted, order=order, follow=follow)


def _check_text(answer: DecommissionCheck) -> str:
    if answer.can_decommission:
        return "It may be decommissioned: nothing needs it."
    text = f"It may not be decommissioned: {printable(answer.reason or '')}."
    rows = list(answer.blocking_instances)
    return f"{text}\n\n{table(rows, BLOCKING_COLUMNS)}" if rows else text
