"""manual: a step that a person does, asked for by a ticket of its own.

The engine plans it where a component of a bundle has no automation, and where a decommission leaves
something to be cleaned up by hand; documents cannot name it.

    start ──asks for the ticket──> waits, holding nothing ──ticket resolved, or `resolve`──> completed

Whoever ends it does so in the transaction that notes the ticket (engine/requests/manual.py); `poll`
looks now and then, in case that transaction fell between the question and the end of the turn.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal, Protocol, cast

from pydantic import BaseModel

from engine.errors import StepFailed
from engine.steps.base import Completed, Outcome, StepContext, Waiting
from engine.steps.services import StepServices
from engine.steps.templates import RenderedTemplate

LOOK_SECONDS: Final = 6 * 3600.0
"""Between two looks at whether the ticket is done."""

Purpose = Literal["fulfillment", "cleanup"]


class ManualTemplate(RenderedTemplate):
    """Nothing: what the ticket says stands in the document's manual section."""


class ManualDesk(Protocol):
    """Where a step asks for its ticket."""

    async def ask(self, context: StepContext, purpose: Purpose) -> None:
        """Ask, once by the context's key; StepFailed where the document names no ticket system."""

    async def is_done(self, context: StepContext) -> bool:
        """Say whether the ticket of the context's key is resolved."""


class Manual:
    """Waits until somebody has done the work."""

    name: ClassVar[str] = "manual"
    template_model: ClassVar[type[BaseModel]] = ManualTemplate
    verifications: ClassVar[frozenset[str]] = frozenset()
    outputs: ClassVar[frozenset[str] | None] = None

    def __init__(self, services: StepServices) -> None:
        self._desk = services.manual

    async def start(self, context: StepContext) -> Outcome:
        """Ask for the ticket; its type stands in the step's `type`."""
        if self._desk is None:
            raise StepFailed("no_tickets", "Nobody can be asked here", kind="permanent")
        purpose = context.config.get("type", "fulfillment")
        await self._desk.ask(context, cast("Purpose", purpose))
        return await self.poll(context)

    async def poll(self, context: StepContext) -> Outcome:
        """Look whether the ticket is done."""
        if self._desk is not None and await self._desk.is_done(context):
            return Completed()
        return Waiting(LOOK_SECONDS, {})

    async def cancel(self, context: StepContext) -> None:
        """Nothing runs: whoever ends the request gives its tickets up."""
