"""The whole bot for a test: engine on a real database, catalog in real Git, Bolt app, Slack's twin.

async with running_bot(dsn, repository, http_server, tmp_path) as bot:
    await bot.twin.command("alice", "general", "/pao request cache")
    form = await bot.twin.view("alice", CALLBACK)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

import handlers
from bot.app import Services, build_app, slack_client
from bot.manifest import manifest
from bot.notifier import Notifier
from bot.playground.installation import Installation
from bot.playground.views import View
from bot.playground.workspace import Message
from bot.process import running
from bot.socket_mode import SocketMode
from engine import Engine, EngineConfig
from tests.support.encryption import KEY
from tests.support.slack_twin import SlackTwin, text_of

ADMIN = "U0CAROL000"


@dataclass(frozen=True, slots=True)
class RunningBot:
    """What a scenario acts on and looks at."""

    twin: SlackTwin
    engine: Engine
    services: Services

    async def say(self, user: str, text: str, channel: str = "general") -> str:
        """Send `/pao <text>`, wait for the answer, and return what it says."""
        return text_of(await self.ask(user, text, channel))

    async def ask(self, user: str, text: str, channel: str = "general") -> Message:
        """Send `/pao <text>` and return the ephemeral answer."""
        before = len(self.twin.ephemerals(user))
        await self.twin.command(user, channel, f"/pao {text}".strip())
        answers = await self.twin.eventually(lambda: self.twin.ephemerals(user)[before:])
        return answers[-1]

    async def form(self, user: str, item: str, channel: str = "general") -> View:
        """Open the form of an item by command."""
        await self.twin.command(user, channel, f"/pao request {item}")
        return await self.twin.view(user, "request_form")

    async def settled(self) -> None:
        """Return when no answer of the bot is under way."""
        await self.services.background.drained()

    async def card(self, channel: str = "general", holding: str = "") -> Message:
        """Wait for a card in a channel that holds a text."""
        return await self.twin.eventually(
            lambda: next((m for m in self.twin.messages(channel) if holding in text_of(m)), None)
        )

    def thread(self, card: Message, channel: str = "general") -> str:
        """Return what the thread under a card says."""
        return "\n".join(text_of(m) for m in self.twin.thread(channel, card.ts))


@asynccontextmanager
async def running_bot(
    dsn: str,
    catalog_url: str,
    data_dir: Path,
    *,
    dispatching: bool = True,
    notifying: bool = True,
    **settings: Any,
) -> AsyncIterator[RunningBot]:
    """Run the bot, catalog synced, against a twin of its own; on demand without parts of it."""
    config = EngineConfig(
        database_url=dsn,
        data_dir=data_dir,
        catalog_url=catalog_url,
        outbound_allow=("127.0.0.1",),
        encryption_keys=(KEY,),
        admins=frozenset({ADMIN}),
        **settings,
    )
    async with AsyncExitStack() as stack:
        twin = await stack.enter_async_context(
            SlackTwin(installation=Installation.from_manifest(manifest()))
        )
        engine = await stack.enter_async_context(Engine(config))
        await engine.sync_catalog(None, trigger="start")
        session = await stack.enter_async_context(ClientSession())
        client = slack_client(twin.playground.bot_token, twin.playground.api_url, session=session)
        services = Services.of(client, engine)
        app = build_app(services)
        handlers.register(app, services)
        if dispatching:
            await stack.enter_async_context(running(engine.dispatcher()))
        if dispatching and notifying:
            await stack.enter_async_context(running(Notifier(services, card_seconds=0.05)))
        await stack.enter_async_context(running(services.background))
        await stack.enter_async_context(running(SocketMode(app, twin.playground.app_token)))
        yield RunningBot(twin, engine, services)
