"""`pao demo`: everything on one machine, with a playground in Slack's place and a small cloud to order from.

What it adds to a bot (`bot.process`): a catalog repository made from the examples, in DATA_DIR/demo/catalog, where
it may be edited and committed to; the cloud that those examples call; and the playground. DATA_DIR/demo/pao.yml holds
the same settings for the command line, so that both work on one database.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bot.demo_cloud import DemoCloud
from bot.demo_memory import Memory
from bot.manifest import manifest
from bot.panel import Panel
from bot.playground import Installation, Playground
from bot.playground.workspace import default_people, default_teams
from bot.process import SlackAccess, bot_running, open_engine, running
from bot.setting_types import Team
from bot.settings import Settings
from bot.shipped import shipped
from engine.catalog.founding import BRANCH, found_repository, replace_in_documents
from engine.errors import ConfigurationError, StepFailed
from engine.steps.terraform.environment import find_binary

if TYPE_CHECKING:
    from engine import Engine
    from engine.dispatch.base import Dispatcher

EXAMPLES = "examples/catalog"

CLOUD_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
"""What the example documents call; the only loopback addresses in them."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo: the playground's address, token included, and what carries the steps."""

    url: str
    dispatcher: Dispatcher


@asynccontextmanager
async def demo_running(settings: Settings, *, port: int, say: Say) -> AsyncIterator[Demo]:
    """Run the demo for as long as the block lasts."""
    folder = settings.data_dir / "demo"
    async with _cloud(folder / "cloud.json") as cloud:
        settings = await asyncio.to_thread(_prepared, settings, folder, cloud.url)
        say("Starting the database")
        async with open_engine(settings) as engine:
            say("Reading the catalog")
            await _sync(engine, say)
            _tell_of_terraform(settings, say)
            installation = Installation.from_manifest(manifest())
            playground = Playground(
                port=port,
                panel=Panel(engine),
                memory=Memory(folder / "slack.json"),
                installation=installation,
            )
            async with running(playground):
                access = SlackAccess(
                    bot_token=playground.bot_token,
                    app_token=playground.app_token,
                    api_url=playground.api_url,
                )
                async with bot_running(engine, access) as slack:
                    yield Demo(playground.url, slack.dispatcher)


@asynccontextmanager
async def _cloud(memory: Path) -> AsyncIterator[DemoCloud]:
    """Run the cloud on the port that the examples name, or on any where that one is taken."""
    cloud = DemoCloud(memory=memory)
    try:
        await cloud.start()
    except ConfigurationError:
        cloud = DemoCloud(0, memory=memory)
        await cloud.start()
    try:
        yield cloud
    finally:
        await cloud.stop()


def _prepared(settings: Settings, folder: Path, cloud_url: str) -> Settings:
    """Return the demo's settings, with the repository made and the settings' file written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        catalog_url = found_repository(shipped(EXAMPLES), folder / "catalog")
        replace_in_documents(folder / "catalog", CLOUD_ADDRESS, cloud_url)
        changes = _changes(catalog_url)
        _write_settings(folder / "pao.yml", changes | {"data_dir": str(settings.data_dir)})
    except OSError as error:
        raise ConfigurationError(
            f"The demo cannot write to {folder}", str(error), "Set PAO_DATA_DIR to another folder"
        ) from error
    return settings.model_copy(update=changes | {"teams": _teams()})


def _changes(catalog_url: str) -> dict[str, Any]:
    """Return what the demo sets itself: its catalog, its people, and that loopback may be called."""
    return {
        "catalog_url": catalog_url,
        "catalog_branch": BRANCH,
        "outbound_allow": ["127.0.0.1"],
        "admins": [person.id for person in default_people() if person.is_admin],
        "teams": {team.handle: team.members for team in default_teams()},
    }


def _teams() -> dict[str, Team]:
    return {team.handle: Team(members=tuple(team.members)) for team in default_teams()}


def _write_settings(path: Path, values: dict[str, Any]) -> None:
    """Write the file for the command line, never half of it."""
    new = path.with_suffix(".new")
    new.write_text(
        "# Written by `pao demo` at every start, for the command line beside it.\n"
        + yaml.safe_dump(values, sort_keys=False),
        "utf-8",
    )
    new.replace(path)


def _tell_of_terraform(settings: Settings, say: Say) -> None:
    """Say before the first order what the examples with Terraform will meet without it."""
    try:
        find_binary(settings.terraform_bin)
    except StepFailed as missing:
        say(f"{missing} Until then orders that use it fail and become tickets.")


async def _sync(engine: Engine, say: Say) -> None:
    report = await engine.sync_catalog(None, trigger="start")
    for error in report.errors:
        say(f"{error['file']}:{error['line']}: {error['message']}")
    if report.status == "failed":
        say(f"The catalog could not be read: {report.error_message}")
