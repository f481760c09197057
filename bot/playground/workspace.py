"""The state of a Slack workspace, in memory: people, teams, channels, messages, response URLs.

One event loop owns it and nothing awaits inside, so every method is atomic. `watch` tells the
browser pages that something changed; they read the whole again.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bot.playground.refusals import JsonObject, Refused

TEAM_ID = "T0PLAYGRND"
TEAM_DOMAIN = "playground"
APP_ID = "A0PLAYGRND"
BOT_ID = "B0PLAYGRND"
BOT_USER_ID = "U0PAOBOT00"
RESPONSE_URL_USES = 5
RESPONSE_URL_SECONDS = 30 * 60

Clock = Callable[[], float]
"""Seconds since the epoch."""


@dataclass(slots=True)
class Person:
    """A member of the workspace. `id` is a Slack user id, `tz` an IANA name."""

    id: str
    name: str
    real_name: str
    email: str
    tz: str = "Europe/Berlin"
    tz_offset: int = 3600
    is_admin: bool = False
    deleted: bool = False

    def as_slack(self) -> JsonObject:
        """Return the `user` object of users.info."""
        return {
            "id": self.id,
            "team_id": TEAM_ID,
            "name": self.name,
            "real_name": self.real_name,
            "deleted": self.deleted,
            "tz": self.tz,
            "tz_label": self.tz,
            "tz_offset": self.tz_offset,
            "is_admin": self.is_admin,
            "is_owner": False,
            "is_bot": False,
            "is_app_user": False,
            "is_restricted": False,
            "is_ultra_restricted": False,
            "updated": 1700000000,
            "profile": {
                "real_name": self.real_name,
                "real_name_normalized": self.real_name,
                "display_name": self.name,
                "display_name_normalized": self.name,
                "email": self.email,
                "team": TEAM_ID,
            },
        }


@dataclass(slots=True)
class UserGroup:
    """A Slack user group; its `handle` is the team's name."""

    id: str
    handle: str
    name: str
    members: list[str]

    def as_slack(self, *, include_users: bool) -> JsonObject:
        """Return the `usergroup` object of usergroups.list."""
        group: JsonObject = {
            "id": self.id,
            "team_id": TEAM_ID,
            "is_usergroup": True,
            "name": self.name,
            "handle": self.handle,
            "description": "",
            "is_external": False,
            "date_delete": 0,
            "user_count": len(self.members),
        }
        return {**group, "users": list(self.members)} if include_users else group


@dataclass(slots=True)
class Message:
    """One message; an ephemeral one has a single reader in `only_for`."""

    ts: str
    channel: str
    user: str
    text: str
    blocks: list[JsonObject]
    thread_ts: str | None = None
    only_for: str | None = None
    edited: str | None = None
    metadata: JsonObject | None = None

    def as_slack(self) -> JsonObject:
        """Return the `message` object of answers and payloads."""
        body: JsonObject = {"type": "message", "user": self.user, "ts": self.ts, "text": self.text}
        if self.user == BOT_USER_ID:
            body |= {"bot_id": BOT_ID, "app_id": APP_ID, "team": TEAM_ID}
        if self.blocks:
            body["blocks"] = self.blocks
        if self.thread_ts is not None:
            body["thread_ts"] = self.thread_ts
        if self.edited is not None:
            body["edited"] = {"user": self.user, "ts": self.edited}
        if self.metadata is not None:
            body["metadata"] = self.metadata
        return body


