"""An ASGI application served inside our own event loop.

uvicorn takes SIGTERM over and raises it again after its own shutdown, so that the process would hear
one signal twice and lose its HTTP server before the work has drained: signals stay with the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import uvicorn

from engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

STOP_SECONDS = 3.0
"""How long open exchanges may take to end once the server stops."""


class AsgiServer:
    """One application on one port; `name` is what error messages call it.

    Port 0 takes any free one; `port` tells which after `start`. ConfigurationError (code
    `port_taken`) when the port is not free; `remedy` says what the person can do about it.
    """

    def __init__(self, app: ASGIApp, *, name: str, host: str, port: int, remedy: str) -> None:
        self.port = port
        self._app = app
        self._name = name
        self._host = host
        self._remedy = remedy
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, and return when the application answers."""
        listener = self._listener()
        self.port = listener.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                self._app,
                lifespan="off",
                log_config=None,
                access_log=False,
                ws="websockets-sansio",
            )
        )
        self._serving = asyncio.create_task(
            self._server.serve(sockets=[listener]), name=f"serve {self._name}"
        )
        await self._server.ready.wait()

    async def stop(self) -> None:
        """Let open exchanges end, within a bound, and give the port back."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        _, late = await asyncio.wait({self._serving}, timeout=STOP_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)
        self._server = self._serving = None

    def _listener(self) -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self.port))
            listener.listen(128)
        except OSError as refusal:
            listener.close()
            raise ConfigurationError(
                f"{self._name} cannot listen on port {self.port}",
                refusal.strerror or str(refusal),
                self._remedy,
                code="port_taken",
            ) from refusal
        return listener


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
