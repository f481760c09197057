"""Who a command acts as: the operator of this machine, or with `--as` exactly somebody else."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from engine import Actor, Engine

as_option = click.option(
    "--as", "user_id", metavar="USER", help="Act with exactly this user's rights."
)


async def acting(engine: Engine, user_id: str | None) -> Actor:
    """Return who acts; NotFound for an unknown user. Audited as "cli:login" or "cli:login as USER"."""
    operator = f"cli:{_login()}"
    if user_id is None:
        return await engine.actor(operator, source="cli", audit_name=operator)
    return await engine.actor(user_id, source="cli", audit_name=f"{operator} as {user_id}")


def _login() -> str:
    """Return the login name; the number of the user where a container knows no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
