"""The playground as one server: Web API, Socket Mode, response URLs and the page, on one port.

It runs in the caller's event loop and leaves signals alone. State lives in memory and ends with it,
except for the messages, where a `memory` keeps them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import time
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from bot.playground.delivery import SignedRequests
from bot.playground.dispatch import ACK_SECONDS, EVENT_PAUSES, Dispatch
from bot.playground.faults import Fault, Faults
from bot.playground.gestures import Gestures
from bot.playground.installation import Installation, default_installation
from bot.playground.memory import Memory, remember, restore, state_of
from bot.playground.message_box import MessageBox
from bot.playground.methods import METHODS
from bot.playground.pages import Pages
from bot.playground.refusals import JsonObject, Refused
from bot.playground.responses import respond
from bot.playground.safety import Doorkeeper, OwnHostOnly
from bot.playground.sockets import Sockets
from bot.playground.views import Views
from bot.playground.web_api import WebApi
from bot.playground.workspace import (
    Clock,
    Person,
    UserGroup,
    Workspace,
    default_people,
    default_teams,
)
from engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from bot.playground.engine_panel import EnginePanel

HOST = "127.0.0.1"
STOP_SECONDS = 3.0


class Playground:
    """Slack's twin. Make one, `await start()`, give `api_url` and the tokens to a Bolt app.

    `port` 0 takes any free port. `request_url` switches from Socket Mode to signed HTTP requests.
    `memory` keeps the messages over a restart. `ack_seconds`, `event_pauses` and `clock` are Slack's
    own unless a test says otherwise.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        token: str | None = None,
        people: Sequence[Person] | None = None,
        teams: Sequence[UserGroup] | None = None,
        installation: Installation | None = None,
        panel: EnginePanel | None = None,
        memory: Memory | None = None,
        request_url: str | None = None,
        ack_seconds: float = ACK_SECONDS,
        event_pauses: tuple[float, ...] = EVENT_PAUSES,
        clock: Clock = time.time,
    ) -> None:
        self.port = port
        self.bot_token = f"xoxb-playground-{secrets.token_hex(12)}"
        self.app_token = f"xapp-playground-{secrets.token_hex(12)}"
        self.signing_secret = secrets.token_hex(16)
        self.workspace = Workspace(people or default_people(), teams or default_teams(), clock)
        self._memory = memory
        if memory is not None:
            restore(self.workspace, memory.read())
        self.views = Views(clock)
        self.sockets = Sockets(clock)
        self.faults = Faults(clock)
        self.installation = installation or default_installation()
        self.dispatch = Dispatch(
            self.workspace,
            self.installation,
            self.sockets,
            ack_seconds=ack_seconds,
            event_pauses=event_pauses,
        )
        self.box = MessageBox(self.workspace, self.views, self.dispatch)
        self.gestures = Gestures(self.workspace, self.views, self.dispatch)
        if request_url is not None:
            self.deliver_to(request_url)
        self.web_api = WebApi(
            METHODS,
            self.workspace,
            self.views,
            self.installation,
            self.sockets,
            bot_token=self.bot_token,
            app_token=self.app_token,
        )
        self._doorkeeper = Doorkeeper(token or secrets.token_urlsafe(24))
        self._pages = Pages(self.box, self.gestures, self.faults, self._doorkeeper, panel)
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._remembering: asyncio.Task[None] | None = None

    @property
    def base_url(self) -> str:
        """The server's address, ending with a slash."""
        return f"http://{HOST}:{self.port}/"

    @property
    def api_url(self) -> str:
        """`base_url` for slack_sdk's clients."""
        return self.base_url + "api/"

    @property
    def url(self) -> str:
        """The address to open in a browser, with its token."""
        return f"{self.base_url}?token={self._doorkeeper.token}"

    def deliver_to(self, request_url: str) -> None:
        """Send signed HTTP requests to that address from now on, in place of Socket Mode."""
        self.dispatch.delivery = SignedRequests(
            request_url, self.signing_secret, self.workspace.clock
        )

    async def start(self) -> None:
        """Listen; raises ConfigurationError if the port is taken."""
        listener = _listen(self.port)
        self.port = listener.getsockname()[1]
        self._pages.start()
        self.sockets.accepting = True
        self._doorkeeper.cookie_name = f"playground_{self.port}"
        self.web_api.base_url = self.base_url
        self.dispatch.response_base = self.base_url + "response/"
        config = uvicorn.Config(
            self._app(), lifespan="off", log_config=None, access_log=False, ws="websockets-sansio"
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        if self._memory is not None:
            self._remembering = asyncio.create_task(remember(self.workspace, self._memory))
        await self._server.ready.wait()

    async def stop(self) -> None:
        """Close every connection and give the port back; does nothing where nothing runs."""
        if self._server is None or self._serving is None:
            return
        self._pages.stop()
        await self.dispatch.stop()
        self.sockets.accepting = False
        await self.sockets.drop()
        self._server.should_exit = True
        _, late = await asyncio.wait({self._serving}, timeout=STOP_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)
        self._server = self._serving = None
        await self._remember_at_last()

    async def _remember_at_last(self) -> None:
        if self._memory is None or self._remembering is None:
            return
        self._remembering.cancel()
        await asyncio.gather(self._remembering, return_exceptions=True)
        self._remembering = None
        await asyncio.to_thread(self._memory.keep, state_of(self.workspace))

    def _app(self) -> ASGIApp:
        routes = [
            Route("/api/{method}", self._api, methods=["GET", "POST"]),
            Route("/response/{key}", self._respond, methods=["POST"]),
            WebSocketRoute("/link/", self.sockets.serve),
            *self._pages.routes(),
        ]
        return OwnHostOnly(Starlette(routes=routes), self.port)

    # The Web API over HTTP

    async def _api(self, request: Request) -> Response:
        method = request.path_params["method"]
        try:
            arguments = await _arguments(request)
            fault = await self.faults.strike(method, arguments)
            if fault is not None:
                return _unlucky(fault)
            token = _token(request, arguments)
            return JSONResponse(self.web_api.call(method, token, arguments), headers=self._scopes())
        except Refused as refused:
            return JSONResponse(refused.answer(), headers=self._scopes())

    def _scopes(self) -> dict[str, str]:
        return {"x-oauth-scopes": ",".join(sorted(self.installation.scopes))}

    async def _respond(self, request: Request) -> Response:
        try:
            body = await _arguments(request)
            respond(self.workspace, request.path_params["key"], body)
        except Refused as refused:
            status = 404 if refused.error in {"expired_url", "used_url"} else 400
            return JSONResponse(refused.answer(), status)
        return PlainTextResponse("ok")


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell that the server answers."""
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process that owns the loop."""
        yield


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as taken:
        listener.close()
        raise ConfigurationError(
            f"The playground cannot listen on port {port}",
            taken.strerror or str(taken),
            "End the program that uses the port, or choose another one with --port",
            code="port_taken",
        ) from taken
    return listener


async def _arguments(request: Request) -> JsonObject:
    arguments: JsonObject = dict(request.query_params)
    body = await request.body()
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            given = json.loads(body)
        except ValueError as broken:
            raise Refused("invalid_json") from broken
        if not isinstance(given, dict):
            raise Refused("json_not_object")
        return {**arguments, **given}
    async with request.form() as form:
        return {**arguments, **{name: str(value) for name, value in form.items()}}


def _token(request: Request, arguments: JsonObject) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else str(arguments.get("token", ""))


def _unlucky(fault: Fault) -> Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return JSONResponse({"ok": False, "error": fault.error}, fault.status, headers)