@dataclass(slots=True)
class Channel:
    """A channel, or the direct messages between the app and one person (`person`)."""

    id: str
    name: str
    members: list[str] = field(default_factory=list)
    person: str | None = None
    archived: bool = False
    messages: list[Message] = field(default_factory=list)

    def as_slack(self) -> JsonObject:
        """Return the `channel` object of conversations.info."""
        if self.person is not None:
            return {"id": self.id, "is_im": True, "user": self.person, "is_archived": False}
        return {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": True,
            "is_group": False,
            "is_im": False,
            "is_mpim": False,
            "is_private": False,
            "is_archived": self.archived,
            "is_general": self.name == "general",
            "is_member": BOT_USER_ID in self.members,
            "context_team_id": TEAM_ID,
            "num_members": len(self.members),
            "topic": {"value": "", "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
        }


@dataclass(slots=True)
class ResponseUrl:
    """Where an app may answer an interaction: five times within half an hour."""

    channel: str
    user: str
    expires_at: float
    message_ts: str | None = None
    thread_ts: str | None = None
    uses_left: int = RESPONSE_URL_USES


def default_people() -> list[Person]:
    """Two members of different teams and an admin."""
    return [
        Person("U0ALICE000", "alice", "Alice Martin", "alice@example.com"),
        Person("U0BOB00000", "bob", "Bob Okafor", "bob@example.com"),
        Person("U0CAROL000", "carol", "Carol Nguyen", "carol@example.com", is_admin=True),
    ]


def default_teams() -> list[UserGroup]:
    """One team for each of the default people."""
    return [
        UserGroup("S0PAYMENTS", "payments", "Payments", ["U0ALICE000"]),
        UserGroup("S0CHECKOUT", "checkout", "Checkout", ["U0BOB00000"]),
        UserGroup("S0PLATFORM", "platform", "Platform", ["U0CAROL000"]),
    ]


CHANNELS = (
    ("C0GENERAL0", "general", False),
    ("C0PLATFORM", "platform", True),
    ("C0REQUESTS", "requests", True),
)
"""Id, name, and whether the app was invited: in #general it is a guest by chat:write.public."""


class Workspace:
    """Everything that people and the app can see; lookups raise Slack's words as Refused."""

    def __init__(
        self, people: Sequence[Person], teams: Sequence[UserGroup], clock: Clock = time.time
    ) -> None:
        self.clock = clock
        self.people = {person.id: person for person in people}
        self.teams = {team.id: team for team in teams}
        self.channels: dict[str, Channel] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self._watchers: set[asyncio.Event] = set()
        self._last_microsecond = 0
        for channel_id, name, invited in CHANNELS:
            members = [*self.people, *([BOT_USER_ID] if invited else [])]
            self.channels[channel_id] = Channel(channel_id, name, members)
        for person_id in self.people:
            self.direct_messages(person_id)

    # Changes

    @contextmanager
    def watch(self) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever something changed; the watcher clears it."""
        watcher = asyncio.Event()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def changed(self) -> None:
        """Tell every watcher."""
        for watcher in self._watchers:
            watcher.set()

    # People and channels

    def person(self, person_id: object) -> Person:
        """Return a person; raises Refused(`user_not_found`)."""
        person = self.people.get(str(person_id))
        if person is None:
            raise Refused("user_not_found")
        return person

    def person_named(self, name: str) -> Person:
        """Return a person by id or user name; raises Refused(`user_not_found`)."""
        for person in self.people.values():
            if name in {person.id, person.name}:
                return person
        raise Refused("user_not_found")

    def channel(self, channel_id: object) -> Channel:
        """Return a channel by id, by #name, or the direct messages of a user id.

        Raises:
            Refused: `channel_not_found`.
        """
        wanted = str(channel_id)
        if wanted in self.channels:
            return self.channels[wanted]
        if wanted in self.people:
            return self.direct_messages(wanted)
        for channel in self.channels.values():
            if channel.person is None and channel.name == wanted.removeprefix("#"):
                return channel
        raise Refused("channel_not_found")

    def direct_messages(self, person_id: str) -> Channel:
        """Return the direct messages between the app and a person, opened where they are not."""
        channel_id = "D" + person_id[1:]
        if channel_id not in self.channels:
            self.channels[channel_id] = Channel(
                channel_id, "directmessage", [person_id, BOT_USER_ID], person=person_id
            )
        return self.channels[channel_id]

    # Messages

    def post(
        self,
        channel: Channel,
        user: str,
        text: str,
        blocks: list[JsonObject] | None = None,
        *,
        thread_ts: str | None = None,
        only_for: str | None = None,
        metadata: JsonObject | None = None,
    ) -> Message:
        """Add a message; blocks without a block_id get one. Raises `thread_not_found`."""
        if thread_ts is not None:
            thread_ts = self._root_of(channel, thread_ts)
        message = Message(
            ts=self.next_ts(),
            channel=channel.id,
            user=user,
            text=text,
            blocks=with_block_ids(blocks or []),
            thread_ts=thread_ts,
            only_for=only_for,
            metadata=metadata,
        )
        channel.messages.append(message)
        self.changed()
        return message

    def edit(self, message: Message, text: str | None, blocks: list[JsonObject] | None) -> None:
        """Change a message in place; what is None stays."""
        if text is not None:
            message.text = text
        if blocks is not None:
            message.blocks = with_block_ids(blocks)
        message.edited = self.next_ts()
        self.changed()

    def remove(self, message: Message) -> None:
        """Take a message away."""
        self.channels[message.channel].messages.remove(message)
        self.changed()

    def message(self, channel: Channel, ts: object) -> Message:
        """Return a message; raises Refused(`message_not_found`)."""
        for message in channel.messages:
            if message.ts == ts:
                return message
        raise Refused("message_not_found")

    def visible(self, channel: Channel, user: str) -> list[Message]:
        """Return what a person sees: everybody's messages and their own ephemeral ones."""
        return [message for message in channel.messages if message.only_for in {None, user}]

    def _root_of(self, channel: Channel, ts: str) -> str:
        try:
            found = self.message(channel, ts)
        except Refused as refused:
            raise Refused("thread_not_found") from refused
        return found.thread_ts or found.ts

    def next_ts(self) -> str:
        """Return a time stamp that no other message has; grows always."""
        self._last_microsecond = max(int(self.clock() * 1e6), self._last_microsecond + 1)
        seconds, microseconds = divmod(self._last_microsecond, 10**6)
        return f"{seconds}.{microseconds:06d}"

    def continue_after(self, stamps: Iterable[str]) -> None:
        """Make time stamps later than these."""
        for stamp in stamps:
            seconds, _, microseconds = stamp.partition(".")
            known = int(seconds) * 10**6 + int(microseconds or 0)
            self._last_microsecond = max(self._last_microsecond, known)

    # Response URLs

    def open_response_url(self, channel: Channel, user: str, message: Message | None = None) -> str:
        """Make a response URL's key, for answers to a command or to a click on `message`."""
        now = self.clock()
        expired = [key for key, url in self.response_urls.items() if url.expires_at <= now]
        for old in expired:
            del self.response_urls[old]
        key = secrets.token_urlsafe(18)
        self.response_urls[key] = ResponseUrl(
            channel=channel.id,
            user=user,
            expires_at=now + RESPONSE_URL_SECONDS,
            message_ts=message.ts if message else None,
            thread_ts=message.thread_ts if message else None,
        )
        return key

    def use_response_url(self, key: str) -> ResponseUrl:
        """Count one use; raises Refused(`expired_url` or `used_url`)."""
        url = self.response_urls.get(key)
        if url is None or url.expires_at <= self.clock():
            raise Refused("expired_url")
        if url.uses_left == 0:
            raise Refused("used_url")
        url.uses_left -= 1
        return url


def with_block_ids(blocks: list[JsonObject]) -> list[JsonObject]:
    """Return the blocks with ids made for blocks and elements that carry none."""
    return [_with_ids(block) for block in blocks]


def _with_ids(block: JsonObject) -> JsonObject:
    named = {**block, "block_id": block.get("block_id") or secrets.token_urlsafe(4)[:5]}
    for place in ("accessory", "element"):
        if place in named:
            named[place] = _with_action_id(named[place])
    if named["type"] == "actions":
        named["elements"] = [_with_action_id(element) for element in named["elements"]]
    return named


def _with_action_id(element: JsonObject) -> JsonObject:
    if element["type"] == "image" or "action_id" in element:
        return element
    return {**element, "action_id": secrets.token_urlsafe(4)[:5]}
