"""What the workspace remembers over a restart: the messages that everybody saw, and nothing else.

A bot that goes on with a request edits the card that it posted before; it can only do so where the
workspace still has that card. Modals, Homes, triggers and ephemeral messages end with the process,
as they do when somebody loads Slack anew.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Protocol

from bot.playground.workspace import Channel, Message, Workspace

KEPT = 1000
"""Messages of a channel, the newest."""

PAUSE_SECONDS = 0.5
"""Between two writings: many changes become one."""

_STAMP = re.compile(r"\d{1,12}\.\d{6}")


class Memory(Protocol):
    """Where a JSON object is kept as a whole."""

    def read(self) -> Mapping[str, Any]:
        """Return what was kept; nothing where nothing was."""
        ...

    def keep(self, state: Mapping[str, Any]) -> None:
        """Replace what was kept."""
        ...


def restore(workspace: Workspace, kept: Mapping[str, Any]) -> None:
    """Put kept messages back; one that is not of this release is left out."""
    messages = kept.get("messages")
    for channel_id, rows in messages.items() if isinstance(messages, dict) else ():
        channel = workspace.channels.get(channel_id)
        if channel is not None and isinstance(rows, list):
            channel.messages = [message for row in rows if (message := _message(row)) is not None]
    workspace.continue_after(
        message.ts for channel in workspace.channels.values() for message in channel.messages
    )


async def remember(workspace: Workspace, memory: Memory) -> None:
    """Keep the messages after each change; never ends by itself."""
    with workspace.watch() as changed:
        while True:
            await changed.wait()
            await asyncio.sleep(PAUSE_SECONDS)
            changed.clear()
            await asyncio.to_thread(memory.keep, state_of(workspace))


def state_of(workspace: Workspace) -> dict[str, Any]:
    """Return what is kept of a workspace."""
    return {
        "messages": {
            channel.id: [asdict(message) for message in _public(channel)]
            for channel in workspace.channels.values()
        }
    }


def _public(channel: Channel) -> list[Message]:
    return [message for message in channel.messages if message.only_for is None][-KEPT:]


def _message(row: object) -> Message | None:
    if not isinstance(row, dict) or row.keys() != {one.name for one in fields(Message)}:
        return None
    texts = (row["ts"], row["channel"], row["user"], row["text"])
    if not all(isinstance(one, str) for one in texts) or not isinstance(row["blocks"], list):
        return None
    return Message(**row) if _STAMP.fullmatch(row["ts"]) else None
