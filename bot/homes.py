"""The App Home of each person: drawn when it is opened, and again when something of theirs changes.

Only people who opened theirs since this process began are drawn again, and only they are
remembered. Changes within `PAUSE_SECONDS` become one drawing; one that fails is left until the next
change, or until the person looks: Slack asks then.
"""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog
from aiohttp import ClientError
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.identity import Identity
from bot.messages.home import CHANGES, SHOWN, Mine, Operating, home
from engine import Actor, Engine, Event, NotFound, Page, PaoError, RequestSummary

PAUSE_SECONDS: Final = 2.0
REMEMBERED: Final = 2000
"""People whose Home is kept up to date; who opened it longest ago goes first."""

SYSTEM: Final = Actor(user_id="pao", name="PAO", is_admin=True, source="slack", audit_name="pao")
"""Who reads whose a thing is."""

UNDER_WAY: Final = ("submitted", "validating", "in_progress", "resuming")
"""The states of an open request; what has failed stands among what waits for somebody."""

NEW_CATALOG: Final = "catalog.synced"
DIGEST: Final = "operations.eligible"
NEWLY_DUE: Final = "operations.changed"

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
        self._touched = Touched()
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
        self._touched.by(event)
        self._woken.set()

    async def work(self) -> None:
        """Draw again what changed; never ends by itself."""
        while True:
            await self._woken.wait()
            await asyncio.sleep(self._pause_seconds)
            self._woken.clear()
            touched, self._touched = self._touched, Touched()
            try:
                await self._draw_again(touched)
            except PaoError as error:
                log.warning("homes_not_drawn", error=str(error))

    async def _draw_again(self, touched: "Touched") -> None:
        people, teams = await self._concerned(touched)
        for user_id in list(self._open):
            try:
                actor = await self._identity.actor(user_id)
                mine = user_id in people or not teams.isdisjoint(actor.teams)
                if touched.everybody or mine:
                    await self._publish(actor)
            except (PaoError, SlackApiError, ClientError, OSError, TimeoutError) as error:
                log.warning("home_not_drawn", user=user_id, error=str(error))

    async def _concerned(self, touched: "Touched") -> tuple[set[str], set[str]]:
        """Return the people and the teams whose things were touched, and who may approve them."""
        people, teams = set(touched.people), set(touched.teams)
        for request_id in touched.requests:
            with suppress(NotFound):
                view = await self._engine.request(SYSTEM, request_id)
                people.add(view.requester)
                teams |= {team for team in (view.team, view.owner) if team}
                rules = [rule for one in view.approvals for rule in one.approvers]
                people |= {rule["user"] for rule in rules if "user" in rule}
                named = (rule.get("usergroup") or rule.get("team") for rule in rules)
                teams |= {name.removeprefix("@") for name in named if name}
        for instance_id in touched.instances:
            with suppress(NotFound):
                instance = await self._engine.instance(SYSTEM, instance_id)
                people.add(instance.owner_user_id)
                teams.add(instance.owner_team)
        return people, teams

    async def _publish(self, actor: Actor) -> None:
        """Draw what is the person's now, and show it."""
        engine = self._engine
        services, active, waiting, changes = await asyncio.gather(
            engine.instances(actor, scope="mine", limit=SHOWN),
            self._open_requests(actor),
            engine.waiting_for(actor),
            engine.catalog_changes(actor, CHANGES),
        )
        operating = await self._operating(actor) if actor.is_admin else None
        view = home(Mine(services, active, waiting, changes, operating))
        await self._client.views_publish(user_id=actor.user_id, view=view)

    async def _open_requests(self, actor: Actor) -> Page[RequestSummary]:
        """Return the newest of the person's requests that go on by themselves."""
        pages = await asyncio.gather(
            *(
                self._engine.requests(actor, scope="mine", status=status, limit=SHOWN)
                for status in UNDER_WAY
            )
        )
        found = [one for page in pages for one in page.items]
        return Page(sorted(found, key=lambda one: one.created_at, reverse=True)[:SHOWN])

    async def _operating(self, actor: Actor) -> Operating:
        health = dict(await self._engine.health())
        syncs = (await self._engine.catalog_stats(actor)).get("syncs") or [None]
        return Operating(health, syncs[0])


@dataclass(slots=True)
class Touched:
    """What events changed since the Homes were drawn last, and whose it is, by external ids."""

    requests: set[str] = field(default_factory=set)
    instances: set[str] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    teams: set[str] = field(default_factory=set)
    everybody: bool = False

    def by(self, event: Event) -> None:
        """Note what an event changes."""
        if event.request_id is not None:
            self.requests.add(event.request_id)
        if event.instance_id is not None:
            self.instances.add(event.instance_id)
        if event.kind == DIGEST and (owner := event.data.get("owner_user_id")):
            self.people.add(str(owner))
        if event.kind == NEWLY_DUE:
            self.people |= set(event.data.get("owners", ()))
            self.teams |= set(event.data.get("teams", ()))
        self.everybody = self.everybody or event.kind == NEW_CATALOG
