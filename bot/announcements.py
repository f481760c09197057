"""What is told outside the threads of requests: syncs in NOTIFY_CHANNEL, and people by direct message.

A message to several people may reach some before Slack holds the rest back, or before the process dies; then the
event is told again, and who was reached is passed over. The database knows who that is. Only the one message
that was under way at a death may come twice: Slack takes no key by which it could know a message again, and
what we sent we may not read back (docs/decisions/telling.md).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.channels import passes
from bot.messages import notices
from bot.messages.blocks import Block, section
from bot.messages.decisions import answered
from bot.messages.directs import DIRECTS, Direct, directs
from bot.messages.text import MESSAGE, cut
from engine import Engine, Event, Question, RequestView, SyncReport

CONSUMER: Final = "slack"
"""The name under which events are read, and put aside where they cannot be told."""

SYNCED: Final = "catalog.synced"

log = structlog.get_logger(__name__)


class Announcements:
    """Tells what has no thread. Raises what passes (a rate limit, an outage): it is run again then."""

    def __init__(self, engine: Engine, client: AsyncWebClient) -> None:
        self._engine = engine
        self._client = client
        self._reached: dict[int, set[str]] = {}
        """Who was written to, by event: the database's word, and what it could not be told yet."""

    async def tell_syncs(self, channel: str) -> None:
        """Sum up in NOTIFY_CHANNEL what syncs changed or broke."""

        async def tell(event: Event) -> None:
            markup = notices.synced(report_in(event))
            await self.post(channel, markup, [section(markup)])

        await self._tell(lambda event: event.kind == SYNCED, tell)

    async def tell_people(self) -> None:
        """Write to people about what is of no request."""

        async def tell(event: Event) -> None:
            await self.write(event, directs(event))

        await self._tell(lambda event: event.kind in DIRECTS, tell)

    async def write(self, event: Event, letters: Sequence[Direct]) -> None:
        """Write to each person once; who takes no message from us gets none."""
        if not letters:
            return
        reached = self._reached.setdefault(event.id, set())
        reached.update(await self._engine.reached(event.id))
        for one in letters:
            if one.to in reached:
                continue
            sent = await self._reach(one)
            reached.add(one.to)  # at once: the database may be away when it is told
            if sent is not None and one.asks is not None and event.request_id is not None:
                asked = Question(*sent, one.asks.step, one.markup, is_direct=True)
                await self._engine.keep_question(event.request_id, asked)
            await self._engine.note_reached(event.id, one.to)

    async def _reach(self, letter: Direct) -> tuple[str, str] | None:
        """Post a letter; None where the person takes no message from us."""
        try:
            return await self.post(letter.to, letter.markup, letter.blocks)
        except SlackApiError as refusal:
            if passes(refusal):
                raise
            log.warning("person_not_reached", user=letter.to, error=refusal.response.get("error"))
            return None

    async def told(self, event: Event) -> None:
        """Remember that an event was told."""
        await self._engine.told_event(event.id)
        self._reached.pop(event.id, None)

    async def park(self, event: Event, error: Exception) -> None:
        """Put an event aside, visibly, that cannot be told."""
        log.error("event_not_told", event_id=event.id, exc_info=error)
        await self._engine.park_untold(CONSUMER, event.id, f"{type(error).__name__}: {error}")

    async def close_questions(self, view: RequestView) -> None:
        """Take the buttons away from messages that asked for an approval which is decided."""
        if not view.approvals:
            return
        for asked in await self._engine.questions(view.request_id):
            blocks = answered(asked, view)
            if blocks is None:
                continue
            try:
                await self._client.chat_update(
                    channel=asked.channel,
                    ts=asked.ts,
                    text=cut(asked.markup, MESSAGE),
                    blocks=blocks,
                )
            except SlackApiError as refusal:
                if passes(refusal):
                    raise
                log.info(
                    "question_lost", channel=asked.channel, error=refusal.response.get("error")
                )
            await self._engine.forget_question(asked)

    async def post(
        self, channel: str, markup: str, blocks: Sequence[Block], thread_ts: str | None = None
    ) -> tuple[str, str]:
        """Post a message and return its channel and ts; `markup` is what notifications show."""
        answer = await self._client.chat_postMessage(
            channel=channel,
            thread_ts=thread_ts,
            text=cut(markup, MESSAGE),
            blocks=blocks,
            unfurl_links=False,
        )
        return str(answer["channel"]), str(answer["ts"])

    async def _tell(
        self, is_meant: Callable[[Event], bool], tell: Callable[[Event], Awaitable[None]]
    ) -> None:
        for event in await self._engine.untold_events(None):
            if is_meant(event):
                try:
                    await tell(event)
                except Exception as error:
                    if passes(error):
                        raise
                    await self.park(event, error)
                else:
                    await self.told(event)


def report_in(event: Event) -> SyncReport:
    """Return what a sync's event tells of it."""
    data: Mapping[str, Any] = event.data
    known = SyncReport.__dataclass_fields__
    return SyncReport(**{key: value for key, value in data.items() if key in known})


def is_worth_telling(report: SyncReport) -> bool:
    """Say whether a sync changed or broke something."""
    return bool(report.changes or report.errors or report.status == "failed")
