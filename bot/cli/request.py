"""`pao request`: submit requests, follow them, and help those that failed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from bot.cli.acting import acting, as_option
from bot.cli.command import Invocation, group
from bot.cli.driving import NOT_FOLLOWED, Follow, drive, follow_options, seconds
from bot.cli.errors import DONE, NO
from bot.cli.output import lines, printable, table
from bot.cli.parameters import Given, ParameterOptions, parameter_options

if TYPE_CHECKING:
    from engine import Actor, Engine, RequestView

request = group("request", "Submit requests, follow and steer them.")

COLUMNS = [
    "request_id",
    "request_type",
    "catalog_name",
    "instance_name",
    "status",
    "requester",
    "created_at",
]


@request.command("submit")
@click.option("--item", metavar="NAME", help="The catalog item to order.")
@click.option("--bundle", metavar="NAME", help="The bundle to order.")
@click.option("--name", "instance_name", metavar="INSTANCE", help="The instance's name.")
@click.option("--team", metavar="TEAM", help="Whose it will be; one of yours.")
@click.option("--at", metavar="TIME", help="Start not before this time (ISO 8601).")
@click.option("--dry-run", is_flag=True, help="Check and show what would run; change nothing.")
@click.option("--idempotency-key", metavar="K", help="The same key gives the same request.")
@parameter_options
@as_option
@follow_options
async def submit(
    invocation: Invocation,
    *,
    item: str | None,
    bundle: str | None,
    instance_name: str | None,
    team: str | None,
    at: str | None,
    dry_run: bool,
    idempotency_key: str | None,
    options: ParameterOptions,
    user_id: str | None,
    follow: Follow,
) -> int:
    """Order something from the catalog."""
    from engine import Submission

    if (item is None) == (bundle is None):
        raise click.UsageError("Name what to order: either --item or --bundle.")
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        details = await (
            engine.catalog_entry(actor, item, "CatalogItem")
            if item
            else engine.catalog_entry(actor, bundle or "", "CatalogBundle")
        )
        values = options.read(_secret_names(engine, details))
        view = await engine.submit(
            actor,
            Submission(
                parameters=values.values,
                texts=values.texts,
                dependencies=values.dependencies,
                components=values.components,
                item=item,
                bundle=bundle,
                instance_name=instance_name,
                team=team,
                at=_moment(at),
                dry_run=dry_run,
                idempotency_key=idempotency_key or f"cli:{uuid4()}",
            ),
        )
        if dry_run:
            _print_dry_run(invocation, view)
            return DONE
        return await _end(invocation, engine, view, follow=follow)


@request.command("template")
@click.option("--item", required=True, metavar="NAME", help="The catalog item.")
@as_option
async def template(invocation: Invocation, *, item: str, user_id: str | None) -> None:
    """Print a file of parameters for an item, ready to be filled in."""
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        details = await engine.catalog_entry(actor, item, "CatalogItem")
        fields = engine.form_fields(details)
    values = {field.name: field.default for field in fields if not (field.readonly or field.hidden)}
    text = "\n".join(_template_lines(field) for field in fields if field.name in values)
    invocation.output.record(values, text=text)


@request.command("validate")
@click.option("--item", required=True, metavar="NAME", help="The catalog item.")
@parameter_options
@as_option
async def validate(
    invocation: Invocation,
    *,
    item: str,
    options: ParameterOptions,
    user_id: str | None,
) -> int:
    """Check parameters as a submission would; nothing is ordered."""
    from engine import Submission

    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        details = await engine.catalog_entry(actor, item, "CatalogItem")
        values = options.read(_secret_names(engine, details))
        errors = await engine.check(
            actor, Submission(parameters=values.values, texts=values.texts, item=item)
        )
    found = {"valid": not errors, "errors": [asdict(error) for error in errors]}
    text = (
        "\n".join(f"{error.field}: {error.message}" for error in errors)
        or "The parameters are valid."
    )
    invocation.output.record(found, text=text)
    return NO if errors else DONE


@request.command("list")
@click.option(
    "--scope", type=click.Choice(["mine", "team", "all"]), default="all", show_default=True
)
@click.option("--status", metavar="S", help="Only requests in this status.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--cursor", metavar="C", help="Where the page before ended.")
@as_option
async def list_(
    invocation: Invocation,
    *,
    scope: str,
    status: str | None,
    limit: int,
    cursor: str | None,
    user_id: str | None,
) -> None:
    """List requests, newest first."""
    async with invocation.engine() as engine:
        actor = await acting(engine, user_id)
        page = await engine.requests(actor, scope=scope, status=status, limit=limit, cursor=cursor)
    rows = [asdict(item) for item in page.items]
    invocation.output.rows(rows, COLUMNS, data={"items": rows, "next_cursor": page.next_cursor})
    if page.next_cursor and invocation.output.format == "table":
        invocation.output.note(f"More: --cursor {page.next_cursor}")


@request.command("get")
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
    _print(invocation, view, steps=steps or watch)
    return DONE


@request.command("cancel")
@click.argument("request_id")
@as_option
async def cancel(invocation: Invocation, *, request_id: str, user_id: str | None) -> int:
    """Take back a request that has not begun."""
    return await _steer(invocation, user_id, lambda engine, actor: engine.cancel(actor, request_id))


@request.command("resume")
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

    return await _steer(invocation, user_id, go_on, follow=follow)


@request.command("retry")
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

    return await _steer(invocation, user_id, again, follow=follow)


@request.command("skip")
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
    return await _steer(
        invocation,
        user_id,
        lambda engine, actor: engine.skip(actor, request_id, step, reason),
        follow=follow,
    )


@request.command("resolve")
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
    return await _steer(
        invocation,
        user_id,
        lambda engine, actor: engine.resolve(actor, request_id, step, outputs=outputs.values),
        follow=follow,
    )


@request.command("abort")
@click.argument("request_id")
@click.option("--reason", help="Why.")
@click.option("--destroy", is_flag=True, help="Destroy what Terraform made, in reverse order.")
@click.option("--completion", is_flag=True, help="Make a ticket that lists what is left to do.")
@click.option("--cleanup/--no-cleanup", default=True, help="Make a ticket that lists what exists.")
@click.option("--yes", is_flag=True, help="Do not ask.")
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
    """End a request for good."""
    if not yes and _is_terminal():
        click.confirm(f"Abort {request_id}? It cannot be resumed afterwards.", abort=True, err=True)
    return await _steer(
        invocation,
        user_id,
        lambda engine, actor: engine.abort(
            actor,
            request_id,
            reason=reason,
            destroy=destroy,
            completion=completion,
            cleanup=cleanup,
        ),
        follow=follow,
        good="aborted",
    )


@request.command("logs")
@click.argument("request_id")
@click.argument("step")
@as_option
async def logs(invocation: Invocation, *, request_id: str, step: str, user_id: str | None) -> None:
    """Print what a step's attempts wrote."""
    async with invocation.engine() as engine:
        attempts = await engine.logs(await acting(engine, user_id), request_id, step)
    rows = [asdict(attempt) for attempt in attempts]
    text = "\n".join(
        f"--- attempt {row['attempt_number']}\n{printable(row['text'], lines=True)}" for row in rows
    )
    invocation.output.record({"attempts": rows}, text=text or "The step has not run yet.")


