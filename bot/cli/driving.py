"""`--wait`: the command drives its own request until it ends, whether a bot runs or not."""

from __future__ import annotations

import asyncio
import functools
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from bot.cli.progress import progress

if TYPE_CHECKING:
    from bot.cli.command import Invocation
    from engine import Engine, RequestView

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Follow:
    """Whether a command drives its request to the end, and for how many seconds at most."""

    wait: bool = False
    seconds: float | None = None


NOT_FOLLOWED = Follow()


def follow_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--wait` and `--timeout` to a command, which gets them as `follow`."""

    @functools.wraps(function)
    def command(*args: Any, wait: bool, timeout: str | None, **options: Any) -> Any:
        return function(*args, follow=Follow(wait, seconds(timeout)), **options)

    limit = click.option(
        "--timeout", metavar="D", help="With --wait: how long (30s, 10m); the request goes on."
    )
    wait = click.option("--wait", is_flag=True, help="Run and follow the request until it ends.")
    return wait(limit(command))


def seconds(text: str | None) -> float | None:
    """Read a duration of the command line; wrong usage when it is none."""
    from engine.durations import parse_duration

    if text is None:
        return None
    try:
        return float(parse_duration(text))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


async def drive(
    invocation: Invocation, engine: Engine, view: RequestView, limit: float | None
) -> RequestView:
    """Return the request as it ended, or as it stood when the time was over (`timed_out`).

    A signal ends the driving, never the request: what is held is given back, and the person is told how to go on.
    """
    loop = asyncio.get_running_loop()
    with progress() as show:
        show(view)
        driving = asyncio.ensure_future(
            engine.drive(view.request_id, timeout=limit, on_change=show)
        )
        for number in SIGNALS:
            loop.add_signal_handler(number, driving.cancel)
        try:
            return await driving
        except asyncio.CancelledError:
            invocation.output.note(
                f"Interrupted; the request goes on when the engine does. "
                f"Follow it by: pao request get {view.request_id} --watch"
            )
            return replace(view, timed_out=True)
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
