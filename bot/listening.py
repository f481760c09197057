"""The one decorator that every listener wears.

Slack wants an answer within three seconds, and Bolt forgets an acknowledgement when the listener
raises right after it. So a listener acknowledges first and hands its work to an owned task; what
goes wrong there is told to the person where they are, in words, and never comes back here.

Two kinds of payload are answered by the acknowledgement itself: a submitted form and a menu that
asks for its options. Their work gets a part of the three seconds; a form that needs longer is shown
a page that says so, and its outcome follows by views.update.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.app import CALL_SECONDS, Services, kind_of, user_of
from bot.channels import retry_after
from bot.messages import notices
from bot.messages.blocks import actions, button, modal, section
from bot.messages.text import MESSAGE, cut
from bot.slack_metrics import RATE_LIMITS
from engine import Actor, Forbidden, PaoError

Block = dict[str, Any]
Listener = Callable[..., Awaitable[None]]

SUBMIT_SECONDS: Final = 1.8
OPTIONS_SECONDS: Final = 2.2
"""What work that answers by the acknowledgement may take, of Slack's three seconds."""

OPENING_SECONDS: Final = 0.8
"""How long a form may take before a loading view is opened in its place."""

OPEN_FORM: Final = "open_form"
NOTICE: Final = "notice"

_EXPIRED_TRIGGERS = frozenset({"expired_trigger_id", "trigger_expired", "invalid_trigger_id"})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Errors:
    """Sentences under fields, by block_id; `view` is the same form with them, for an answer too late."""

    by_block: Mapping[str, str]
    view: Block


@dataclass(frozen=True, slots=True)
class Show:
    """Another view in place of the submitted one."""

    view: Block


@dataclass(frozen=True, slots=True)
class Close:
    """The form is done; `then` says so, after the form was closed."""

    then: Callable[[], Awaitable[None]] | None = None
    everything: bool = False


Outcome = Errors | Show | Close


