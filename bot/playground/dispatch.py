"""Slack's end of the line to the app: hands payloads over and tells people what did not arrive."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from bot.playground import payloads
from bot.playground.delivery import Delivery, Envelope, NotAcknowledged, deliver_event

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from bot.playground.installation import Installation
    from bot.playground.refusals import JsonObject
    from bot.playground.workspace import Channel, Message, Workspace

ACK_SECONDS = 3.0
EVENT_PAUSES = (0.0, 60.0, 300.0)
"""Slack delivers an unacknowledged event again: at once, after a minute, after five."""

KEPT_NOTICES = 20


class Dispatch:
    """What every gesture needs to reach the app; `delivery` is the way it takes.

    `notices` are the warnings of Slack's client to each person, newest last.
    """

    def __init__(
        self,
        workspace: Workspace,
        installation: Installation,
        delivery: Delivery,
        *,
        ack_seconds: float,
        event_pauses: tuple[float, ...],
    ) -> None:
        self.installation = installation
        self.delivery = delivery
        self.response_base = ""
        self.notices: dict[str, list[str]] = defaultdict(list)
        self._workspace = workspace
        self._ack_seconds = ack_seconds
        self._event_pauses = event_pauses
        self._tasks: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Give up what is not delivered yet."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def command(self, payload: JsonObject) -> JsonObject:
        """Deliver a slash command; return the acknowledgement. Raises NotAcknowledged."""
        envelope = Envelope("slash_commands", payload)
        return await self.delivery.deliver(envelope, self._ack_seconds)

    async def interact(self, payload: JsonObject) -> JsonObject:
        """Deliver an interaction; return the acknowledgement. Raises NotAcknowledged."""
        return await self.delivery.deliver(Envelope("interactive", payload), self._ack_seconds)

    def report(self, payload: JsonObject) -> None:
        """Deliver an interaction that nobody waits for (view_closed)."""
        self._in_background(self._reported(payload))

    def event(self, name: str, content: JsonObject) -> None:
        """Send an event that the app is subscribed to; `name` as in the manifest."""
        if name in self.installation.events:
            payload = payloads.event(content, event_time=int(self._workspace.clock()))
            self._in_background(
                deliver_event(self.delivery, payload, self._ack_seconds, self._event_pauses)
            )

    def response_url(self, channel: Channel, user: str, message: Message | None = None) -> str:
        """Return a new response URL."""
        return self.response_base + self._workspace.open_response_url(channel, user, message)

    def notify(self, user: str, text: str) -> None:
        """Warn a person, as Slack's client does."""
        self.notices[user] = [*self.notices[user], text][-KEPT_NOTICES:]
        self._workspace.changed()

    async def _reported(self, payload: JsonObject) -> None:
        try:
            await self.interact(payload)
        except NotAcknowledged as missed:
            self.notify(payload["user"]["id"], f"The app did not respond ({missed.reason}).")

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
