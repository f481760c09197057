"""`pao run`: the bot."""

from __future__ import annotations

import click

from bot.cli.command import Invocation, command


@command("run")
def run(invocation: Invocation) -> None:
    """Run the bot: Socket Mode with an app token, else HTTP."""
    from bot.process import run_bot, until_signalled

    settings = invocation.strict_settings()
    if settings.slack_bot_token is None:
        raise click.UsageError(
            "There is no Slack token. Set SLACK_BOT_TOKEN, and SLACK_APP_TOKEN for Socket Mode or"
            " SLACK_SIGNING_SECRET for HTTP. `pao demo` needs no Slack; `pao worker` runs the"
            " engine alone."
        )
    if settings.slack_app_token is None and settings.slack_signing_secret is None:
        raise click.UsageError(
            "Slack cannot reach the bot. Set SLACK_APP_TOKEN for Socket Mode, or"
            " SLACK_SIGNING_SECRET for HTTP."
        )
    invocation.log("INFO")
    until_signalled(lambda: run_bot(settings))


@command("worker")
@click.option("--concurrency", type=click.IntRange(1, 1000), help="Steps at a time.")
def worker(invocation: Invocation, *, concurrency: int | None) -> None:
    """Run the engine without Slack."""
    from bot.process import run_worker, until_signalled

    settings = invocation.strict_settings()
    if concurrency is not None:
        settings = settings.model_copy(update={"worker_concurrency": concurrency})
    invocation.log("INFO")
    until_signalled(lambda: run_worker(settings))