class Call:
    """One thing that a person did, and the ways to answer it where they are."""

    __slots__ = ("_actor", "body", "services")

    def __init__(self, services: Services, body: Mapping[str, Any]) -> None:
        self.services = services
        self.body = body
        self._actor: Actor | None = None

    @property
    def user_id(self) -> str:
        """The person's Slack id."""
        return user_of(self.body)

    @property
    def channel(self) -> str | None:
        """The channel where it happened; None in a modal or the App Home."""
        channel = self.body.get("channel")
        inside = channel.get("id") if isinstance(channel, Mapping) else None
        around = self.body.get("container", {}).get("channel_id")
        found = inside or self.body.get("channel_id") or around
        return str(found) if found else None

    @property
    def action(self) -> Mapping[str, Any]:
        """The element that was used, of a block_actions payload."""
        found: Sequence[Mapping[str, Any]] = self.body.get("actions") or ({},)
        return found[0]

    @property
    def value(self) -> str:
        """What the used button or menu brought back."""
        chosen = self.action.get("selected_option") or self.action
        return str(chosen.get("value", ""))

    async def actor(self) -> Actor:
        """The person with their teams and rights of this moment."""
        if self._actor is None:
            self._actor = await self.services.identity.actor(self.user_id)
        return self._actor

    async def say(self, text: str, blocks: Sequence[Block] = (), *, replace: bool = False) -> None:
        """Say something that only this person sees, where they are; else by direct message.

        `replace` puts it in the place of the ephemeral message whose button was used.
        """
        shown = list(blocks) or [section(text)]
        url = self.body.get("response_url")
        if url and await self._respond(url, text, shown, replace=replace):
            return
        await self.services.client.chat_postMessage(
            channel=self.user_id, text=cut(text, MESSAGE), blocks=shown, unfurl_links=False
        )

    async def whisper(self, channel: str, text: str) -> None:
        """Say something that only this person sees in a channel, where that takes it."""
        try:
            await self.services.client.chat_postEphemeral(
                channel=channel, user=self.user_id, text=cut(text, MESSAGE), blocks=[section(text)]
            )
        except SlackApiError as refusal:
            log.info("not_whispered", channel=channel, error=refusal.response.get("error"))

    async def open(self, prepare: Awaitable[Block], reopen: str) -> None:
        """Open a view (on top of the one at hand, if any) as soon as it is prepared.

        Takes it longer than a trigger may wait, a loading view stands in for it. `reopen` is the
        value of the "Open form" button that the person gets when the trigger has expired.
        """
        drawing = self.services.background.run(_awaited(prepare), "draw a form")
        await asyncio.wait({drawing}, timeout=OPENING_SECONDS)
        in_time = drawing.done()
        try:
            opened = await self._show(drawing.result() if in_time else _loading())
        except SlackApiError as refusal:
            if refusal.response.get("error") not in _EXPIRED_TRIGGERS:
                raise
            await self.say(
                notices.DOUBLE_TRIGGER,
                [
                    section(notices.DOUBLE_TRIGGER),
                    *actions(button(notices.OPEN_FORM, OPEN_FORM, reopen, style="primary")),
                ],
            )
            return
        if not in_time:
            await self._fill(opened, drawing)

    async def update(self, view: Block) -> None:
        """Draw the view at hand again; nothing happens where it changed meanwhile."""
        shown = self.body["view"]
        try:
            await self.services.client.views_update(
                view_id=shown["id"], hash=shown["hash"], view=view
            )
        except SlackApiError as refusal:
            if refusal.response.get("error") not in {"hash_conflict", "not_found"}:
                raise
            log.info("view_changed_meanwhile", error=refusal.response.get("error"))

    async def _respond(
        self, url: str, text: str, blocks: Sequence[Block], *, replace: bool
    ) -> bool:
        """Answer by the payload's own address; False where that is used up or expired."""
        answer = {
            "text": cut(text, MESSAGE),
            "blocks": list(blocks),
            "response_type": "ephemeral",
            "replace_original": replace,
        }
        thread = self.body.get("container", {}).get("thread_ts")
        if thread and not replace:
            answer["thread_ts"] = thread
        client = AsyncWebhookClient(url, timeout=CALL_SECONDS, session=self.services.client.session)
        response = await client.send_dict(answer)
        if response.status_code != 200:
            log.warning("response_url_refused", status=response.status_code, said=response.body)
        return response.status_code == 200

    async def _show(self, view: Block) -> Mapping[str, Any]:
        client, trigger = self.services.client, self.body["trigger_id"]
        inside = self.body.get("view", {}).get("type") == "modal"
        show = client.views_push if inside else client.views_open
        answer = await show(trigger_id=trigger, view=view)
        opened: Mapping[str, Any] = answer["view"]
        return opened

    async def _fill(self, opened: Mapping[str, Any], drawing: "asyncio.Task[Block]") -> None:
        try:
            view = await drawing
        except PaoError as problem:
            view = notice_view(notices.error(problem))
        except Exception:
            await self._replace(opened, notice_view(notices.NOT_DRAWN))
            raise
        await self._replace(opened, view)

    async def _replace(self, opened: Mapping[str, Any], view: Block) -> None:
        await self.services.client.views_update(view_id=opened["id"], view=view)


Work = Callable[[Call], Awaitable[None]]
Judge = Callable[[Call], Awaitable[Outcome]]
Suggest = Callable[[Call], Awaitable[Mapping[str, Any]]]


def listener(services: Services, work: Work) -> Listener:
    """Acknowledge at once, then work; errors are told where the person is."""

    async def listen(ack: AsyncAck, body: dict[str, Any], context: Mapping[str, Any]) -> None:
        await ack()
        _measure(services, body, context)
        services.background.run(_told(work, Call(services, body)), f"answer {kind_of(body)}")

    return listen


def submission_listener(services: Services, judge: Judge) -> Listener:
    """Answer a submitted form by its outcome, or by a page that says it takes longer."""

    async def listen(ack: AsyncAck, body: dict[str, Any], context: Mapping[str, Any]) -> None:
        call = Call(services, body)
        judging = services.background.run(_judged(judge, call), "judge a form")
        await asyncio.wait({judging}, timeout=SUBMIT_SECONDS)
        if judging.done():
            outcome = judging.result()
            await ack(**_acknowledgement(outcome))
            if isinstance(outcome, Close) and outcome.then is not None:
                services.background.run(_told(_saying(outcome.then), call), "confirm a form")
        else:
            await ack(response_action="update", view=notice_view(notices.STILL_WORKING))
            services.background.run(_told(_late(judging), call), "answer a form late")
        _measure(services, body, context)

    return listen


