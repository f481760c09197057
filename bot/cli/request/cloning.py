"""Cloning: the same order once more, with what an earlier request asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from bot.cli.acting import acting, as_option
from bot.cli.command import Invocation, command
from bot.cli.confirming import confirm_change, yes_option
from bot.cli.driving import Follow, follow_options
from bot.cli.ordering import Order, order_options, place, secrets_among
from bot.cli.parameters import Given, ParameterOptions, parameter_options
from bot.cli.request.submitting import TYPES

if TYPE_CHECKING:
    from engine import Clone, Submission


@command("clone")
@click.argument("request_id")
@click.option("--name", "instance_name", metavar="INSTANCE", help="The new instance's name.")
@order_options
@parameter_options
@as_option
@follow_options
@yes_option
async def clone(
    invocation: Invocation,
    *,
    request_id: str,
    instance_name: str | None,
    order: Order,
    options: ParameterOptions,
    user_id: str | None,
    follow: Follow,
    yes: bool,
) -> int:
    """Order the same again: what is not given is as in the earlier request; secrets are given anew."""
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        found = await engine.clone(actor, request_id)
        if found.dropped:
            gone = ", ".join(found.dropped)
            invocation.output.note(f"Not asked for any more, and left out: {gone}.")
        is_bundle = found.document.entry.kind == "CatalogBundle"
        components = (
            await engine.bundle_components(actor, found.document.entry.name) if is_bundle else ()
        )
        secret = secrets_among(engine.form_fields(found.document), components)
        given = options.read(secret, [one.name for one in components])
        wanted = _submission(found, given, instance_name)
        if found.instance is not None:
            instance = await engine.instance(actor, found.instance)
            confirm_change(found.document, instance.instance_name, yes=yes)
            wanted = replace(wanted, confirmation=instance.instance_name)
        return await place(invocation, engine, actor, wanted, order=order, follow=follow)


def _submission(found: Clone, given: Given, instance_name: str | None) -> Submission:
    """Return the earlier order with what was given in place of what it had."""
    from engine import Submission

    name = found.document.entry.name
    kind = found.document.entry.kind
    components = {one: dict(asked) for one, asked in found.components.items()}
    for one, asked in given.components.items():
        before = components.get(one, {})
        parameters = {**before.get("parameters", {}), **asked.get("parameters", {})}
        components[one] = {**before, **asked, "parameters": parameters}
    return Submission(
        parameters={**found.parameters, **given.values},
        texts=given.texts,
        dependencies={**found.dependencies, **given.dependencies},
        components=components,
        item=None if kind == "CatalogBundle" else name,
        bundle=name if kind == "CatalogBundle" else None,
        instance_name=instance_name,
        team=found.team,
        instance=found.instance,
        request_type=TYPES.get(kind, "create"),
    )
