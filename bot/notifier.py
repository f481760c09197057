"""From the engine's events to Slack: a card per request, milestones in the thread under it.

    event --consume--> place known? --no--> card posted, place kept
                          |
                          +--> milestone? --> reply, event remembered as told
                          +--> card to be drawn again, with what is true by then

The database owns the cursor (which events were handled), the place of each request (conversations)
and which events its thread was told. In memory are only the queues of the channels. When the
process dies, the events whose handling had not ended come again: a card that stands is found by its
place, and a reply that was remembered is not repeated. Between a post and its being remembered lies
one statement; a death in between posts once more, because a message too many is better than one too
few. What a rate limit holds back is left to its channel's queue, so that other channels go on; a
death loses those replies, and the card, drawn again at the next start, has the whole truth.

Places, in this order: the channel of the document or its category, the one where the command was
used, a direct message. A channel that is gone or closed to us counts as none. Requests that had
ended before the bot's first start have no events to be told, and so no card.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import structlog
from slack_sdk.errors import SlackApiError

from bot.app import Services
from bot.channels import CARD_SECONDS, Channel
from bot.messages import notices
from bot.messages.blocks import section
from bot.messages.card import card
from bot.messages.milestones import Milestone, markup_for, milestone
from bot.messages.text import MESSAGE, cut, is_slack_user
from engine import Actor, Conversation, Event, NotFound, RequestView, SyncReport

CONSUMER: Final = "slack"
DRAIN_SECONDS: Final = 5.0
"""How long a stop waits for what is queued."""

LOST = frozenset(
    {
        "channel_not_found",
        "is_archived",
        "not_in_channel",
        "restricted_action",
        "restricted_action_thread_locked",
        "user_not_found",
        "messages_tab_disabled",
        "cannot_dm_bot",
    }
)
"""Slack's words for a place that takes no message from us."""

GONE = frozenset({"message_not_found", "thread_not_found", "cant_update_message"})
"""Slack's words for a card that was deleted."""

READER: Final = Actor(user_id="pao", name="PAO", is_admin=True, source="slack", audit_name="pao")
"""Who reads the requests that are told of."""

log = structlog.get_logger(__name__)


