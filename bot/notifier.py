"""From the engine's events to Slack: a card per request, milestones in the thread under it.

    event --consume--> milestone? --> kept as untold, in the database; then the cursor moves on
                          |
    queue of the channel: +--> place known? --no--> card posted, place kept
                          |    untold events, in order: reply, then remembered as told
                          +--> card drawn again, with what is true by then

The database owns the cursor (which events were read), what is untold, the place of each request
(conversations) and which events its thread was told. In memory are only the queues: the names of
requests about which there is something to do. So every milestone is, at each instant, after the
cursor, or among the untold, or told, or parked where people can see it, and whatever dies loses none:

    before it is kept as untold            the cursor has not moved: it is read again
    kept, the cursor not moved             read again; it is kept once, by its id
    kept, not posted (rate limit, outage)  whoever leads next begins with what is untold
    posted, not remembered as told         that one message is posted once more: one too many is
                                           better than one too few (docs/decisions/telling.md)
    card posted, place not kept            the card is posted once more

Slack is only ever called by the queues, one for each channel, so a channel that is held back holds
neither the reading of events nor another channel. The order within a request holds because its
untold events are told in the order in which they were read, by one queue at a time: where its place
moves, the queue at work hands it over and leaves it. One process of all reads events and tells them
(`consume` elects it); one that was just cut off from the database may repeat a message, no more.

Some events are for people rather than for a thread: what is newly due for their services, a service
that theirs need. They are told by direct message and go the same way: untold in the database until
everybody was written to, with who already was.

A message with the buttons of an approval is kept as a question; with the card it is drawn again, without
them, once the approval is decided. One that was posted and not kept has its buttons for good: a click on
them is answered in words.

Places, in this order: the channel of the document or its category, the one where the command was
used, a direct message. A channel that is gone or closed to us counts as none. Requests that had
ended before the bot's first start have no events to be told, and so no card.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import structlog
from slack_sdk.errors import SlackApiError

from bot.announcements import CONSUMER, SYNCED, Announcements, is_worth_telling, report_in
from bot.app import Services
from bot.channels import CARD_SECONDS, MOST_CARDS, Channel, passes
from bot.messages.card import card
from bot.messages.directs import DIRECTS, directs
from bot.messages.milestones import MILESTONES, milestone
from bot.messages.replies import Milestone, blocks_for, letters, markup_for
from bot.messages.teams import Teams
from bot.messages.text import is_slack_user
from engine import Actor, Conversation, Event, NotFound, Question, RequestView

PEOPLE: Final = "people"
"""The queue of what is told to people, and has no channel."""

FOR_PEOPLE: Final = DIRECTS.keys() | {
    "approval.requested",
    "approval.reminded",
    "approval.given",
    "approval.rejected",
    "approval.expired",
    "request.cancelled",
    "ticket.reminded",
}
"""What is told though a request has no place: somebody has to act, or has to no more, or is concerned."""

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

    def __init__(
        self,
        services: Services,
        *,
        card_seconds: float = CARD_SECONDS,
        most_cards: int = MOST_CARDS,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self._engine = services.engine
        self._client = services.client
        self._identity = services.identity
        self._homes = services.homes
        self._announcements = Announcements(services.engine, services.client)
        self._card_seconds = card_seconds
        self._most_cards = most_cards
        self._drain_seconds = drain_seconds
        self._channels: dict[str, Channel] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Begin to consume events; who leads begins with what was left behind."""
        self._stopping = asyncio.Event()
        self._own(self._consume(), "consume events")
        self._own(self._homes.work(), "draw homes")

    async def stop(self) -> None:
        """Take no more events, let the queues empty within a bound, and end."""
        self._stopping.set()
        if not self._tasks:
            return
        try:
            async with asyncio.timeout(self._drain_seconds):
                await self._drained()
        except TimeoutError:
            log.warning("notifier_not_drained")
        tasks, self._tasks = list(self._tasks), set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._channels.clear()

    async def handle(self, event: Event) -> None:
        """See to it that an event is told, by this process or a later one."""
        self._homes.changed(event)
        if event.kind == SYNCED:
            if self._engine.config.notify_channel and is_worth_telling(report_in(event)):
                await self._engine.keep_untold(event.id)
                self._tell_sync_soon()
        elif event.request_id is not None:
            queue = await self._queue_of(event.request_id)
            if queue is None and event.kind not in FOR_PEOPLE:
                return
            if event.kind in MILESTONES or event.kind in DIRECTS:
                await self._engine.keep_untold(event.id)
            self._tell_soon(event.request_id, queue or PEOPLE)
        elif event.kind in DIRECTS:
            await self._engine.keep_untold(event.id)
            self._tell_people_soon()

    async def catch_up(self) -> None:
        """Tell what is untold, and bring the cards up to date that a stop left behind."""
        untold = await self._engine.untold_requests()
        if None in untold:
            self._tell_sync_soon()
            self._tell_people_soon()
        for request_id in untold:
            if request_id is not None:
                self._tell_soon(request_id, await self._queue_of(request_id) or PEOPLE)
        for request_id in await self._engine.conversations_behind():
            if queue := await self._queue_of(request_id):
                self._tell_soon(request_id, queue)

    async def _draw_behind(self, channel: str) -> None:
        """Draw what the queue of a channel has left off; the last of many is left off once more."""
        for request_id in await self._engine.conversations_behind(channel, self._most_cards + 1):
            self._draw_soon(request_id, channel)

    # A request

    async def _queue_of(self, request_id: str) -> str | None:
        """Return the channel in whose queue a request stands; None where it has no place at all."""
        place = await self._engine.conversation(request_id)
        return place.channel if place else await self._first_place(request_id)

    def _tell_soon(self, request_id: str, queue: str) -> None:
        async def tell() -> None:
            await self._tell(request_id, queue)

        self._channel(queue).tell_soon(request_id, tell)

    async def _first_place(self, request_id: str) -> str | None:
        try:
            return next(_places(await self._engine.request(READER, request_id)), None)
        except NotFound:
            return None

    async def _tell(self, request_id: str, queue: str) -> None:
        """Tell all that is untold of a request; leaves it to another queue where its place moves.

        Raises what passes (a rate limit, an outage): it is run again then, from where it stood.
        """
        for event in await self._engine.untold_events(request_id):
            try:
                place = await self._tell_event(event, queue)
            except Exception as error:
                if passes(error):
                    raise
                await self._announcements.park(event, error)
            else:
                if place not in {None, queue}:
                    self._tell_soon(request_id, str(place))
                    return
        self._draw_soon(request_id, queue)

    async def _tell_event(self, event: Event, queue: str, *, moved: bool = False) -> str | None:
        """Reply in the request's thread, unless another queue must; return the thread's channel.

        None: nobody would see it. `moved`: the card was lost, and this is the new one's thread.
        """
        view = await self._engine.request(READER, str(event.request_id))
        place = await self._engine.conversation(view.request_id) or await self._place(view)
        if place is not None and place.channel != queue:
            return place.channel
        told = milestone(event, view)
        await self._write_to_people(event, view, told, is_seen=_is_open(place))
        if place is not None and told is not None and event.id not in place.told_events:
            try:
                await self._post_reply(place, told, view)
            except SlackApiError as refusal:
                word = refusal.response.get("error")
                if moved or word not in LOST | GONE:
                    raise
                await self._place(view, without=queue if word in LOST else None)
                return await self._tell_event(event, queue, moved=True)
        await self._announcements.told(event)
        return place.channel if place else None

    async def _post_reply(self, place: Conversation, told: Milestone, view: RequestView) -> None:
        teams = await self._identity.reach() if told.approvers or told.team else Teams()
        markup = markup_for(told, view, teams)
        channel, ts = await self._announcements.post(
            place.channel, markup, blocks_for(told, view, teams), thread_ts=place.thread_ts
        )
        if told.asks is not None:
            await self._engine.keep_question(
                view.request_id, Question(channel, ts, told.asks.step, markup, is_direct=False)
            )

    async def _write_to_people(
        self, event: Event, view: RequestView, told: Milestone | None, *, is_seen: bool
    ) -> None:
        """Write what an event of a request says to people who do not see its thread.

        `is_seen`: whether others than the requester see the thread; else they are asked directly.
        """
        found = directs(event)
        if told is not None:
            called = told.owners or told.approvers or told.team
            teams = await self._identity.reach() if called else Teams()
            found += letters(told, view, teams, is_seen=is_seen)
        await self._announcements.write(event, found)

    # The card

    def _draw_soon(self, request_id: str, channel: str) -> None:
        async def draw() -> None:
            await self._draw(request_id)

        self._channel(channel).draw_soon(request_id, draw)

    async def _draw(self, request_id: str) -> None:
        """Edit the card, and what asked for approvals, where they show less than is known."""
        place = await self._engine.conversation(request_id)
        view = await self._engine.request(READER, request_id)
        await self._announcements.close_questions(view)
        if place is None:
            return
        shown = card(view)
        if shown.hash != place.card_hash:
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

    # What has no thread

    def _tell_sync_soon(self) -> None:
        channel = self._engine.config.notify_channel
        if channel is not None:
            self._channel(channel).tell_soon(
                SYNCED, lambda: self._announcements.tell_syncs(channel)
            )

    def _tell_people_soon(self) -> None:
        self._channel(PEOPLE).tell_soon(PEOPLE, self._announcements.tell_people)

    # Running

    async def _consume(self) -> None:
        await self._engine.consume(CONSUMER, self.handle, self._stopping, on_lead=self.catch_up)

    async def _drained(self) -> None:
        for channel in list(self._channels.values()):
            await channel.drained()

    def _channel(self, name: str) -> Channel:
        if name not in self._channels:
            channel = Channel(
                name,
                lambda: self._draw_behind(name),
                card_seconds=self._card_seconds,
                most_cards=self._most_cards,
            )
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


def _is_open(place: Conversation | None) -> bool:
    """Say whether a thread is in a channel, and not in one person's direct messages."""
    return place is not None and not place.channel.startswith("D")
