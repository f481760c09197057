"""Response URLs: where an app answers a command or a click without a token.

Source: docs.slack.dev/interactivity/handling-user-interaction#message_responses.
"""

from __future__ import annotations

from bot.playground.limits import check_message
from bot.playground.refusals import JsonObject, Refused
from bot.playground.workspace import BOT_USER_ID, Message, ResponseUrl, Workspace

_FIELDS = {
    "text",
    "blocks",
    "response_type",
    "replace_original",
    "delete_original",
    "thread_ts",
    "mrkdwn",
    "metadata",
    "unfurl_links",
    "unfurl_media",
}


def respond(workspace: Workspace, key: str, body: JsonObject) -> None:
    """Post, replace or delete as the app says; raises Refused with Slack's word."""
    unknown = sorted(set(body) - _FIELDS)
    if unknown:
        raise Refused("invalid_arguments", [f"no such argument: {name}" for name in unknown])
    url = workspace.use_response_url(key)
    original = _original(workspace, url)
    if body.get("delete_original"):
        if original is not None:
            workspace.remove(original)
        return
    text, blocks = check_message(body)
    if body.get("replace_original") and original is not None:
        workspace.edit(original, text or "", blocks or [])
        return
    posted = workspace.post(
        workspace.channel(url.channel),
        BOT_USER_ID,
        text or "",
        blocks,
        thread_ts=body.get("thread_ts") or url.thread_ts,
        only_for=None if body.get("response_type") == "in_channel" else url.user,
    )
    if url.message_ts is None:
        url.message_ts = posted.ts


def _original(workspace: Workspace, url: ResponseUrl) -> Message | None:
    if url.message_ts is None:
        return None
    try:
        return workspace.message(workspace.channel(url.channel), url.message_ts)
    except Refused:
        return None
