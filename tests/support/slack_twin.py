"""Slack's twin for tests: a real server on a free port, and the hands of the people in it.

    async with SlackTwin() as twin:                      # or the fixture `twin` of a conftest
        app = AsyncApp(client=twin.client(), ...)
        async with twin.connected(app):                  # Socket Mode, as in production
            await twin.command("alice", "general", "/pao catalog")
            [answer] = twin.ephemerals("alice")
            await twin.click("alice", answer, "request")
            form = await twin.view("alice")              # waits until the app has opened it
            await twin.submit("alice", form, {"name": "orders-db", "size": "small"})
            assert twin.errors_of(form) == {}

People are named by user name or id, channels by name (`general`, `#general`), id, or `@alice` for
the direct messages with her. A gesture returns once the app has acknowledged it; what the app does
afterwards is waited for with `eventually`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground.faults import Faults
from bot.playground.inputs import Untypable
from bot.playground.refusals import JsonObject
from bot.playground.server import Playground
from bot.playground.surfaces import Surface
from bot.playground.views import View
from bot.playground.workspace import Channel, Message

T = TypeVar("T")

PATIENCE_SECONDS = 45.0


class SlackTwin:
    """A playground on a free port, with verbs for what people do and nouns for what they see.

    Keyword arguments are those of `Playground` (people, teams, installation, request_url,
    ack_seconds, event_pauses, clock, panel).
    """

    def __init__(self, **arguments: Any) -> None:
        self.playground = Playground(**arguments)

    async def __aenter__(self) -> SlackTwin:
        await self.playground.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.playground.stop()

    # The app's side

    def client(self, **arguments: Any) -> AsyncWebClient:
        """Return a client of slack_sdk for the twin's Web API, with the bot's token."""
        return AsyncWebClient(
            token=self.playground.bot_token, base_url=self.playground.api_url, **arguments
        )

    @asynccontextmanager
    async def connected(self, app: AsyncApp) -> AsyncIterator[AsyncSocketModeHandler]:
        """Run an app in Socket Mode for the time of a test; returns when it is connected."""
        handler = AsyncSocketModeHandler(app, self.playground.app_token)
        await handler.connect_async()  # type: ignore[no-untyped-call]
        try:
            await self.until(lambda: self.playground.sockets.connected > 0)
            yield handler
        finally:
            before = asyncio.all_tasks()
            await handler.close_async()  # type: ignore[no-untyped-call]
            await handler.client.aiohttp_client_session.close()
            await _settle(before)

    @property
    def faults(self) -> Faults:
        """The switch for bad days: delay, failing, offline, rate_limits, rate_limit_next(...)."""
        return self.playground.faults

    def calls(self, method: str) -> list[JsonObject]:
        """Return the arguments of every accepted call of a Web API method, oldest first."""
        return [given for name, given in self.playground.web_api.calls if name == method]

    # What people do

    async def command(self, user: str, channel: str, text: str) -> None:
        """Send a slash command, as `/pao catalog`."""
        await self.playground.box.command(self.user(user), self.channel(channel).id, text)

    async def say(self, user: str, channel: str, text: str, thread: str | None = None) -> None:
        """Type into the message box: a plain message or a command."""
        await self.playground.box.say(self.user(user), self.channel(channel).id, text, thread)

    async def click(
        self,
        user: str,
        surface: Surface,
        action_id: str,
        value: object = None,
        *,
        block_id: str | None = None,
    ) -> None:
        """Press a button, or choose `value` (an option's value, text, date) in another element.

        `surface` is a message or a view. A button is also found by its label or its value.
        """
        found, inside = _button(surface, action_id, value)
        await self.playground.gestures.click(
            self.user(user), surface, found, value, block_id=block_id or inside
        )

    def fill(self, user: str, surface: Surface, values: Mapping[str, object]) -> None:
        """Type into fields, keyed by block_id, action_id or `block_id/action_id`."""
        self.playground.gestures.fill(self.user(user), surface, values)

    async def submit(
        self, user: str, view: View, values: Mapping[str, object] | None = None
    ) -> None:
        """Fill in `values` and press Submit; see `errors_of` for what was refused."""
        self.fill(user, view, values or {})
        await self.playground.gestures.submit(self.user(user), view)

    async def close(self, user: str, view: View, *, everything: bool = False) -> None:
        """Press Cancel, or the cross that closes every modal."""
        await self.playground.gestures.close(self.user(user), view, everything=everything)

    async def suggest(
        self,
        user: str,
        surface: Surface,
        action_id: str,
        typed: str = "",
        *,
        block_id: str | None = None,
    ) -> list[JsonObject]:
        """Type into an external select; return the options shown."""
        answer = await self.playground.gestures.suggest(
            self.user(user), surface, action_id, typed, block_id=block_id
        )
        grouped = [option for g in answer.get("option_groups", []) for option in g["options"]]
        return [*answer.get("options", []), *grouped]

    async def shortcut(self, user: str, callback_id: str) -> None:
        """Choose a global shortcut."""
        await self.playground.gestures.shortcut(self.user(user), callback_id)

    def open_home(self, user: str, tab: str = "home") -> None:
        """Look at the app's Home; see `home` for what is there."""
        self.playground.gestures.open_home(self.user(user), tab)

    def change_person(self, user: str, **changes: Any) -> None:
        """Change a profile (real_name, email, deleted, ...); the app gets user_change."""
        self.playground.gestures.change_person(self.user(user), **changes)

    async def deliver_again(self, kind: str = "interactive") -> JsonObject:
        """Deliver the last envelope of a kind (`slash_commands`, `interactive`, `events_api`) twice.

        Slack does so when a connection ends between the envelope and its acknowledgement.
        """
        sockets = self.playground.sockets
        last = next(e for e in reversed(sockets.delivered) if e.kind == kind)
        return await sockets.deliver(last, within=PATIENCE_SECONDS)

    # What people see

    def messages(self, channel: str) -> list[Message]:
        """Return what everybody sees in a channel, outside threads."""
        return [m for m in self._public(channel) if m.thread_ts is None]

    def thread(self, channel: str, ts: str) -> list[Message]:
        """Return the replies to a message that everybody sees."""
        return [m for m in self._public(channel) if m.thread_ts == ts]

    def ephemerals(self, user: str, channel: str | None = None) -> list[Message]:
        """Return the messages "only visible to" a person, oldest first."""
        channels = self.playground.workspace.channels.values()
        chosen = [self.channel(channel)] if channel else channels
        found = [m for c in chosen for m in c.messages if m.only_for == self.user(user)]
        return sorted(found, key=lambda message: message.ts)

    def views(self, user: str) -> list[View]:
        """Return a person's open modals, the top one last."""
        return list(self.playground.views.stacks.get(self.user(user), []))

    async def view(self, user: str, callback_id: str | None = None) -> View:
        """Wait for a modal on top of a person's stack (with that callback_id) and return it."""

        def top() -> View | None:
            stack = self.views(user)
            wanted = stack and callback_id in {None, stack[-1].content.get("callback_id")}
            return stack[-1] if wanted else None

        return await self.eventually(top)

    def home(self, user: str) -> View | None:
        """Return what the app published as a person's Home."""
        return self.playground.views.homes.get(self.user(user))

    def errors_of(self, view: View) -> dict[str, str]:
        """Return block_id -> sentence: errors under the fields, from Slack's client or the app."""
        return dict(view.errors)

    def values_of(self, view: View) -> JsonObject:
        """Return block_id -> action_id -> state entry: what stands in the fields."""
        return view.as_slack()["state"]["values"] or {}

    def notices(self, user: str) -> list[str]:
        """Return the client's warnings to a person: an app that did not answer, and the like."""
        return list(self.playground.dispatch.notices[self.user(user)])

    # Names and waiting

    def user(self, name: str) -> str:
        """Return the id of a person by name or id."""
        return self.playground.workspace.person_named(name).id

    def channel(self, name: str) -> Channel:
        """Return a channel by name or id, or by `@name` the direct messages of a person."""
        if name.startswith("@"):
            name = self.user(name.removeprefix("@"))
        return self.playground.workspace.channel(name)

    async def eventually(self, look: Callable[[], T | None]) -> T:
        """Wait until `look` finds something (neither None nor False nor empty); return it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self.playground.workspace.watch() as changed:
            while True:
                found = look()
                if found:
                    return found
                if time.monotonic() > deadline:
                    raise AssertionError(f"not seen within {PATIENCE_SECONDS} s: {self._seen()}")
                changed.clear()
                try:
                    async with asyncio.timeout(0.05):
                        await changed.wait()
                except TimeoutError:
                    continue

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds."""
        await self.eventually(lambda: holds() or None)

    def _public(self, channel: str) -> list[Message]:
        return [m for m in self.channel(channel).messages if m.only_for is None]

    def _seen(self) -> str:
        channels = self.playground.workspace.channels.values()
        texts = [f"#{c.name}: {text_of(m)[:200]}" for c in channels for m in c.messages]
        return "\n".join(texts) or "nothing was posted"

    # HTTP as the browser does it

    async def browse(
        self, session: aiohttp.ClientSession, path: str, **arguments: Any
    ) -> aiohttp.ClientResponse:
        """GET a path of the playground (POST where `json` is given) and read the answer."""
        verb = "POST" if "json" in arguments else "GET"
        address = self.playground.base_url + path
        async with session.request(verb, address, **arguments) as response:
            await response.read()
            return response


def text_of(surface: Surface) -> str:
    """Return every text of a message or view, one a line: what a person reads there."""
    lines = [surface.text] if isinstance(surface, Message) else []
    if isinstance(surface, View):
        lines.append(surface.content.get("title", {}).get("text", ""))
    _collect(surface.blocks, lines)
    return "\n".join(line for line in lines if line)


def _collect(node: object, lines: list[str]) -> None:
    if isinstance(node, list):
        for item in node:
            _collect(item, lines)
    elif isinstance(node, dict):
        if node.get("type") in {"plain_text", "mrkdwn", "text"} and isinstance(
            node.get("text"), str
        ):
            lines.append(node["text"])
        else:
            for value in node.values():
                _collect(value, lines)


def blocks_json(surface: Surface) -> str:
    """Return a surface's blocks as indented JSON, for messages of failed assertions."""
    return json.dumps(surface.blocks, indent=1)


def _button(surface: Surface, name: str, value: object) -> tuple[str, str | None]:
    """Return (action_id, block_id) of the button meant by an action_id, a label or a value."""
    for block in surface.blocks:
        held = [block.get("accessory"), *block.get("elements", [])]
        for element in held:
            if not isinstance(element, dict) or element.get("type") != "button":
                continue
            names = {element["action_id"], element["text"]["text"]}
            if name in names and value in {None, element.get("value")}:
                return element["action_id"], block["block_id"]
    return name, None


async def _settle(before: set[asyncio.Task[Any]]) -> None:
    """Wait for what Bolt's client leaves running after its close, then cancel it."""
    mine = asyncio.current_task()
    names = ("run_message_listeners", "process_message", "receive_messages", "monitor_current")
    left = [
        task
        for task in before | asyncio.all_tasks()
        if task is not mine and any(name in repr(task.get_coro()) for name in names)
    ]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


__all__ = ["SlackTwin", "Untypable", "blocks_json", "text_of"]
