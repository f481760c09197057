"""approval: a step that waits for people between other steps.

    - name: agree
      type: approval
      template:
        approvers: [{usergroup: dba}]
        message: "{{ steps.plan.outputs.summary }}"
        fields: [{name: window, type: string}]

`start` asks and lets go; the decision makes the step due, and `poll` reads what came of it. In
between the step holds nothing: it looks by itself at growing intervals, in case its time was not
moved (a decision that fell between the question and the end of the turn that asked). The question
has the attempt group's key, so a turn that is repeated asks once, and a retry asks anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol

from pydantic import BaseModel, Field

from engine.errors import StepFailed
from engine.steps.base import Completed, Outcome, StepContext, Waiting
from engine.steps.services import StepServices
from engine.steps.templates import RenderedTemplate, RenderedText, Seconds, read_template

FIRST_LOOK: Final = 2.0
LONGEST_LOOK: Final = 3600.0
"""Seconds between two looks: from the first, doubling, to the longest."""

OVERDUE_LOOK: Final = 30.0
"""Seconds until the next look at an approval whose time is over and that nobody has ended yet."""

LOOKS: Final = "looks"
"""Key in `external`: how often the step has looked."""


class ApprovalTemplate(RenderedTemplate):
    """Whom the step waits for; `expires` in seconds, `fields` as written."""

    approvers: Annotated[tuple[dict[str, RenderedText], ...], Field(min_length=1)]
    count: Annotated[int, Field(ge=1)] = 1
    expires: Seconds | None = None
    message: RenderedText | None = None
    fields: tuple[dict[str, Any], ...] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How the approval of a step stands. `seconds_left` until it expires; `outputs` once approved."""

    status: Literal["waiting", "approved", "rejected", "expired", "withdrawn"]
    seconds_left: float | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    sensitive: frozenset[str] = frozenset()
    rejected_by: str | None = None
    reason: str | None = None


class ApprovalDesk(Protocol):
    """Where a step asks for its approval and learns what came of it."""

    async def ask(self, context: StepContext, template: ApprovalTemplate) -> Standing:
        """Ask, once by the context's key; StepFailed where nobody could approve."""

    async def look(self, key: str) -> Standing:
        """Return how the approval of a key stands."""

    async def withdraw(self, key: str) -> None:
        """Take the question back."""


class Approval:
    """Waits until enough people have approved."""

    name: ClassVar[str] = "approval"
    template_model: ClassVar[type[BaseModel]] = ApprovalTemplate
    verifications: ClassVar[frozenset[str]] = frozenset()
    outputs: ClassVar[frozenset[str] | None] = None

    def __init__(self, services: StepServices) -> None:
        self._desk = services.approvals

    async def start(self, context: StepContext) -> Outcome:
        """Ask the people of the template."""
        template = read_template(ApprovalTemplate, context.template)
        return _outcome(context, await self._open_desk().ask(context, template))

    async def poll(self, context: StepContext) -> Outcome:
        """Look whether they have decided."""
        return _outcome(context, await self._open_desk().look(context.idempotency_key))

    async def cancel(self, context: StepContext) -> None:
        """Take the question back."""
        await self._open_desk().withdraw(context.idempotency_key)

    def _open_desk(self) -> ApprovalDesk:
        if self._desk is None:
            raise StepFailed("no_approvals", "Nobody can be asked here", kind="permanent")
        return self._desk


def _outcome(context: StepContext, standing: Standing) -> Outcome:
    match standing.status:
        case "approved":
            return Completed(standing.outputs, sensitive=standing.sensitive)
        case "waiting":
            return _wait(context, standing)
        case "rejected":
            message = f"{standing.rejected_by} rejected it: {standing.reason}"
        case "expired":
            message = "Nobody approved it in time"
        case _:
            message = "The approval is not asked for any more"
    raise StepFailed(f"approval_{standing.status}", message, kind="permanent")


def _wait(context: StepContext, standing: Standing) -> Waiting:
    looks = int(context.external.get(LOOKS, 0))
    delay = min(FIRST_LOOK * 2 ** min(looks, 20), LONGEST_LOOK)
    left = standing.seconds_left
    if left is not None:
        delay = min(delay, left + 0.05 if left > 0 else OVERDUE_LOOK)
    return Waiting(delay, {LOOKS: looks + 1})
