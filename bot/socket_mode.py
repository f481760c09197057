"""The connection that brings what people do, and the watchdog over it.

Bolt's handler reconnects by itself after a clean drop. It can also die for good and say nothing:
after a failed reconnect it tries the same address again and again, whose ticket is good for one use
(measured with slack_sdk 3.47). So the watchdog looks at it every few seconds: not connected, or no
word from Slack for too long, and it builds a new handler, which asks for a new address, and throws
the old one away within a bound.

    stopped --start--> connecting --connected--> connected --silent or lost--> connecting
"""

import asyncio
import contextlib
import time
from typing import Any, Final

import structlog
from aiohttp import ClientError
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.app import REFUSED_TOKEN
from bot.slack_metrics import REBUILDS
from engine import ConfigurationError, Unreachable

LOOK_SECONDS: Final = 2.0
"""How often the watchdog looks."""

LOST_SECONDS: Final = 6.0
"""How long the handler may try by itself before it is replaced."""

PING_SECONDS: Final = 10.0
SILENT_SECONDS: Final = 30.0
"""Slack answers each of our pings; nothing for this long means that nobody is there."""

CONNECT_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 3.0
LONGEST_PAUSE_SECONDS: Final = 30.0

log = structlog.get_logger(__name__)


class SocketMode:
    """Socket Mode as a service. `rebuilds` counts how often the watchdog had to act."""

    def __init__(
        self,
        app: AsyncApp,
        app_token: str,
        *,
        look_seconds: float = LOOK_SECONDS,
        lost_seconds: float = LOST_SECONDS,
        silent_seconds: float = SILENT_SECONDS,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        self.rebuilds = 0
        self._app = app
        self._app_token = app_token
        self._look_seconds = look_seconds
        self._lost_seconds = lost_seconds
        self._silent_seconds = silent_seconds
        self._ping_seconds = ping_seconds
        self._handler: _Handler | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether Slack can reach us now; for readiness."""
        session = self._session
        return session is not None and not session.closed

    async def start(self) -> None:
        """Connect, then watch.

        ConfigurationError where Slack refuses the token, Unreachable where it does not answer.
        """
        try:
            await self._connect()
        except SlackApiError as refusal:
            raise _refused(refusal) from refusal
        except (SlackClientError, ClientError, OSError, TimeoutError) as broken:
            raise Unreachable(
                "Slack cannot be reached", str(broken), "Check the network and SLACK_API_URL"
            ) from broken
        self._watching = asyncio.create_task(self._watch(), name="watch Socket Mode")

    async def stop(self) -> None:
        """Take nothing more, and leave no connection and no task."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        await self._close()

    async def _connect(self) -> None:
        """Connect a new handler by a new address.

        The address is asked for here: the handler would try a refused token for ever.
        """
        answer = await self._app.client.apps_connections_open(app_token=self._app_token)
        handler = _Handler(self._app, self._app_token, ping_interval=self._ping_seconds)
        handler.client.wss_uri = answer["url"]
        self._handler = handler
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await handler.connect_async()  # type: ignore[no-untyped-call]
        except BaseException:
            await self._close()
            raise

    async def _watch(self) -> None:
        """Replace the handler whenever it is lost or silent; never ends by itself."""
        lost_since: float | None = None
        while True:
            await asyncio.sleep(self._look_seconds)
            now = time.monotonic()
            if self.connected and not self._is_silent():
                lost_since = None
                continue
            lost_since = lost_since or now
            if self._is_silent() or now - lost_since >= self._lost_seconds:
                log.warning("socket_mode_lost", silent=self._is_silent())
                await self._rebuild()
                lost_since = None

    async def _rebuild(self) -> None:
        """Close the handler and connect a new one, however often it takes."""
        await self._close()
        pause = 0.5
        while True:
            try:
                await self._connect()
            except (SlackClientError, ClientError, OSError, TimeoutError) as error:
                log.warning("socket_mode_unreachable", error=str(error), retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            else:
                self.rebuilds += 1
                REBUILDS.inc()
                log.info("socket_mode_rebuilt", rebuilds=self.rebuilds)
                return

    async def _close(self) -> None:
        """Close the handler within a bound, and cancel what it leaves running."""
        handler, self._handler = self._handler, None
        if handler is None:
            return
        client = handler.client
        tasks = [*_tasks_of(client), *handler.answering]
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await handler.close_async()  # type: ignore[no-untyped-call]
        except (ClientError, OSError, TimeoutError) as error:
            log.info("socket_mode_close", error=str(error) or type(error).__name__)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.aiohttp_client_session.close()

    @property
    def _session(self) -> Any:
        return None if self._handler is None else self._handler.client.current_session

    def _is_silent(self) -> bool:
        """Tell whether Slack has not answered our pings for too long."""
        last = None if self._handler is None else self._handler.client.last_ping_pong_time
        return last is not None and time.time() - last > self._silent_seconds


class _Handler(AsyncSocketModeHandler):
    """Bolt's handler, which knows the tasks that are answering now: slack_sdk forgets them."""

    def __init__(self, app: AsyncApp, app_token: str, *, ping_interval: float) -> None:
        super().__init__(app, app_token, ping_interval=ping_interval)
        self.answering: set[asyncio.Task[Any]] = set()

    async def handle(self, client: Any, req: Any) -> None:
        if (task := asyncio.current_task()) is not None:
            self.answering.add(task)
            task.add_done_callback(self.answering.discard)
        await super().handle(client, req)


def _tasks_of(client: Any) -> list["asyncio.Future[Any]"]:
    """Return the tasks that slack_sdk starts and does not await when it closes."""
    names = ("message_receiver", "message_processor", "current_session_monitor")
    return [task for name in names if (task := getattr(client, name, None)) is not None]


def _refused(refusal: SlackApiError) -> ConfigurationError | Unreachable:
    word = str(refusal.response.get("error"))
    if word in REFUSED_TOKEN:
        return ConfigurationError(
            "Slack refuses the app token",
            word,
            "Set SLACK_APP_TOKEN to an app-level token (xapp-) with connections:write",
        )
    return Unreachable("Slack does not open a connection", word, "Try again in a moment")
