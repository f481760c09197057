"""The ticket system `folder`: a ticket is a JSON file, its `status` is edited by people."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, ClassVar, cast, get_args

from pydantic import BaseModel

from engine.errors import StepFailed
from engine.steps.services import StepServices
from engine.steps.templates import RenderedTemplate, RenderedText
from engine.tickets.base import Ticket, TicketDraft, TicketStatus


class FolderTemplate(RenderedTemplate):
    """What stands in the file besides the description."""

    summary: RenderedText


class FolderTickets:
    """Files under DATA_DIR/tickets. The key is the name, so a second try finds the first one's."""

    name: ClassVar[str] = "folder"
    template_model: ClassVar[type[BaseModel]] = FolderTemplate
    can_follow: ClassVar[bool] = True

    def __init__(self, services: StepServices) -> None:
        self._folder = services.data_dir / "tickets"

    async def create(self, draft: TicketDraft) -> Ticket:
        """Find the file of the draft's key or write it."""
        file = self._file(draft.key)
        content = {"summary": draft.summary, "description": draft.description, "status": "open"}
        await asyncio.to_thread(_write_new, file, content)
        return await self.follow(Ticket(draft.key, file.as_uri(), "open"))

    async def follow(self, ticket: Ticket) -> Ticket:
        """Read the status. A file that somebody is just writing is read again later."""
        try:
            content = json.loads(await asyncio.to_thread(self._file(ticket.ticket_id).read_text))
        except (OSError, ValueError) as error:
            raise StepFailed("unreadable", f"The ticket cannot be read: {error}") from error
        said = content.get("status")
        status = cast(TicketStatus, said if said in get_args(TicketStatus) else "open")
        return Ticket(ticket.ticket_id, ticket.url, status, str(said))

    async def comment(self, ticket: Ticket, text: str, *, close: bool = False) -> None:
        """Write the comment beside the status."""
        file = self._file(ticket.ticket_id)
        content = json.loads(await asyncio.to_thread(file.read_text))
        content["comments"] = [*content.get("comments", []), text]
        content["status"] = "closed" if close else content["status"]
        await asyncio.to_thread(file.write_text, json.dumps(content, indent=2))

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def _write_new(file: Path, content: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x") as new:
            json.dump(content, new, indent=2)
    except FileExistsError:
        return
