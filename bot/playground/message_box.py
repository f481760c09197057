"""The message box: slash commands and plain messages, and Slackbot's answers to those that fail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.playground import payloads
from bot.playground.delivery import NotAcknowledged
from bot.playground.limits import MESSAGE_TEXT, check_message
from bot.playground.refusals import JsonObject, Refused
from bot.playground.workspace import BOT_USER_ID, Channel, Workspace

if TYPE_CHECKING:
    from bot.playground.dispatch import Dispatch
    from bot.playground.views import Views

SLACKBOT = "USLACKBOT"


class MessageBox:
    """What everybody in the workspace types."""

    def __init__(self, workspace: Workspace, views: Views, dispatch: Dispatch) -> None:
        self._workspace = workspace
        self._views = views
        self._dispatch = dispatch

    async def say(
        self, user: str, channel_id: str, text: str, thread_ts: str | None = None
    ) -> None:
        """Send what stands in the message box: a slash command or a plain message."""
        channel = self._workspace.channel(channel_id)
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
        person, channel = self._workspace.person(user), self._workspace.channel(channel_id)
        name, _, words = text.partition(" ")
        if name not in {command.name for command in self._dispatch.installation.commands}:
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
            trigger_id=self._views.pull_trigger(user),
            response_url=self._dispatch.response_url(channel, user),
        )
        try:
            answer = await self._dispatch.command(payload)
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
            self._workspace.post(channel, user, escape(typed))
        if answer.get("text") or answer.get("blocks"):
            text, blocks = check_message(answer)
            only_for = None if in_channel else user
            self._workspace.post(channel, BOT_USER_ID, text or "", blocks, only_for=only_for)

    async def _message(self, user: str, channel: Channel, text: str, thread_ts: str | None) -> None:
        message = self._workspace.post(
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
        self._dispatch.event("message.im" if direct else "message.channels", content)
        if f"<@{BOT_USER_ID}>" in message.text and not direct:
            self._dispatch.event("app_mention", {**content, "type": "app_mention"})

    def _mentions(self, text: str) -> str:
        names = {person.name: person.id for person in self._workspace.people.values()}
        names[self._dispatch.installation.name.lower()] = BOT_USER_ID

        def mention(found: re.Match[str]) -> str:
            known = names.get(found[1].lower())
            return f"<@{known}>" if known else found[0]

        return re.sub(r"@([\w.-]+)", mention, text)

    def _slackbot(self, user: str, channel: Channel, text: str) -> None:
        self._workspace.post(channel, SLACKBOT, text, only_for=user)


def escape(text: str) -> str:
    """Return text as Slack stores what people type."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
