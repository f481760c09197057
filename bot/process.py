"""What runs, put together: the database, the engine and the services around it, in the order of their start.

Each long-running command is one function here. Services start top to bottom and stop bottom to top, by an exit
stack, so a start that fails half way stops what stood already. A signal cancels the function once: whatever it
was doing, the stack unwinds in order, the database last. A second signal cuts the waiting short.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession

import handlers
from bot.app import Services, build_app, http_endpoint, require_access, slack_client
from bot.background import Background
from bot.database import Database
from bot.http import Endpoint, Endpoints, http_server
from bot.log_page import log_page
from bot.monitoring import Watchers
from bot.notifier import Notifier
from bot.settings import clear
from bot.slack_metrics import note_ack
from bot.socket_mode import SocketMode
from bot.ticket_webhooks import ANY, JIRA, TicketWebhooks
from bot.tracing import Traces
from bot.webhooks import GitHubWebhooks
from engine import Engine
from engine.collector import spare_what_lives
from engine.service import Service

if TYPE_CHECKING:
    from bot.settings import Settings
    from engine.dispatch.base import Dispatcher

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[None]:
    """Start `service`, and stop it at the end of the block."""
    try:
        await service.start()
        yield
    finally:
        await service.stop()


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncIterator[Engine]:
    """Give an engine on a database that is held for as long as the block lasts; it runs nothing by itself."""
    async with (
        Database(settings).held() as (url, keys),
        Engine(settings.engine_config(url, keys)) as engine,
    ):
        yield engine


async def run_bot(settings: Settings) -> None:
    """Run the engine and its Slack side until cancelled."""
    access = SlackAccess(
        bot_token=clear(settings.slack_bot_token) or "",
        app_token=clear(settings.slack_app_token),
        signing_secret=clear(settings.slack_signing_secret),
        api_url=settings.slack_api_url,
        group_teams=settings.group_teams(),
    )
    async with open_engine(settings) as engine, bot_running(engine, access) as slack:
        await _serve(settings, engine, slack.dispatcher, slack)


async def run_worker(settings: Settings) -> None:
    """Run the engine without Slack until cancelled."""
    async with open_engine(settings) as engine:
        dispatcher = engine.dispatcher()
        async with running(dispatcher):
            await _serve(settings, engine, dispatcher, None)


@dataclass(frozen=True, slots=True)
class SlackAccess:
    """How Slack, or what stands in for it, is reached: by Socket Mode with an app token, else over HTTP."""

    bot_token: str
    app_token: str | None = None
    signing_secret: str | None = None
    api_url: str | None = None
    group_teams: Mapping[str, str] = field(default_factory=dict)
    """Team that the settings name for a user group, by its handle or id."""


@dataclass(frozen=True, slots=True)
class SlackSide:
    """The running Slack side: its endpoint in HTTP mode, its connection in Socket Mode."""

    dispatcher: Dispatcher
    endpoint: Endpoint | None
    socket: SocketMode | None


@asynccontextmanager
async def bot_running(engine: Engine, access: SlackAccess) -> AsyncIterator[SlackSide]:
    """Run dispatcher, notifier and listeners; stops what takes in work first, what does it last."""
    async with ClientSession() as session:
        client = slack_client(access.bot_token, access.api_url, session=session)
        await require_access(client)
        services = Services.of(client, engine, group_teams=access.group_teams, on_ack=note_ack)
        app = build_app(services, signing_secret=access.signing_secret)
        handlers.register(app, services)
        socket = SocketMode(app, access.app_token) if access.app_token else None
        async with AsyncExitStack() as stack:
            dispatcher = engine.dispatcher()
            await stack.enter_async_context(running(dispatcher))
            await stack.enter_async_context(running(Notifier(services)))
            await stack.enter_async_context(running(services.background))
            if socket is not None:
                await stack.enter_async_context(running(socket))
            yield SlackSide(dispatcher, None if socket else http_endpoint(app), socket)


async def _serve(
    settings: Settings, engine: Engine, dispatcher: Dispatcher, slack: SlackSide | None
) -> None:
    """Sync the catalog and answer over HTTP until cancelled; a sync that was begun may end.

    Raises Unavailable when the database stayed away for longer than the dispatcher waits.
    """
    background = Background()
    server = http_server(
        lambda: _readiness(engine, slack),
        Endpoints(
            webhooks=_webhooks(settings, engine, background),
            measure=engine.measures,
            logs=log_page(engine),
            slack=slack.endpoint if slack else None,
        ),
        port=settings.http_port,
        watchers=Watchers(settings.metrics_allow),
    )
    async with AsyncExitStack() as stack:
        for service in (background, server, *([Traces(engine)] if settings.otlp_endpoint else ())):
            await stack.enter_async_context(running(service))
        if engine.config.catalog_url:
            background.run(engine.sync_catalog(None, "start"), "sync at the start")
        spare_what_lives()
        await dispatcher.wait()


def _webhooks(settings: Settings, engine: Engine, background: Background) -> Mapping[str, Endpoint]:
    """Return what answers each sender of webhooks."""
    github = GitHubWebhooks(engine, background, clear(settings.github_webhook_secret))
    jira = TicketWebhooks(
        engine, JIRA, clear(settings.jira_webhook_secret), "PAO_JIRA_WEBHOOK_SECRET"
    )
    tickets = TicketWebhooks(
        engine, ANY, clear(settings.ticket_webhook_secret), "PAO_TICKET_WEBHOOK_SECRET"
    )
    return {"github": github.answer, "jira": jira.answer, "tickets": tickets.answer}


async def _readiness(engine: Engine, slack: SlackSide | None) -> Mapping[str, str | None]:
    parts = dict(await engine.health())
    if slack is not None and slack.socket is not None:
        parts["slack"] = None if slack.socket.connected else "Socket Mode is not connected"
    return parts


def until_signalled(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `main` until it ends or a signal asks for the end; returns when all of it has stopped."""
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_cancelled_by_signals(main))


async def _cancelled_by_signals(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    # Our own handlers in any case: a shell's background job starts with SIGINT ignored.
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(main())
    for number in SIGNALS:
        loop.add_signal_handler(number, work.cancel)
    await work