class Notifier:
    """Tells Slack what happens. One of all processes does so at a time; `consume` sees to it."""

    def __init__(self, services: Services, *, card_seconds: float = CARD_SECONDS) -> None:
        self._engine = services.engine
        self._client = services.client
        self._card_seconds = card_seconds
        self._channels: dict[str, Channel] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Begin to consume events, and bring the cards up to date that a stop left behind."""
        self._stopping = asyncio.Event()
        self._own(self._catch_up(), "catch up on cards")
        self._own(self._consume(), "consume events")

    async def stop(self) -> None:
        """Take no more events, let the queues empty within a bound, and end."""
        self._stopping.set()
        if not self._tasks:
            return
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._drained()
        except TimeoutError:
            log.warning("notifier_not_drained")
        tasks, self._tasks = list(self._tasks), set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._channels.clear()

    async def handle(self, event: Event) -> None:
        """Tell one event. Raises what Slack refuses for good; the consumer parks it then."""
        if event.kind == "catalog.synced":
            await self._tell_sync(event)
        elif event.request_id is not None:
            channel = await self._channel_of(event.request_id)
            if channel is not None:
                await self._channel(channel).send(lambda: self._tell(event))

    # A request

    async def _channel_of(self, request_id: str) -> str | None:
        """Return the channel in whose queue the request's events stand."""
        place = await self._engine.conversation(request_id)
        if place is not None:
            return place.channel
        try:
            return next(_places(await self._engine.request(READER, request_id)), None)
        except NotFound:
            return None

    async def _tell(self, event: Event) -> None:
        """Tell one event; run again after a pause where Slack did not take it."""
        view = await self._engine.request(READER, str(event.request_id))
        place = await self._engine.conversation(view.request_id)
        if place is None and (place := await self._place(view)) is None:
            return
        told = milestone(event, view)
        if told is not None and event.id not in place.told_events:
            place = await self._reply(event, view, place, told)
        if place is not None:
            self._draw_soon(view.request_id, place.channel)

    async def _reply(
        self, event: Event, view: RequestView, place: Conversation, told: Milestone
    ) -> Conversation | None:
        """Post a reply under the card, or, where that is lost, under a new one; return its place."""
        markup = markup_for(told, view)
        try:
            await self._post_reply(place, markup)
        except SlackApiError as refusal:
            word = refusal.response.get("error")
            if word not in LOST | GONE:
                raise
            moved = await self._place(view, without=place.channel if word in LOST else None)
            if moved is None:
                return None
            place = moved
            await self._post_reply(place, markup)
        await self._engine.told_event(view.request_id, event.id)
        return place

    async def _post_reply(self, place: Conversation, markup: str) -> None:
        await self._client.chat_postMessage(
            channel=place.channel,
            thread_ts=place.thread_ts,
            text=cut(markup, MESSAGE),
            blocks=[section(markup)],
            unfurl_links=False,
        )

    def _draw_soon(self, request_id: str, channel: str) -> None:
        async def draw() -> None:
            await self._draw(request_id)

        self._channel(channel).draw_soon(request_id, draw)

    async def _draw(self, request_id: str) -> None:
        """Edit the card where it shows less than is known."""
        place = await self._engine.conversation(request_id)
        if place is None:
            return
        view = await self._engine.request(READER, request_id)
        shown = card(view)
        if shown.hash == place.card_hash:
            return
        try:
            await self._client.chat_update(
                channel=place.channel, ts=place.card_ts, text=shown.text, blocks=shown.blocks
            )
        except SlackApiError as refusal:
            word = refusal.response.get("error")
            if word not in LOST | GONE:
                raise
            log.info("card_lost", request_id=request_id, error=word)
            await self._place(view, without=place.channel if word in LOST else None)
            return
        await self._engine.keep_conversation(request_id, replace(place, card_hash=shown.hash))

    # Where a request is told of

    async def _place(self, view: RequestView, without: str | None = None) -> Conversation | None:
        """Post the card where it belongs, and keep the place; None where nobody would see it."""
        for channel in _places(view):
            if channel != without and (made := await self._post_card(view, channel)) is not None:
                return made
        log.warning("request_without_place", request_id=view.request_id)
        return None

    async def _post_card(self, view: RequestView, channel: str) -> Conversation | None:
        """Post the card in one channel; None where the channel takes nothing from us."""
        shown = card(view)
        try:
            answer = await self._client.chat_postMessage(
                channel=channel, text=shown.text, blocks=shown.blocks, unfurl_links=False
            )
        except SlackApiError as refusal:
            word = refusal.response.get("error")
            if word not in LOST:
                raise
            log.warning("channel_lost", channel=channel, error=word, request_id=view.request_id)
            return None
        made = Conversation(answer["channel"], answer["ts"], answer["ts"], shown.hash)
        await self._engine.keep_conversation(view.request_id, made)
        return made

    # The catalog

    async def _tell_sync(self, event: Event) -> None:
        """Sum a sync up in NOTIFY_CHANNEL, where it changed or broke something."""
        channel = self._engine.config.notify_channel
        report = _report(event.data)
        if channel is None or not (report.changes or report.errors or report.status == "failed"):
            return
        markup = notices.synced(report)

        async def send() -> None:
            await self._client.chat_postMessage(
                channel=channel,
                text=cut(markup, MESSAGE),
                blocks=[section(markup)],
                unfurl_links=False,
            )

        try:
            await self._channel(channel).send(send)
        except SlackApiError as refusal:
            if refusal.response.get("error") not in LOST:
                raise
            log.warning("notify_channel_lost", channel=channel)

    # Running

    async def _consume(self) -> None:
        await self._engine.consume(CONSUMER, self.handle, self._stopping)

    async def _catch_up(self) -> None:
        for request_id in await self._engine.conversations_behind():
            place = await self._engine.conversation(request_id)
            if place is not None:
                self._draw_soon(request_id, place.channel)

    async def _drained(self) -> None:
        for channel in list(self._channels.values()):
            await channel.drained()

    def _channel(self, name: str) -> Channel:
        if name not in self._channels:
            channel = Channel(name, card_seconds=self._card_seconds)
            self._channels[name] = channel
            self._own(channel.work(), f"tell {name}")
        return self._channels[name]

    def _own(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("notifier_task_failed", task=task.get_name(), exc_info=error)


def _places(view: RequestView) -> Iterator[str]:
    """Yield the channels that a request may be told in, the best first."""
    if view.channel:
        yield view.channel
    if view.origin_channel:
        yield view.origin_channel
    if is_slack_user(view.requester):
        yield view.requester


def _report(data: Mapping[str, Any]) -> SyncReport:
    known = SyncReport.__dataclass_fields__
    return SyncReport(**{key: value for key, value in data.items() if key in known})
