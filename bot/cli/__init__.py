"""`pao`: the command line. Every command is imported when it is called, so help is quick.

A line here, and a module with a click command of the same name, is all that a new command needs.
"""

from __future__ import annotations

import sys

from bot.cli.command import LazyGroup
from bot.cli.errors import run

COMMANDS = {
    "demo": ("bot.cli.demo", "Start everything with a playground in the browser."),
    "run": ("bot.cli.run", "Run the bot: Socket Mode with an app token, else HTTP."),
    "worker": ("bot.cli.run", "Run the engine without Slack."),
    "catalog": ("bot.cli.catalog", "Sync, list, check and render the catalog."),
    "request": ("bot.cli.request", "Submit requests, follow and steer them."),
    "service": ("bot.cli.service", "Look at running services, change and retire them."),
    "db": ("bot.cli.db", "The database: schema, address, embedded server."),
    "doctor": ("bot.cli.doctor", "Check that all that is needed is there."),
    "config": ("bot.cli.config", "The settings, and where each comes from."),
    "manifest": ("bot.cli.manifest", "Print the Slack app's manifest."),
    "pause": ("bot.cli.admin", "Start no new steps; what runs goes on."),
    "unpause": ("bot.cli.admin", "Start steps again."),
    "audit": ("bot.cli.admin", "Who did what to what, and how much of it is kept."),
    "events": ("bot.cli.events", "Events that could not be told, and what becomes of them."),
    "keys": ("bot.cli.admin", "The keys that encrypt secrets."),
    "version": ("bot.cli.version", "Print the version."),
}

pao = LazyGroup(
    "pao",
    commands=COMMANDS,
    help="PAO, the Platform Automation Orchestrator: order, follow, change and retire "
    "infrastructure.",
)


def main() -> None:
    """The entry point of the console script; ends the process with the command's exit code."""
    sys.exit(run(pao, sys.argv[1:]))
