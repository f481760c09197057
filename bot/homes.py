"""The App Home of each person: drawn when it is opened, and again when something of theirs changes.

Only people who opened theirs since this process began are drawn again, and only they are
remembered. Changes within `PAUSE_SECONDS` become one drawing; one that fails is left until the next
change, or until the person looks: Slack asks then.
"""

import asyncio
from collections import OrderedDict
from typing import Final

import structlog
from aiohttp import ClientError
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.identity import Identity
from bot.messages.home import SHOWN, home
from engine import Actor, Engine, Event, PaoError

PAUSE_SECONDS: Final = 2.0
REMEMBERED: Final = 2000
"""People whose Home is kept up to date; who opened it longest ago goes first."""

SYSTEM: Final = Actor(user_id="pao", name="PAO", is_admin=True, source="slack", audit_name="pao")
"""Who reads whose a request is."""

log = structlog.get_logger(__name__)


class Homes:
    """The Homes of all people; `work` draws again what `changed` touches."""

    def __init__(
        self,
        engine: Engine,
        client: AsyncWebClient,
        identity: Identity,
        *,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._engine = engine
        self._client = client
        self._identity = identity
        self._pause_seconds = pause_seconds
        self._open: OrderedDict[str, None] = OrderedDict()
        self._requests: set[str] = set()
        self._catalog = False
        self._woken = asyncio.Event()

    async def opened(self, user_id: str) -> None:
        """Draw a person's Home, and remember that they look at it."""
        self._open[user_id] = None
        self._open.move_to_end(user_id)
        if len(self._open) > REMEMBERED:
            self._open.popitem(last=False)
        await self._publish(await self._identity.actor(user_id))

    def changed(self, event: Event) -> None:
        """Note what an event changes."""
        if not self._open:
            return
        if event.request_id is not None:
            self._requests.add(event.request_id)
        self._catalog = self._catalog or event.kind == "catalog.synced"
        self._woken.set()

    async def work(self) -> None:
        """Draw again what changed; never ends by itself."""
        while True:
            await self._woken.wait()
            await asyncio.sleep(self._pause_seconds)
            self._woken.clear()
            requests, self._requests = self._requests, set()
            everybody, self._catalog = self._catalog, False
            try:
                await self._draw_again(requests, everybody=everybody)
            except PaoError as error:
                log.warning("homes_not_drawn", error=str(error))

    async def _draw_again(self, requests: set[str], *, everybody: bool) -> None:
        views = [await self._engine.request(SYSTEM, request_id) for request_id in requests]
        holders = {view.requester for view in views}
        teams = {view.team for view in views}
        for user_id in list(self._open):
            try:
                actor = await self._identity.actor(user_id)
                if everybody or user_id in holders or not teams.isdisjoint(actor.teams):
                    await self._publish(actor)
            except (PaoError, SlackApiError, ClientError, OSError, TimeoutError) as error:
                log.warning("home_not_drawn", user=user_id, error=str(error))

    async def _publish(self, actor: Actor) -> None:
        """Draw what is the person's now, and show it."""
        engine = self._engine
        services, active, failed = await asyncio.gather(
            engine.instances(actor, scope="mine", limit=SHOWN),
            engine.requests(actor, scope="mine", status="in_progress", limit=SHOWN),
            engine.requests(actor, scope="mine", status="failed", limit=SHOWN),
        )
        health = dict(await engine.health()) if actor.is_admin else None
        view = home(services, active, failed, health)
        await self._client.views_publish(user_id=actor.user_id, view=view)
