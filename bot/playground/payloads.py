"""The payloads that Slack sends to an app, field by field.

Source: docs.slack.dev/reference/interaction-payloads and docs.slack.dev/reference/events. Actions
in modals and in the App Home carry no channel and no response_url; a block_suggestion carries no
state; an ephemeral message is not sent along with the click on it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from bot.playground.inputs import State, state_values
from bot.playground.workspace import (
    APP_ID,
    BOT_USER_ID,
    TEAM_DOMAIN,
    TEAM_ID,
    Channel,
    Message,
    Person,
)

if TYPE_CHECKING:
    from bot.playground.refusals import JsonObject
    from bot.playground.views import View

VERIFICATION = "playground"
"""The verification token: deprecated by Slack, sent all the same."""


def command(
    person: Person, channel: Channel, name: str, text: str, *, trigger_id: str, response_url: str
) -> JsonObject:
    """Return the form fields of a slash command."""
    return {
        "token": VERIFICATION,
        "team_id": TEAM_ID,
        "team_domain": TEAM_DOMAIN,
        "channel_id": channel.id,
        "channel_name": channel.name,
        "user_id": person.id,
        "user_name": person.name,
        "command": name,
        "text": text,
        "api_app_id": APP_ID,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id,
    }


def message_action(
    person: Person,
    channel: Channel,
    message: Message,
    action: JsonObject,
    state: State,
    *,
    trigger_id: str,
    response_url: str,
) -> JsonObject:
    """Return block_actions from a message."""
    ephemeral = message.only_for is not None
    container: JsonObject = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": channel.id,
        "is_ephemeral": ephemeral,
    }
    if message.thread_ts is not None:
        container["thread_ts"] = message.thread_ts
    payload = {
        **_interaction("block_actions", person),
        "container": container,
        "trigger_id": trigger_id,
        "channel": {"id": channel.id, "name": channel.name},
        "state": {"values": state_values(state) or {}},
        "response_url": response_url,
        "actions": [action],
    }
    return payload if ephemeral else {**payload, "message": message.as_slack()}


def view_action(person: Person, view: View, action: JsonObject, *, trigger_id: str) -> JsonObject:
    """Return block_actions from a modal or the App Home."""
    return {
        **_interaction("block_actions", person),
        "container": {"type": "view", "view_id": view.id},
        "trigger_id": trigger_id,
        "view": view.as_slack(),
        "actions": [action],
    }


def suggestion(
    person: Person, action_id: str, block_id: str, typed: str, where: JsonObject
) -> JsonObject:
    """Return block_suggestion; `where` holds the container and the view or the message."""
    return {
        **_interaction("block_suggestion", person),
        "action_id": action_id,
        "block_id": block_id,
        "value": typed,
        **where,
    }


def submission(
    person: Person, view: View, *, trigger_id: str, response_urls: list[JsonObject]
) -> JsonObject:
    """Return view_submission."""
    return {
        **_interaction("view_submission", person),
        "trigger_id": trigger_id,
        "view": view.as_slack(),
        "response_urls": response_urls,
    }


def closed(person: Person, view: View, *, is_cleared: bool) -> JsonObject:
    """Return view_closed."""
    return {
        **_interaction("view_closed", person),
        "view": view.as_slack(),
        "is_cleared": is_cleared,
    }


def shortcut(person: Person, callback_id: str, *, trigger_id: str, action_ts: str) -> JsonObject:
    """Return a global shortcut."""
    return {
        **_interaction("shortcut", person),
        "callback_id": callback_id,
        "trigger_id": trigger_id,
        "action_ts": action_ts,
    }


def event(content: JsonObject, *, event_time: int) -> JsonObject:
    """Return the callback around an event."""
    return {
        "token": VERIFICATION,
        "team_id": TEAM_ID,
        "api_app_id": APP_ID,
        "event": content,
        "type": "event_callback",
        "event_id": "Ev" + secrets.token_hex(5).upper(),
        "event_time": event_time,
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": TEAM_ID,
                "user_id": BOT_USER_ID,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": secrets.token_hex(8),
    }


def _interaction(kind: str, person: Person) -> JsonObject:
    return {
        "type": kind,
        "team": {"id": TEAM_ID, "domain": TEAM_DOMAIN},
        "user": {
            "id": person.id,
            "username": person.name,
            "name": person.name,
            "team_id": TEAM_ID,
        },
        "api_app_id": APP_ID,
        "token": VERIFICATION,
        "enterprise": None,
        "is_enterprise_install": False,
    }
