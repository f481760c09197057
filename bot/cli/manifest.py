"""`pao manifest`: the Slack app's manifest."""

import click
import yaml

from bot.cli.command import Invocation, command


@command("manifest")
@click.option("--url", metavar="URL", help="Public https address of the bot, for Slack over HTTP.")
def manifest(invocation: Invocation, url: str | None) -> None:
    """Print the Slack app's manifest as YAML, or with --output json as JSON."""
    from bot.manifest import manifest as read

    found = read(url)
    text = yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=100)
    invocation.output.record(found, text=text.rstrip("\n"))
