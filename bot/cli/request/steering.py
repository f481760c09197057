"""Steering a request: end it, or help it on after a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot.cli.acting import acting, as_option
from bot.cli.command import Invocation, command
from bot.cli.confirming import confirm, confirm_by_name, yes_option
from bot.cli.driving import Follow, follow_options, seconds
from bot.cli.parameters import Given, ParameterOptions, parameter_options
from bot.cli.request.verbs import steer
from bot.cli.request_text import end

if TYPE_CHECKING:
    from engine import Actor, Engine, RequestView


@command("cancel")
@click.argument("request_id")
@as_option
async def cancel(invocation: Invocation, *, request_id: str, user_id: str | None) -> int:
    """Take back a request that has not begun."""
    return await steer(invocation, user_id, lambda engine, actor: engine.cancel(actor, request_id))


@command("resume")
@click.argument("request_id")
@click.option(
    "--skip-verification", is_flag=True, help="Take the failed steps' results as they are (admins)."
)
@click.option("--sequence-timeout", metavar="D", help="A new limit for the whole sequence.")
@parameter_options
@as_option
@follow_options
async def resume(
    invocation: Invocation,
    *,
    request_id: str,
    skip_verification: bool,
    sequence_timeout: str | None,
    options: ParameterOptions,
    user_id: str | None,
    follow: Follow,
) -> int:
    """Go on with a failed request from its failed steps."""

    async def go_on(engine: Engine, actor: Actor) -> RequestView:
        values = await _changes(engine, actor, request_id, options)
        return await engine.resume(
            actor,
            request_id,
            parameters=values.values,
            texts=values.texts,
            skip_verification=skip_verification,
            sequence_timeout=seconds(sequence_timeout),
        )

    return await steer(invocation, user_id, go_on, follow=follow)


@command("retry")
@click.argument("request_id")
@click.argument("step")
@parameter_options
@as_option
@follow_options
async def retry(
    invocation: Invocation,
    *,
    request_id: str,
    step: str,
    options: ParameterOptions,
    user_id: str | None,
    follow: Follow,
) -> int:
    """Try one failed step again."""

    async def again(engine: Engine, actor: Actor) -> RequestView:
        values = await _changes(engine, actor, request_id, options)
        return await engine.retry(
            actor, request_id, step, parameters=values.values, texts=values.texts
        )

    return await steer(invocation, user_id, again, follow=follow)


@command("skip")
@click.argument("request_id")
@click.argument("step")
@click.option("--reason", required=True, help="Why the step is not needed.")
@as_option
@follow_options
async def skip(
    invocation: Invocation,
    *,
    request_id: str,
    step: str,
    reason: str,
    user_id: str | None,
    follow: Follow,
) -> int:
    """Go on without a failed step (admins)."""
    return await steer(
        invocation,
        user_id,
        lambda engine, actor: engine.skip(actor, request_id, step, reason),
        follow=follow,
    )


@command("resolve")
@click.argument("request_id")
@click.argument("step", required=False)
@parameter_options
@as_option
@follow_options
async def resolve(
    invocation: Invocation,
    *,
    request_id: str,
    step: str | None,
    options: ParameterOptions,
    user_id: str | None,
    follow: Follow,
) -> int:
    """Say that a failed step, or a manual request, was done by hand; --param gives its outputs."""
    outputs = options.read()
    return await steer(
        invocation,
        user_id,
        lambda engine, actor: engine.resolve(actor, request_id, step, outputs=outputs.values),
        follow=follow,
    )


@command("abort")
@click.argument("request_id")
@click.option("--reason", help="Why.")
@click.option("--destroy", is_flag=True, help="Destroy what Terraform made, in reverse order.")
@click.option("--completion", is_flag=True, help="Make a ticket that lists what is left to do.")
@click.option("--cleanup/--no-cleanup", default=True, help="Make a ticket that lists what exists.")
@yes_option
@as_option
@follow_options
async def abort(
    invocation: Invocation,
    *,
    request_id: str,
    reason: str | None,
    destroy: bool,
    completion: bool,
    cleanup: bool,
    yes: bool,
    user_id: str | None,
    follow: Follow,
) -> int:
    """End a request for good; with --destroy what Terraform made goes too."""
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        view = await engine.request(actor, request_id)
        if destroy and view.instance_name:
            warning = f"{view.request_id} is ended, and what Terraform made for it is destroyed."
            confirm_by_name(warning, view.instance_name, yes=yes)
        else:
            confirm(f"Abort {view.request_id}? It cannot be resumed afterwards.", yes=yes)
        view = await engine.abort(
            actor,
            view.request_id,
            reason=reason,
            destroy=destroy,
            completion=completion,
            cleanup=cleanup,
        )
        return await end(invocation, engine, view, follow=follow, good="aborted")


async def _changes(
    engine: Engine, actor: Actor, request_id: str, options: ParameterOptions
) -> Given:
    """Return changed parameters; whether one is a secret is known from the request's own document."""
    if options.is_empty:
        return Given()
    return options.read(await engine.secret_parameters(actor, request_id))