Verb = Callable[["Engine", "Actor"], Any]


async def _steer(
    invocation: Invocation,
    user_id: str | None,
    verb: Verb,
    *,
    follow: Follow = NOT_FOLLOWED,
    good: str = "completed",
) -> int:
    async with invocation.engine() as engine:
        view = await verb(engine, await acting(engine, user_id))
        return await _end(invocation, engine, view, follow=follow, good=good)


async def _end(
    invocation: Invocation,
    engine: Engine,
    view: RequestView,
    *,
    follow: Follow,
    good: str = "completed",
) -> int:
    """Follow the request where that was asked for, print it, and return the exit code."""
    if not follow.wait:
        _print(invocation, view, steps=False)
        return DONE
    view = await drive(invocation, engine, view, follow.seconds)
    _print(invocation, view, steps=True)
    return DONE if view.status == good and not view.timed_out else NO


async def _changes(
    engine: Engine, actor: Actor, request_id: str, options: ParameterOptions
) -> Given:
    """Return changed parameters; whether one is a secret is known from the request's own document."""
    if options.is_empty:
        return Given()
    return options.read(await engine.secret_parameters(actor, request_id))


def _secret_names(engine: Engine, details: Any) -> set[str]:
    return {field.name for field in engine.form_fields(details) if field.type == "secret"}


def _print(invocation: Invocation, view: RequestView, *, steps: bool) -> None:
    data = asdict(view)
    parts = [lines({name: data[name] for name in _SHOWN if data.get(name) is not None})]
    if steps and view.steps:
        rows = [
            {**asdict(step), "attempts": len(step.attempts), "error": _last_error(step)}
            for step in view.steps
        ]
        parts.append(table(rows, ["name", "type", "status", "attempts", "error"]))
    tickets = [*view.tickets, *(ticket for step in view.steps for ticket in step.tickets)]
    if tickets:
        rows = [{**asdict(ticket), "ticket": ticket.ticket_id} for ticket in tickets]
        parts.append(table(rows, ["ticket", "type", "status", "url"]))
    invocation.output.record(data, text="\n\n".join(parts))
    if view.can_resume and invocation.output.format == "table":
        invocation.output.note(
            "\nGo on with `pao request resume`, `retry`, `skip` or `resolve`"
            f" {view.request_id}, or end it with `abort`."
        )


def _print_dry_run(invocation: Invocation, view: RequestView) -> None:
    """Print what would run. What was not made has no ids."""
    data = {**asdict(view), "request_id": None, "instance_id": None, "dry_run": True}
    shown = {name: data[name] for name in _SHOWN if data.get(name) is not None}
    for gone in ("status", "created_at"):
        shown.pop(gone)
    parts = ["Dry run: nothing was ordered. This would run:", lines(shown)]
    if view.steps:
        parts.append(table([asdict(step) for step in view.steps], ["name", "type", "depends_on"]))
    invocation.output.record(data, text="\n\n".join(parts))


_SHOWN = [
    "request_id",
    "title",
    "request_type",
    "status",
    "catalog_item",
    "catalog_bundle",
    "catalog_version",
    "instance_id",
    "instance_name",
    "requester",
    "team",
    "parameters",
    "outputs",
    "created_at",
    "completed_at",
    "reason",
]


def _last_error(step: Any) -> str | None:
    return step.attempts[-1].error_message if step.attempts and step.status != "completed" else None


def _template_lines(field: Any) -> str:
    about = f"  # {field.help_text}" if field.help_text else ""
    need = "" if field.required else "# "
    default = (
        "" if field.default is None else json.dumps(field.default, default=str, ensure_ascii=False)
    )
    return f"{need}{field.name}: {default}{about}"


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


def _is_terminal() -> bool:
    return sys.stdin.isatty()
