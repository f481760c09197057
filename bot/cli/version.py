"""`pao version`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

from bot.cli.command import Invocation, command


@command("version")
def version(invocation: Invocation) -> None:
    """Print the version."""
    number = current_version()
    invocation.output.record({"version": number}, text=number)


def current_version() -> str:
    """Return the installed version; `unknown` where the package is run without being installed."""
    try:
        return installed_version("pao")
    except PackageNotFoundError:
        return "unknown"
