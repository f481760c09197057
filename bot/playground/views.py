"""Modals and the App Home: triggers that open them, stacks, hashes, ids.

A trigger is good for one view within three seconds. A person has one stack of at most three
modals. Every change of a view gives it a new hash; an update that names an old one is refused.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from bot.playground.inputs import State, carry_over, initial_state, state_values
from bot.playground.refusals import JsonObject, Refused
from bot.playground.workspace import APP_ID, BOT_ID, TEAM_ID, Clock, with_block_ids

TRIGGER_SECONDS = 3.0
FORGOTTEN_SECONDS = 600.0
"""A trigger of so long ago is unknown rather than expired."""

STACK = 3


@dataclass(slots=True)
class Trigger:
    """What lets an app open one view for one person."""

    user: str
    expires_at: float
    from_modal: bool
    used: bool = False


@dataclass(slots=True)
class View:
    """One open modal, or one person's App Home, with what was typed into it so far."""

    id: str
    user: str
    content: JsonObject
    hash: str
    root_id: str
    previous_id: str | None = None
    state: State = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    trouble: str | None = None

    @property
    def blocks(self) -> list[JsonObject]:
        """The view's blocks, every one with its id."""
        blocks: list[JsonObject] = self.content["blocks"]
        return blocks

    def as_slack(self, *, with_state: bool = True) -> JsonObject:
        """Return the `view` object of answers and payloads."""
        content = self.content
        body: JsonObject = {
            "id": self.id,
            "team_id": TEAM_ID,
            "type": content["type"],
            "blocks": self.blocks,
            "private_metadata": content.get("private_metadata", ""),
            "callback_id": content.get("callback_id", ""),
            "state": {"values": state_values(self.state) if with_state else {}},
            "hash": self.hash,
            "title": content.get("title") or {"type": "plain_text", "text": "View Title"},
            "clear_on_close": content.get("clear_on_close", False),
            "notify_on_close": content.get("notify_on_close", False),
            "close": content.get("close"),
            "submit": content.get("submit"),
            "previous_view_id": self.previous_id,
            "root_view_id": self.root_id,
            "app_id": APP_ID,
            "external_id": content.get("external_id", ""),
            "app_installed_team_id": TEAM_ID,
            "bot_id": BOT_ID,
        }
        return body


class Views:
    """Every open view of the workspace."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._triggers: dict[str, Trigger] = {}
        self.stacks: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}

    # Triggers

    def pull_trigger(self, user: str, *, from_modal: bool = False) -> str:
        """Make a trigger_id for what a person just did."""
        now = self._clock()
        self._forget_triggers(before=now - FORGOTTEN_SECONDS)
        key = f"{int(now * 1000)}.{secrets.randbelow(10**10)}.{secrets.token_hex(16)}"
        self._triggers[key] = Trigger(user, now + TRIGGER_SECONDS, from_modal)
        return key

    def _forget_triggers(self, before: float) -> None:
        old = [key for key, trigger in self._triggers.items() if trigger.expires_at < before]
        for key in old:
            del self._triggers[key]

    def _exchange(self, trigger_id: object) -> Trigger:
        trigger = self._triggers.get(str(trigger_id))
        if trigger is None:
            raise Refused("invalid_trigger_id")
        if trigger.used:
            raise Refused("exchanged_trigger_id")
        if trigger.expires_at <= self._clock():
            raise Refused("expired_trigger_id")
        trigger.used = True
        return trigger

    # What an app does

    def open(self, trigger_id: object, content: JsonObject) -> View:
        """Open the root of a new stack; raises Refused for a trigger or an external_id."""
        self._refuse_taken(content)
        trigger = self._exchange(trigger_id)
        view = self._new(trigger.user, content)
        self.stacks[trigger.user] = [view]
        return view

    def push(self, trigger_id: object, content: JsonObject) -> View:
        """Put a view on top of the person's stack; raises `push_limit_reached` over three."""
        self._refuse_taken(content)
        trigger = self._exchange(trigger_id)
        if not trigger.from_modal or not self.stacks.get(trigger.user):
            raise Refused("not_found")
        return self.push_for(trigger.user, content)

    def push_for(self, user: str, content: JsonObject) -> View:
        """Put a view on top of a person's stack, without a trigger (response_action)."""
        stack = self.stacks.setdefault(user, [])
        if len(stack) >= STACK:
            raise Refused("push_limit_reached")
        view = self._new(user, content, below=stack[-1] if stack else None)
        stack.append(view)
        return view

    def update(
        self,
        content: JsonObject,
        *,
        view_id: str | None = None,
        external_id: str | None = None,
        known_hash: str | None = None,
    ) -> View:
        """Replace a view in place; what was typed stays where both ids stay."""
        view = self.find(view_id=view_id, external_id=external_id)
        self._refuse_taken(content, beside=view)
        if known_hash is not None and known_hash != view.hash:
            raise Refused("hash_conflict")
        return self._replace(view, content)

    def publish(self, user: str, content: JsonObject, known_hash: str | None = None) -> View:
        """Set a person's App Home; raises `hash_conflict`."""
        home = self.homes.get(user)
        self._refuse_taken(content, beside=home)
        if home is None:
            self.homes[user] = self._new(user, content)
            return self.homes[user]
        if known_hash is not None and known_hash != home.hash:
            raise Refused("hash_conflict")
        return self._replace(home, content)

    def find(self, *, view_id: str | None = None, external_id: str | None = None) -> View:
        """Return an open view by one of its ids; raises Refused(`not_found`)."""
        for view in self._open():
            if view.id == view_id or (external_id and _external_id(view) == external_id):
                return view
        raise Refused("not_found")

    # What a person does

    def close(self, view: View) -> list[View]:
        """Close a view, or the whole stack where it says clear_on_close; return the closed."""
        if view.content.get("clear_on_close"):
            return self.clear(view.user)
        stack = self.stacks.get(view.user, [])
        if view in stack:
            stack.remove(view)
        return [view]

    def clear(self, user: str) -> list[View]:
        """Close every modal of a person; return them, top first."""
        return list(reversed(self.stacks.pop(user, [])))

    def _open(self) -> list[View]:
        stacked = [view for stack in self.stacks.values() for view in stack]
        return [*stacked, *self.homes.values()]

    def _new(self, user: str, content: JsonObject, below: View | None = None) -> View:
        content = {**content, "blocks": with_block_ids(content["blocks"])}
        view_id = "V" + secrets.token_hex(5).upper()
        return View(
            id=view_id,
            user=user,
            content=content,
            hash=self._new_hash(),
            root_id=below.root_id if below else view_id,
            previous_id=below.id if below else None,
            state=initial_state(content["blocks"]),
        )

    def _replace(self, view: View, content: JsonObject) -> View:
        view.content = {**content, "blocks": with_block_ids(content["blocks"])}
        view.state = carry_over(view.state, view.blocks)
        view.errors = {}
        view.trouble = None
        view.hash = self._new_hash()
        return view

    def _refuse_taken(self, content: JsonObject, beside: View | None = None) -> None:
        wanted = content.get("external_id")
        taken = {_external_id(view) for view in self._open() if view is not beside}
        if wanted and wanted in taken:
            raise Refused("duplicate_external_id")

    def _new_hash(self) -> str:
        return f"{int(self._clock())}.{secrets.token_hex(4)}"


def _external_id(view: View) -> str:
    return str(view.content.get("external_id", ""))
