"""What servers that stand for outside systems have in common: their record, and faults to order.

server.fault("POST", "/dispatches", lose_answer=True)
server.fault("GET", "/actions/runs", Response(status_code=503), times=3)
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response


@dataclass(frozen=True)
class Fault:
    method: str
    part: str
    response: Response | None
    lose_answer: bool


@dataclass
class FaultyServer:
    """An ASGI app; a subclass answers by `_answer`."""

    url: str
    received: list[Request] = field(default_factory=list, kw_only=True)
    _faults: list[Fault] = field(default_factory=list, kw_only=True)

    def fault(
        self,
        method: str,
        part: str,
        response: Response | None = None,
        *,
        lose_answer: bool = False,
        times: int = 1,
    ) -> None:
        """Answer the next calls whose path holds `part` so, or carry them out and lose the answer."""
        self._faults += [Fault(method, part, response, lose_answer)] * times

    def calls(self, method: str, part: str) -> list[Request]:
        """What was received, in order."""
        return [one for one in self.received if one.method == method and part in one.url.path]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        await request.body()
        self.received.append(request)
        fault = self._fault(request)
        if fault is not None and fault.response is not None:
            await fault.response(scope, receive, send)
            return
        response = await self._answer(request)
        if fault is None:
            await response(scope, receive, send)
            return
        start = {"type": "http.response.start", "status": 200}
        await send({**start, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})

    def _fault(self, request: Request) -> Fault | None:
        for fault in self._faults:
            if fault.method == request.method and fault.part in request.url.path:
                self._faults.remove(fault)
                return fault
        return None

    async def _answer(self, request: Request) -> Response:
        raise AssertionError(f"nobody answers {request.url}")


@asynccontextmanager
async def bound() -> AsyncIterator[tuple[socket.socket, str]]:
    """Give a bound socket of the loopback, and its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"
