"""`pao demo`: the playground."""

from __future__ import annotations

import asyncio
import webbrowser

import click

from bot.cli.command import Invocation, command

PLAYGROUND_PORT = 8000


@command("demo")
@click.option("--port", type=click.IntRange(0, 65535), default=PLAYGROUND_PORT, show_default=True)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def demo(invocation: Invocation, *, port: int, no_browser: bool) -> None:
    """Start everything with a playground in the browser."""
    from bot.demo import demo_running
    from bot.process import until_signalled

    settings = invocation.strict_settings()
    invocation.log("WARNING")

    async def main() -> None:
        async with demo_running(settings, port=port, say=invocation.output.note) as running:
            click.echo(f"The playground is ready: {running.url}")
            invocation.output.note(
                f"In another terminal: .venv/bin/pao --config {settings.data_dir}/demo/pao.yml"
                " catalog list\nCtrl-C ends all of it."
            )
            if not no_browser:
                await asyncio.to_thread(webbrowser.open, running.url)
            await running.dispatcher.wait()

    until_signalled(main)
