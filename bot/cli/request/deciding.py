"""Approvals: whoever was named says yes, or no and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot.cli.acting import as_option
from bot.cli.command import Invocation, command
from bot.cli.driving import Follow, follow_options
from bot.cli.parameters import Given, ParameterOptions, parameter_options
from bot.cli.request.verbs import steer

if TYPE_CHECKING:
    from engine import Actor, Engine, RequestView


@command("approve")
@click.argument("request_id")
@click.argument("step", required=False)
@click.option("--reason", help="Why.")
@parameter_options
@as_option
@follow_options
async def approve(
    invocation: Invocation,
    *,
    request_id: str,
    step: str | None,
    reason: str | None,
    options: ParameterOptions,
    user_id: str | None,
    follow: Follow,
) -> int:
    """Approve a request, or one of its approval steps; --param fills the step's fields."""

    async def give(engine: Engine, actor: Actor) -> RequestView:
        fields = Given()
        if not options.is_empty:
            asked = (await engine.approval_to_decide(actor, request_id, step=step)).fields
            fields = options.read({one["name"] for one in asked if one.get("type") == "secret"})
        return await engine.approve(
            actor, request_id, step=step, reason=reason, fields=fields.values, texts=fields.texts
        )

    return await steer(invocation, user_id, give, follow=follow)


@command("reject")
@click.argument("request_id")
@click.argument("step", required=False)
@click.option("--reason", required=True, help="Why; the requester reads it.")
@as_option
async def reject(
    invocation: Invocation,
    *,
    request_id: str,
    step: str | None,
    reason: str,
    user_id: str | None,
) -> int:
    """Refuse an approval."""
    return await steer(
        invocation,
        user_id,
        lambda engine, actor: engine.reject(actor, request_id, step=step, reason=reason),
    )
