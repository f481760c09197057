"""The methods of the Web API: one function each, its scope and its arguments beside it.

Source: docs.slack.dev/reference/methods. Attachments, the elder of blocks, are not taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bot.playground.limits import check_message, check_view
from bot.playground.refusals import JsonObject, Refused
from bot.playground.web_api import Caller, Handler, Method, WebApi
from bot.playground.workspace import (
    APP_ID,
    BOT_ID,
    BOT_USER_ID,
    TEAM_DOMAIN,
    TEAM_ID,
    Channel,
    Message,
)

if TYPE_CHECKING:
    from bot.playground.views import View

METHODS: dict[str, Method] = {}
"""Every method by its name."""


def method(
    name: str,
    required: str = "",
    optional: str = "",
    *,
    scope: str | None = None,
    caller: Caller = "bot",
) -> Callable[[Handler], Handler]:
    """Register a method; arguments are words separated by spaces."""

    def register(handler: Handler) -> Handler:
        METHODS[name] = Method(
            handler, scope, frozenset(required.split()), frozenset(optional.split()), caller
        )
        return handler

    return register


# api, auth, apps


@method("api.test", optional="error foo", caller="anybody")
def _api_test(_api: WebApi, given: JsonObject) -> JsonObject:
    if given.get("error"):
        raise Refused(str(given["error"]))
    return {"args": given}


@method("auth.test")
def _auth_test(api: WebApi, _given: JsonObject) -> JsonObject:
    return {
        "url": api.base_url,
        "team": TEAM_DOMAIN,
        "user": api.installation.name.lower(),
        "team_id": TEAM_ID,
        "user_id": BOT_USER_ID,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


@method("apps.connections.open", caller="app")
def _apps_connections_open(api: WebApi, _given: JsonObject) -> JsonObject:
    ticket = api.sockets.issue_ticket()
    address = api.base_url.replace("http://", "ws://")
    return {"url": f"{address}link/?ticket={ticket}&app_id={APP_ID}"}


# chat


_CONTENT = "text blocks metadata mrkdwn parse link_names unfurl_links unfurl_media"


@method(
    "chat.postMessage",
    "channel",
    f"{_CONTENT} thread_ts reply_broadcast username icon_emoji icon_url",
    scope="chat:write",
)
def _chat_post_message(api: WebApi, given: JsonObject) -> JsonObject:
    channel = _writable(api, given["channel"], guest=api.has_scope("chat:write.public"))
    text, blocks = check_message(given)
    message = api.workspace.post(
        channel,
        BOT_USER_ID,
        text or "",
        blocks,
        thread_ts=given.get("thread_ts"),
        metadata=given.get("metadata"),
    )
    return {"channel": channel.id, "ts": message.ts, "message": message.as_slack()}


@method("chat.postEphemeral", "channel user", f"{_CONTENT} thread_ts", scope="chat:write")
def _chat_post_ephemeral(api: WebApi, given: JsonObject) -> JsonObject:
    channel = _writable(api, given["channel"], guest=False)
    person = api.workspace.people.get(str(given["user"]))
    if person is None or person.id not in channel.members:
        raise Refused("user_not_in_channel")
    text, blocks = check_message(given)
    message = api.workspace.post(
        channel,
        BOT_USER_ID,
        text or "",
        blocks,
        thread_ts=given.get("thread_ts"),
        only_for=person.id,
    )
    return {"message_ts": message.ts}


@method("chat.update", "channel ts", f"{_CONTENT} reply_broadcast", scope="chat:write")
def _chat_update(api: WebApi, given: JsonObject) -> JsonObject:
    message = _own_message(api, given)
    text, blocks = check_message(given)
    api.workspace.edit(message, text, blocks)
    return {
        "channel": message.channel,
        "ts": message.ts,
        "text": message.text,
        "message": message.as_slack(),
    }


@method("chat.delete", "channel ts", scope="chat:write")
def _chat_delete(api: WebApi, given: JsonObject) -> JsonObject:
    message = _own_message(api, given, word="cant_delete_message")
    api.workspace.remove(message)
    return {"channel": message.channel, "ts": message.ts}


@method("chat.getPermalink", "channel message_ts")
def _chat_get_permalink(api: WebApi, given: JsonObject) -> JsonObject:
    channel = api.workspace.channel(given["channel"])
    message = api.workspace.message(channel, given["message_ts"])
    link = f"{api.base_url}archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.thread_ts is not None:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def _writable(api: WebApi, channel_id: Any, *, guest: bool) -> Channel:
    channel = api.workspace.channel(channel_id)
    if channel.archived:
        raise Refused("is_archived")
    if BOT_USER_ID not in channel.members and not guest:
        raise Refused("not_in_channel")
    return channel


def _own_message(api: WebApi, given: JsonObject, word: str = "cant_update_message") -> Message:
    channel = api.workspace.channel(given["channel"])
    if channel.archived:
        raise Refused("is_archived")
    message = api.workspace.message(channel, given["ts"])
    if message.only_for is not None:
        raise Refused("message_not_found")
    if message.user != BOT_USER_ID:
        raise Refused(word)
    return message


# views


@method("views.open", "trigger_id view")
def _views_open(api: WebApi, given: JsonObject) -> JsonObject:
    check_view(given["view"], "modal")
    return _shown(api, api.views.open(given["trigger_id"], given["view"]))


@method("views.push", "trigger_id view")
def _views_push(api: WebApi, given: JsonObject) -> JsonObject:
    check_view(given["view"], "modal")
    return _shown(api, api.views.push(given["trigger_id"], given["view"]))


@method("views.update", "view", "view_id external_id hash")
def _views_update(api: WebApi, given: JsonObject) -> JsonObject:
    check_view(given["view"], "modal")
    view = api.views.update(
        given["view"],
        view_id=given.get("view_id"),
        external_id=given.get("external_id"),
        known_hash=given.get("hash"),
    )
    return _shown(api, view)


@method("views.publish", "user_id view", "hash")
def _views_publish(api: WebApi, given: JsonObject) -> JsonObject:
    check_view(given["view"], "home")
    person = api.workspace.person(given["user_id"])
    return _shown(api, api.views.publish(person.id, given["view"], given.get("hash")))


def _shown(api: WebApi, view: View) -> JsonObject:
    api.workspace.changed()
    return {"view": view.as_slack()}


# users and user groups


@method("users.info", "user", "include_locale", scope="users:read")
def _users_info(api: WebApi, given: JsonObject) -> JsonObject:
    return {"user": _profile(api, given["user"])}


@method("users.list", optional="cursor limit include_locale", scope="users:read")
def _users_list(api: WebApi, given: JsonObject) -> JsonObject:
    members = [_profile(api, person_id) for person_id in api.workspace.people]
    return {"cache_ts": 0, **_page(given, "members", members)}


@method(
    "usergroups.list",
    optional="include_count include_disabled include_users",
    scope="usergroups:read",
)
def _usergroups_list(api: WebApi, given: JsonObject) -> JsonObject:
    include_users = given.get("include_users", False)
    teams = api.workspace.teams.values()
    return {"usergroups": [team.as_slack(include_users=include_users) for team in teams]}


@method("usergroups.users.list", "usergroup", "include_disabled", scope="usergroups:read")
def _usergroups_users_list(api: WebApi, given: JsonObject) -> JsonObject:
    team = api.workspace.teams.get(str(given["usergroup"]))
    if team is None:
        raise Refused("no_such_subteam")
    return {"users": list(team.members)}


def _profile(api: WebApi, person_id: Any) -> JsonObject:
    profile = api.workspace.person(person_id).as_slack()
    if not api.has_scope("users:read.email"):
        del profile["profile"]["email"]
    return profile


# conversations


@method(
    "conversations.info", "channel", "include_locale include_num_members", scope="channels:read"
)
def _conversations_info(api: WebApi, given: JsonObject) -> JsonObject:
    return {"channel": api.workspace.channel(given["channel"]).as_slack()}


@method(
    "conversations.list",
    optional="cursor limit types exclude_archived",
    scope="channels:read",
)
def _conversations_list(api: WebApi, given: JsonObject) -> JsonObject:
    kinds = str(given.get("types", "public_channel")).split(",")
    channels = [
        channel.as_slack()
        for channel in api.workspace.channels.values()
        if ("im" if channel.person else "public_channel") in kinds
        and not (channel.archived and given.get("exclude_archived"))
    ]
    return _page(given, "channels", channels)


@method("conversations.open", optional="users channel return_im prevent_creation", scope="im:write")
def _conversations_open(api: WebApi, given: JsonObject) -> JsonObject:
    users = given.get("users", [])
    names = users.split(",") if isinstance(users, str) else users
    if len(names) != 1:
        raise Refused("users_list_not_supplied" if not names else "too_many_users")
    channel = api.workspace.direct_messages(api.workspace.person(names[0]).id)
    return {"channel": channel.as_slack() if given.get("return_im") else {"id": channel.id}}


@method("conversations.join", "channel", scope="channels:join")
def _conversations_join(api: WebApi, given: JsonObject) -> JsonObject:
    channel = api.workspace.channel(given["channel"])
    if channel.archived:
        raise Refused("is_archived")
    if channel.person is not None:
        raise Refused("method_not_supported_for_channel_type")
    if BOT_USER_ID not in channel.members:
        channel.members.append(BOT_USER_ID)
        api.workspace.changed()
    return {"channel": channel.as_slack()}


@method("conversations.members", "channel", "cursor limit", scope="channels:read")
def _conversations_members(api: WebApi, given: JsonObject) -> JsonObject:
    return _page(given, "members", api.workspace.channel(given["channel"]).members)


def _page(given: JsonObject, key: str, items: list[Any]) -> JsonObject:
    """Cut a page out of a list; the cursor is the number of the next item."""
    start, limit = given.get("cursor") or "0", int(given.get("limit") or 100)
    if not str(start).isdigit():
        raise Refused("invalid_cursor")
    end = int(start) + limit
    more = str(end) if end < len(items) else ""
    return {key: items[int(start) : end], "response_metadata": {"next_cursor": more}}