def options_listener(services: Services, suggest: Suggest) -> Listener:
    """Answer a menu with its options ({options} or {option_groups}); with none where it fails."""

    async def listen(ack: AsyncAck, body: dict[str, Any], context: Mapping[str, Any]) -> None:
        looking = services.background.run(_suggested(suggest, Call(services, body)), "find options")
        await asyncio.wait({looking}, timeout=OPTIONS_SECONDS)
        await ack(**(looking.result() if looking.done() else {"options": []}))
        _measure(services, body, context)

    return listen


def notice_view(text: str) -> Block:
    """Return a modal that only says something."""
    return modal("PAO", [section(text)], callback_id=NOTICE, close=notices.CLOSE)


async def _told(work: Work, call: Call) -> None:
    """Run the work; whatever goes wrong is told to the person, and logged."""
    try:
        try:
            await work(call)
        except Forbidden as refusal:
            await call.say(notices.not_allowed(refusal))
        except PaoError as problem:
            log.info("answered_with_error", code=problem.code, error=str(problem))
            await call.say(notices.error(problem))
        except Exception as error:  # noqa: BLE001 - the edge: nobody above could answer
            await call.say(_unforeseen(error))
    except (SlackApiError, OSError, TimeoutError) as unreachable:
        log.warning("person_not_told", error=str(unreachable))


async def _judged(judge: Judge, call: Call) -> Outcome:
    try:
        return await judge(call)
    except PaoError as problem:
        return Show(notice_view(notices.error(problem)))
    except Exception as error:  # noqa: BLE001 - the edge: the form is answered
        return Show(notice_view(_unforeseen(error)))


async def _suggested(suggest: Suggest, call: Call) -> Mapping[str, Any]:
    try:
        return await suggest(call)
    except PaoError as problem:
        log.info("no_options", code=problem.code, error=str(problem))
    except Exception:  # the edge: a menu can only stay empty
        log.exception("options_failed")
    return {"options": []}


def _late(judging: "asyncio.Task[Outcome]") -> Work:
    async def work(call: Call) -> None:
        outcome = await judging
        view_id = call.body["view"]["id"]
        match outcome:
            case Errors() | Show():
                view = outcome.view
            case Close(then=then):
                view = notice_view(notices.DONE)
                if then is not None:
                    await then()
        await call.services.client.views_update(view_id=view_id, view=view)

    return work


def _saying(then: Callable[[], Awaitable[None]]) -> Work:
    async def work(_: Call) -> None:
        await then()

    return work


def _acknowledgement(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Errors(by_block=errors):
            return {"response_action": "errors", "errors": dict(errors)}
        case Show(view=view):
            return {"response_action": "update", "view": view}
        case Close(everything=True):
            return {"response_action": "clear"}
    return {}


async def _awaited(prepare: Awaitable[Block]) -> Block:
    return await prepare


def _loading() -> Block:
    return modal("PAO", [section(notices.LOADING)], callback_id=NOTICE, close=notices.CANCEL)


def _measure(services: Services, body: Mapping[str, Any], context: Mapping[str, Any]) -> None:
    seconds = time.monotonic() - context["received_at"]
    services.on_ack(kind_of(body), seconds)


def _unforeseen(error: Exception) -> str:
    """Say that Slack is busy or away, or log the error under a new id and say that."""
    if isinstance(error, SlackApiError) and retry_after(error) is not None:
        RATE_LIMITS.inc()
        log.warning("slack_rate_limited", error=str(error))
        return notices.SLACK_IS_BUSY
    if isinstance(error, SlackApiError) and error.response.status_code >= 500:
        log.warning("slack_away", error=str(error))
        return notices.SLACK_IS_AWAY
    incident = secrets.token_hex(4)
    log.error("unexpected_error", incident=incident, exc_info=error)
    return notices.unexpected(incident)
