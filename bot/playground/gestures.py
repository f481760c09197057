"""What people do in Slack: type, click, choose, submit, close; each reaches the app as a payload.

A gesture returns when the app has acknowledged it, or when Slack has given up and told the person.
What the app does after its acknowledgement arrives later, through the Web API.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from bot.playground import payloads
from bot.playground.delivery import Delivery, Envelope, NotAcknowledged, deliver_event
from bot.playground.inputs import (
    VALUE_KEYS,
    State,
    carry_over,
    chosen_options,
    client_errors,
    entry_of,
)
from bot.playground.limits import (
    MESSAGE_TEXT,
    check_field_errors,
    check_message,
    check_suggestions,
    check_view,
    elements_in,
)
from bot.playground.refusals import JsonObject, Refused
from bot.playground.surfaces import Surface, find_element, surface_id
from bot.playground.views import View, Views
from bot.playground.workspace import BOT_USER_ID, Channel, Message, Workspace

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from bot.playground.installation import Installation

ACK_SECONDS = 3.0
EVENT_PAUSES = (0.0, 60.0, 300.0)
"""Slack delivers an unacknowledged event again: at once, after a minute, after five."""

SLACKBOT = "USLACKBOT"
KEPT_NOTICES = 20
TROUBLE = "We had some trouble connecting. Try again?"


class Gestures:
    """The hands of everybody in the workspace."""

    def __init__(
        self,
        workspace: Workspace,
        views: Views,
        installation: Installation,
        *,
        ack_seconds: float = ACK_SECONDS,
        event_pauses: tuple[float, ...] = EVENT_PAUSES,
    ) -> None:
        self.workspace = workspace
        self.views = views
        self.installation = installation
        self.notices: dict[str, list[str]] = defaultdict(list)
        self.delivery: Delivery
        self.response_base = ""
        self._ack_seconds = ack_seconds
        self._event_pauses = event_pauses
        self._message_states: dict[tuple[str, str], State] = {}
        self._offered: dict[tuple[str, str, str], list[JsonObject]] = {}
        self._events: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Give up the events that are not delivered yet."""
        for task in self._events:
            task.cancel()
        await asyncio.gather(*self._events, return_exceptions=True)

    # The message box

    async def say(
        self, user: str, channel_id: str, text: str, thread_ts: str | None = None
    ) -> None:
        """Send what stands in the message box: a slash command or a plain message."""
        channel = self.workspace.channel(channel_id)
        if len(text) > MESSAGE_TEXT:
            over = len(text) - MESSAGE_TEXT
            self._slackbot(
                user,
                channel,
                f"Your message is {over:,} characters too long: Slack takes {MESSAGE_TEXT:,}. "
                "It was not sent. Shorten it and send it again.",
            )
        elif text.startswith("/"):
            await self.command(user, channel_id, text, thread_ts)
        elif text.strip():
            await self._message(user, channel, text, thread_ts)

    async def command(
        self, user: str, channel_id: str, text: str, thread_ts: str | None = None
    ) -> None:
        """Send a slash command, as `/pao catalog`."""
        person, channel = self.workspace.person(user), self.workspace.channel(channel_id)
        name, _, words = text.partition(" ")
        if name not in {command.name for command in self.installation.commands}:
            self._slackbot(
                user,
                channel,
                f"`{name}` is not a valid command. In Slack, all messages that start with the "
                '"/" character are interpreted as commands.',
            )
            return
        if thread_ts is not None:
            self._slackbot(user, channel, f"`{name}` is not supported in threads. Sorry!")
            return
        payload = payloads.command(
            person,
            channel,
            name,
            words.strip(),
            trigger_id=self.views.pull_trigger(user),
            response_url=self._response_url(channel, user),
        )
        try:
            answer = await self._deliver("slash_commands", payload)
            self._answer_command(user, channel, text, answer)
        except NotAcknowledged as missed:
            self._slackbot(user, channel, f"`{name}` failed with the error `{missed.reason}`")
        except Refused:
            self._slackbot(
                user, channel, f"`{name}` failed with the error `invalid_command_response`"
            )

    def _answer_command(self, user: str, channel: Channel, typed: str, answer: JsonObject) -> None:
        in_channel = answer.get("response_type") == "in_channel"
        if in_channel:
            self.workspace.post(channel, user, escape(typed))
        if answer.get("text") or answer.get("blocks"):
            text, blocks = check_message(answer)
            only_for = None if in_channel else user
            self.workspace.post(channel, BOT_USER_ID, text or "", blocks, only_for=only_for)

    async def _message(self, user: str, channel: Channel, text: str, thread_ts: str | None) -> None:
        message = self.workspace.post(
            channel, user, self._mentions(escape(text)), thread_ts=thread_ts
        )
        if BOT_USER_ID not in channel.members:
            return
        direct = channel.person is not None
        content: JsonObject = {
            **message.as_slack(),
            "channel": channel.id,
            "channel_type": "im" if direct else "channel",
            "event_ts": message.ts,
        }
        self.event("message.im" if direct else "message.channels", content)
        if f"<@{BOT_USER_ID}>" in message.text and not direct:
            self.event("app_mention", {**content, "type": "app_mention"})

    def _mentions(self, text: str) -> str:
        names = {person.name: person.id for person in self.workspace.people.values()}
        names[self.installation.name.lower()] = BOT_USER_ID

        def mention(found: re.Match[str]) -> str:
            known = names.get(found[1].lower())
            return f"<@{known}>" if known else found[0]

        return re.sub(r"@([\w.-]+)", mention, text)

    # Blocks

    async def click(
        self,
        user: str,
        surface: Surface,
        action_id: str,
        value: object = None,
        *,
        block_id: str | None = None,
    ) -> None:
        """Press a button, or choose `value` in another element; tells the app if it is to know."""
        block, element = find_element(surface, action_id, block_id)
        entry = self._touch(user, surface, block, element, value)
        if block["type"] == "input" and not block.get("dispatch_action", False):
            return
        action: JsonObject = {
            **entry,
            "action_id": element["action_id"],
            "block_id": block["block_id"],
            "action_ts": self.workspace.next_ts(),
        }
        try:
            await self._deliver("interactive", self._action_payload(user, surface, action))
        except NotAcknowledged as missed:
            self._notice(user, f"The app did not respond ({missed.reason}). Try again?")

    def _touch(
        self, user: str, surface: Surface, block: JsonObject, element: JsonObject, value: object
    ) -> JsonObject:
        if element["type"] == "button":
            carried: JsonObject = {k: element[k] for k in ("value", "style") if k in element}
            return {"type": "button", "text": element["text"], **carried}
        if element["type"] == "overflow":
            entry = entry_of({**element, "type": "static_select"}, value, [])
            return {"type": "overflow", "selected_option": entry["selected_option"]}
        place = (block["block_id"], element["action_id"])
        state = self.state_of(user, surface)
        offered = self._offered.get((surface_id(surface), *place), [])
        entry = entry_of(element, value, [*offered, *chosen_options(element, state[place])])
        state[place] = entry
        return entry

    def _action_payload(self, user: str, surface: Surface, action: JsonObject) -> JsonObject:
        person = self.workspace.person(user)
        if isinstance(surface, View):
            modal = surface.content["type"] == "modal"
            trigger_id = self.views.pull_trigger(user, from_modal=modal)
            return payloads.view_action(person, surface, action, trigger_id=trigger_id)
        channel = self.workspace.channel(surface.channel)
        return payloads.message_action(
            person,
            channel,
            surface,
            action,
            self.state_of(user, surface),
            trigger_id=self.views.pull_trigger(user),
            response_url=self._response_url(channel, user, surface),
        )

    async def suggest(
        self,
        user: str,
        surface: Surface,
        action_id: str,
        typed: str = "",
        *,
        block_id: str | None = None,
    ) -> JsonObject:
        """Type into an external select; return the app's `options` or `option_groups`.

        Nothing is asked and there are no options below the element's min_query_length (3 unless
        said). An answer that Slack would not show is told to the person.
        """
        block, element = find_element(surface, action_id, block_id)
        if len(typed) < element.get("min_query_length", 3):
            return {"options": []}
        payload = payloads.suggestion(
            self.workspace.person(user),
            element["action_id"],
            block["block_id"],
            typed,
            self._suggestion_place(surface),
        )
        try:
            answer = await self._deliver("interactive", payload)
            check_suggestions(answer)
        except NotAcknowledged as missed:
            self._notice(user, f"The options could not be loaded ({missed.reason}).")
            return {"options": []}
        except Refused as refused:
            self._notice(user, f"The options could not be loaded: {'; '.join(refused.messages)}")
            return {"options": []}
        place = (surface_id(surface), block["block_id"], element["action_id"])
        known = self._offered.setdefault(place, [])
        grouped = [option for g in answer.get("option_groups", []) for option in g["options"]]
        known.extend(o for o in [*answer.get("options", []), *grouped] if o not in known)
        return answer

    def _suggestion_place(self, surface: Surface) -> JsonObject:
        if isinstance(surface, View):
            return {
                "container": {"type": "view", "view_id": surface.id},
                "view": surface.as_slack(with_state=False),
            }
        channel = self.workspace.channel(surface.channel)
        return {
            "container": {
                "type": "message",
                "message_ts": surface.ts,
                "channel_id": channel.id,
                "is_ephemeral": surface.only_for is not None,
            },
            "channel": {"id": channel.id, "name": channel.name},
        }

    def state_of(self, user: str, surface: Surface) -> State:
        """Return what one person typed and chose on a surface so far."""
        if isinstance(surface, View):
            return surface.state
        key = (user, surface.ts)
        state = carry_over(self._message_states.get(key, {}), surface.blocks)
        if state:
            self._message_states[key] = state
        return state

    # Modals

    def fill(self, user: str, surface: Surface, values: Mapping[str, object]) -> None:
        """Type into fields without telling the app; keys are action_ids or block_ids.

        A key `block_id/action_id` names a field where neither alone would do.
        """
        for key, value in values.items():
            block_id, slash, action_id = key.partition("/")
            if slash:
                block, element = find_element(surface, action_id, block_id)
            else:
                block, element = find_element(surface, key)
            self._touch(user, surface, block, element, value)
        self.workspace.changed()

    async def submit(self, user: str, view: View) -> None:
        """Press a modal's Submit; errors are shown in the view, `view.errors`."""
        view.trouble = None
        view.errors = client_errors(view.blocks, view.state)
        self.workspace.changed()
        if view.errors:
            return
        payload = payloads.submission(
            self.workspace.person(user),
            view,
            trigger_id=self.views.pull_trigger(user, from_modal=True),
            response_urls=self._submission_urls(user, view),
        )
        try:
            answer = await self._deliver("interactive", payload)
            self._answer_submission(user, view, answer)
        except NotAcknowledged:
            view.trouble = TROUBLE
        except Refused as refused:
            view.trouble = TROUBLE
            reasons = "; ".join(refused.messages) or refused.error
            self._notice(user, f"Slack refused the app's answer: {reasons}")
        self.workspace.changed()

    def _answer_submission(self, user: str, view: View, answer: JsonObject) -> None:
        match answer.get("response_action"):
            case None:
                self._report_closed(user, self.views.close(view)[1:], is_cleared=True)
            case "clear":
                self.views.clear(user)
            case "errors":
                check_field_errors(answer.get("errors"), view.as_slack())
                view.errors = answer["errors"]
            case "update":
                check_view(answer.get("view"), "modal")
                self.views.update(answer["view"], view_id=view.id)
            case "push":
                check_view(answer.get("view"), "modal")
                self.views.push_for(user, answer["view"])
            case other:
                raise Refused("invalid_arguments", [f"unknown response_action: {other}"])

    def _submission_urls(self, user: str, view: View) -> list[JsonObject]:
        urls: list[JsonObject] = []
        for block, element in elements_in(view.blocks):
            if element.get("response_url_enabled"):
                place = (block["block_id"], element["action_id"])
                key, _ = VALUE_KEYS[element["type"]]
                channel = self.workspace.channel(view.state[place][key])
                urls.append(
                    {
                        "response_url": self._response_url(channel, user),
                        "channel_id": channel.id,
                        "block_id": block["block_id"],
                        "action_id": element["action_id"],
                    }
                )
        return urls

    async def close(self, user: str, view: View, *, everything: bool = False) -> None:
        """Press Cancel (one view), or the cross (`everything`)."""
        gone = self.views.clear(user) if everything else self.views.close(view)
        self.workspace.changed()
        self._report_closed(user, gone, is_cleared=everything or len(gone) > 1)

    def _report_closed(self, user: str, gone: list[View], *, is_cleared: bool) -> None:
        person = self.workspace.person(user)
        for view in gone:
            if view.content.get("notify_on_close"):
                payload = payloads.closed(person, view, is_cleared=is_cleared)
                self._in_background(self._deliver_quietly(payload))

    async def _deliver_quietly(self, payload: JsonObject) -> None:
        try:
            await self._deliver("interactive", payload)
        except NotAcknowledged as missed:
            self._notice(payload["user"]["id"], f"The app did not respond ({missed.reason}).")

    # Elsewhere

    async def shortcut(self, user: str, callback_id: str) -> None:
        """Choose a global shortcut."""
        payload = payloads.shortcut(
            self.workspace.person(user),
            callback_id,
            trigger_id=self.views.pull_trigger(user),
            action_ts=self.workspace.next_ts(),
        )
        try:
            await self._deliver("interactive", payload)
        except NotAcknowledged as missed:
            self._notice(user, f"The app did not respond ({missed.reason}). Try again?")

    def open_home(self, user: str, tab: str = "home") -> None:
        """Look at the app's Home (or `messages`) tab."""
        content: JsonObject = {
            "type": "app_home_opened",
            "user": user,
            "channel": self.workspace.direct_messages(user).id,
            "tab": tab,
            "event_ts": self.workspace.next_ts(),
        }
        home = self.views.homes.get(user)
        if home is not None and tab == "home":
            content["view"] = home.as_slack()
        self.event("app_home_opened", content)

    def change_person(self, user: str, **changes: Any) -> None:
        """Change a profile (`real_name`, `email`, `deleted`, ...) and tell the app."""
        person = self.workspace.person(user)
        for name, value in changes.items():
            setattr(person, name, value)
        self.workspace.changed()
        self.event("user_change", {"type": "user_change", "user": person.as_slack()})

    def event(self, name: str, content: JsonObject) -> None:
        """Send an event that the app is subscribed to; `name` as in the manifest."""
        if name in self.installation.events:
            payload = payloads.event(content, event_time=int(self.workspace.clock()))
            self._in_background(
                deliver_event(self.delivery, payload, self._ack_seconds, self._event_pauses)
            )

    # Inside

    async def _deliver(self, kind: Any, payload: JsonObject) -> JsonObject:
        return await self.delivery.deliver(Envelope(kind, payload), self._ack_seconds)

    def _response_url(self, channel: Channel, user: str, message: Message | None = None) -> str:
        return self.response_base + self.workspace.open_response_url(channel, user, message)

    def _slackbot(self, user: str, channel: Channel, text: str) -> None:
        self.workspace.post(channel, SLACKBOT, text, only_for=user)

    def _notice(self, user: str, text: str) -> None:
        self.notices[user] = [*self.notices[user], text][-KEPT_NOTICES:]
        self.workspace.changed()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._events.add(task)
        task.add_done_callback(self._events.discard)


def escape(text: str) -> str:
    """Return text as Slack stores what people type."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
