"""Socket Mode: one WebSocket per connection of the app, envelopes out, acknowledgements in.

A connection is opened with a ticket of apps.connections.open, which is good once and for half a
minute. An envelope goes to one of the open connections, in turn. If that connection ends before the
acknowledgement, the envelope goes to the next one: the app may see it twice, as with Slack.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from bot.playground.delivery import Envelope, NotAcknowledged
from bot.playground.workspace import APP_ID, Clock

if TYPE_CHECKING:
    from bot.playground.refusals import JsonObject

TICKET_SECONDS = 30.0
REMEMBERED = 1000
"""How many envelopes are kept, for tests to look at or to send again."""


@dataclass(slots=True, eq=False)
class Link:
    """One open connection; `closed` is set when it has ended."""

    websocket: WebSocket
    closed: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    async def send(self, message: JsonObject) -> bool:
        """Send a message; False if the connection has ended."""
        try:
            await self.websocket.send_json(message)
        except (RuntimeError, WebSocketDisconnect):
            return False
        return True

    def ended(self) -> None:
        """Wake whoever waits for an acknowledgement over this connection."""
        if not self.closed.done():
            self.closed.set_result(None)


class Sockets:
    """The app's Socket Mode connections."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tickets: dict[str, float] = {}
        self._links: list[Link] = []
        self._linked = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[JsonObject]] = {}
        self.delivered: deque[Envelope] = deque(maxlen=REMEMBERED)
        self.opened = 0
        self.accepting = True

    @property
    def connected(self) -> int:
        """How many connections are open."""
        return len(self._links)

    def issue_ticket(self) -> str:
        """Make a ticket for one connection."""
        ticket = secrets.token_urlsafe(16)
        self._tickets[ticket] = self._clock() + TICKET_SECONDS
        return ticket

    async def serve(self, websocket: WebSocket) -> None:
        """Run one connection to its end; refuse one without a fresh ticket."""
        expires_at = self._tickets.pop(websocket.query_params.get("ticket", ""), 0.0)
        if expires_at <= self._clock() or not self.accepting:
            await websocket.close(code=1008, reason="ticket refused")
            return
        await websocket.accept()
        link = Link(websocket)
        self._links.append(link)
        self.opened += 1
        try:
            await link.send(self._hello())
            self._linked.set()
            await self._listen(websocket)
        finally:
            self._forget(link)

    async def deliver(self, envelope: Envelope, within: float) -> JsonObject:
        """Send an envelope and wait for its acknowledgement; see `delivery.Delivery`."""
        envelope_id = str(uuid.uuid4())
        answer: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        self._waiting[envelope_id] = answer
        message = _message(envelope_id, envelope)
        self.delivered.append(envelope)
        sent = False
        try:
            async with asyncio.timeout(within):
                while not answer.done():
                    link = await self._next_link()
                    if await link.send(message):
                        sent = True
                        either: set[asyncio.Future[Any]] = {answer, link.closed}
                        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                    else:
                        self._forget(link)
                return answer.result()
        except TimeoutError as late:
            raise NotAcknowledged("operation_timeout" if sent else "dispatch_failed") from late
        finally:
            del self._waiting[envelope_id]

    async def refresh(self) -> None:
        """Ask every connection to make way for a new one, as Slack does every few hours."""
        for link in list(self._links):
            await link.send(
                {"type": "disconnect", "reason": "refresh_requested", "debug_info": _DEBUG}
            )

    async def drop(self) -> None:
        """End every connection without a word, as a broken network does."""
        for link in list(self._links):
            self._forget(link)
            with contextlib.suppress(RuntimeError):
                await link.websocket.close(code=1001)

    async def _listen(self, websocket: WebSocket) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                message = await websocket.receive_json()
                answer = self._waiting.get(str(message.get("envelope_id")))
                if answer is not None and not answer.done():
                    answer.set_result(message.get("payload") or {})

    async def _next_link(self) -> Link:
        await self._linked.wait()
        link = self._links.pop(0)
        self._links.append(link)
        return link

    def _forget(self, link: Link) -> None:
        link.ended()
        if link in self._links:
            self._links.remove(link)
        if not self._links:
            self._linked.clear()

    def _hello(self) -> JsonObject:
        return {
            "type": "hello",
            "num_connections": self.connected,
            "connection_info": {"app_id": APP_ID},
            "debug_info": _DEBUG,
        }


_DEBUG = {"host": "playground", "build_number": 1, "approximate_connection_time": 18060}


def _message(envelope_id: str, envelope: Envelope) -> JsonObject:
    message: JsonObject = {
        "envelope_id": envelope_id,
        "type": envelope.kind,
        "payload": envelope.payload,
        "accepts_response_payload": envelope.kind != "events_api",
    }
    if envelope.kind == "events_api":
        message |= {"retry_attempt": envelope.retry, "retry_reason": envelope.retry_reason}
    return message
