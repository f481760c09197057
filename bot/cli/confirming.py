"""Confirmations: asked on a terminal only, where somebody can answer; elsewhere the command itself is one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from engine.errors import InvalidInput

if TYPE_CHECKING:
    from engine import CatalogDetails

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def confirm(question: str, *, yes: bool) -> None:
    """Ask for a yes; the command is given up without one."""
    if _is_asked(yes=yes):
        click.confirm(question, abort=True, err=True)


def confirm_by_name(warning: str, name: str, *, yes: bool) -> None:
    """Ask for the name of what is changed for good; InvalidInput where another one is typed."""
    if not _is_asked(yes=yes):
        return
    click.echo(warning, err=True)
    typed = click.prompt(
        f"Type the service's name, {name}, to confirm", default="", err=True, show_default=False
    )
    if typed.strip() != name:
        raise InvalidInput(
            "Nothing was done",
            f"the name that was typed is not {name}",
            "Give the command again and type the name as it stands there",
            code="not_confirmed",
        )


def _is_asked(*, yes: bool) -> bool:
    return not yes and sys.stdin.isatty()


def confirm_change(details: CatalogDetails, instance_name: str, *, yes: bool) -> None:
    """Ask before an update or upgrade that destroys something or stops the service."""
    targets = details.targets or {}
    told = [
        sentence
        for key, sentence in (
            ("destructive", "it may destroy resources"),
            ("downtime_required", "the service is down meanwhile"),
        )
        if targets.get(key)
    ]
    if told:
        warning = f"{details.entry.display_name}: {' and '.join(told)}."
        confirm_by_name(warning, instance_name, yes=yes)
