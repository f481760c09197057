"""Orders: what every command that makes a request takes, and what it does when the request is made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from bot.cli.driving import Follow
from bot.cli.dry_run_text import print_dry_run
from bot.cli.errors import DONE
from bot.cli.request_text import end

if TYPE_CHECKING:
    from bot.cli.command import Invocation
    from engine import Actor, AnyField, ComponentForm, Engine, Submission


@dataclass(frozen=True, slots=True)
class Order:
    """When to start, whether to change nothing, and the key under which there is one request."""

    at: datetime | None
    dry_run: bool
    key: str


def order_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--at`, `--dry-run` and `--idempotency-key` to a command, which gets them as `order`."""

    @functools.wraps(function)
    def command(
        *args: Any, at: str | None, dry_run: bool, idempotency_key: str | None, **options: Any
    ) -> Any:
        key = idempotency_key or f"cli:{uuid4()}"
        return function(*args, order=Order(_moment(at), dry_run, key), **options)

    at = click.option("--at", metavar="TIME", help="Start not before this time (ISO 8601).")
    dry_run = click.option(
        "--dry-run",
        is_flag=True,
        help="Check, render every template, show Terraform's plan; change nothing.",
    )
    key = click.option(
        "--idempotency-key", metavar="K", help="The same key gives the same request."
    )
    return at(dry_run(key(command)))


async def place(
    invocation: Invocation,
    engine: Engine,
    actor: Actor,
    submission: Submission,
    *,
    order: Order,
    follow: Follow,
) -> int:
    """Submit, follow where that was asked for, print, and return the exit code."""
    submission = replace(submission, at=order.at, dry_run=order.dry_run, idempotency_key=order.key)
    view = await engine.submit(actor, submission)
    if order.dry_run:
        print_dry_run(invocation, view)
        return DONE
    return await end(invocation, engine, view, follow=follow)


def secrets_among(fields: Sequence[AnyField], components: Sequence[ComponentForm] = ()) -> set[str]:
    """Return the names of secret fields; a component's as `component.field`."""
    own = {field.name for field in fields if field.type == "secret"}
    return own | {
        f"{component.name}.{field.name}"
        for component in components
        for field in component.fields
        if field.type == "secret"
    }


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text} is no time; write 2026-01-31T22:00+01:00", param_hint="--at"
        ) from error
    return moment.astimezone()
