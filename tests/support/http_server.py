"""A real HTTP server on a free port of the loopback, with scripted answers.

    http_server.answer("POST", "/orders", status=201, json={"id": 7})
    http_server.answer("GET", "/orders/7", status=503, headers={"Retry-After": "1"}, times=1)
    http_server.answer("GET", "/orders/7", json={"status": "ready"})
    ...
    assert http_server.requests("POST", "/orders")[0].json() == {"size": "small"}

Answers of one method and path are given in the order in which they were scripted; the last one
repeats, unless it was given `times`. What nothing was scripted for is answered 404.
"""

from __future__ import annotations

import asyncio
import json as jsonlib
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import Response

Handler = Callable[["Received"], Awaitable[Response] | Response]


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return jsonlib.loads(self.body)


@dataclass(slots=True)
class _Answer:
    handler: Handler
    left: int | None


@dataclass(slots=True)
class HttpServer:
    """The server's script and its record."""

    url: str
    received: list[Received] = field(default_factory=list)
    _script: dict[tuple[str, str], list[_Answer]] = field(default_factory=lambda: defaultdict(list))

    def answer(
        self,
        method: str,
        path: str,
        *,
        status: int = 200,
        json: Any = None,
        body: bytes | str = b"",
        headers: Mapping[str, str] | None = None,
        delay: asyncio.Event | None = None,
        times: int | None = None,
    ) -> None:
        """Script an answer; `delay`: it is held back until the event is set."""
        content = jsonlib.dumps(json).encode() if json is not None else body
        kind = "application/json" if json is not None else "text/plain"

        async def handler(_: Received) -> Response:
            if delay is not None:
                await delay.wait()
            return Response(content, status, dict(headers or {}), kind)

        self.handle(method, path, handler, times=times)

    def handle(self, method: str, path: str, handler: Handler, *, times: int | None = None) -> None:
        """Script an answer that is computed from what was received."""
        self._script[(method, path)].append(_Answer(handler, times))

    def requests(self, method: str, path: str) -> list[Received]:
        """What was received for this method and path, in order."""
        return [r for r in self.received if (r.method, r.path) == (method, path)]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        received = Received(
            request.method,
            request.url.path,
            dict(request.query_params),
            dict(request.headers),
            await request.body(),
        )
        self.received.append(received)
        handler = self._next(received)
        response = Response("nothing was scripted for this", 404) if handler is None else None
        if handler is not None:
            outcome = handler(received)
            response = outcome if isinstance(outcome, Response) else await outcome
        assert response is not None
        await response(scope, receive, send)

    def _next(self, received: Received) -> Handler | None:
        answers = self._script.get((received.method, received.path), [])
        while answers:
            first = answers[0]
            if first.left is None:
                if len(answers) > 1:
                    answers.pop(0)
                return first.handler
            if first.left > 0:
                first.left -= 1
                return first.handler
            answers.pop(0)
        return None


@asynccontextmanager
async def running_http_server() -> AsyncIterator[HttpServer]:
    """Run a server in this loop for the block's time."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        app = HttpServer(f"http://127.0.0.1:{port}")
        async with serving(app, listener):
            yield app


@asynccontextmanager
async def serving(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    """Serve an ASGI app on a bound socket for the block's time, in this loop."""
    server = _Server(
        uvicorn.Config(
            app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    """Signals belong to pytest."""

    def install_signal_handlers(self) -> None:
        pass

    def capture_signals(self) -> Any:
        import contextlib

        return contextlib.nullcontext()
