"""Slack's twin for demo and tests: Slack's protocol to an unchanged Bolt app, a page to people."""

from __future__ import annotations

from bot.playground.engine_panel import (
    AttemptRow,
    EnginePanel,
    InstanceDetail,
    InstanceRow,
    RequestDetail,
    RequestRow,
    StepRow,
)
from bot.playground.installation import Command, Installation, Shortcut
from bot.playground.server import Playground
from bot.playground.workspace import Person, UserGroup, default_people, default_teams

__all__ = [
    "AttemptRow",
    "Command",
    "EnginePanel",
    "Installation",
    "InstanceDetail",
    "InstanceRow",
    "Person",
    "Playground",
    "RequestDetail",
    "RequestRow",
    "Shortcut",
    "StepRow",
    "UserGroup",
    "default_people",
    "default_teams",
]
