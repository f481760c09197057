"""backup_completion: an output says that a backup is complete, or says where to ask.

An output that is an address is asked until the answer's `status` (or `state`) says so; any other
value is final, since outputs do not change any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from pydantic import BaseModel

from engine.errors import StepFailed
from engine.outbound import Outbound
from engine.steps.base import Completed, Json, StepContext
from engine.steps.services import StepServices
from engine.steps.templates import Seconds
from engine.verifications.base import Verdict
from engine.verifications.properties import Properties
from engine.verifications.waiting import not_yet

TIMEOUT: Final = 3600.0
"""Seconds for which a backup is waited for where the document says nothing."""

OUTPUT: Final = "backup_status"

COMPLETE: Final = frozenset(
    {"available", "complete", "completed", "done", "finished", "ok", "success", "succeeded", "true"}
)
FAILED: Final = frozenset({"aborted", "cancelled", "canceled", "error", "failed", "failure"})


class BackupProperties(Properties):
    """`backup_completion`: the output to look at, and how long to wait."""

    timeout: Seconds | None = None
    output: str = OUTPUT


class BackupCompletion:
    """A backup is complete."""

    name: ClassVar[str] = "backup_completion"
    model: ClassVar[type[BaseModel]] = BackupProperties

    def __init__(self, services: StepServices) -> None:
        self._outbound: Outbound = services.outbound

    async def check(
        self, context: StepContext, properties: BackupProperties, result: Completed
    ) -> Verdict:
        """Judge the output, or what its address answers. OutboundRefused passes: it is final."""
        name = properties.output
        if name not in result.outputs:
            return Verdict(False, "complete", None, f"there is no output {name!r}")
        value = result.outputs[name]
        if not str(value).startswith(("https://", "http://")):
            said = _word(value)
            reason = "" if said in COMPLETE else f"the output {name!r} does not say so"
            return Verdict(said in COMPLETE, "complete", said, reason)
        answer = await self._ask(str(value))
        if answer in COMPLETE:
            return Verdict(True, "complete", answer)
        if answer in FAILED:
            return Verdict(False, "complete", answer, f"the backup's status is {answer}")
        return await not_yet(
            context,
            self.name,
            limit=TIMEOUT if properties.timeout is None else properties.timeout,
            expected="complete",
            actual=answer,
            reason="the backup was not complete",
        )

    async def _ask(self, address: str) -> str | None:
        """Return what the address says; None where it gives no answer to go by."""
        try:
            response = await self._outbound.request("GET", address)
            answer = response.json() if response.is_success else None
        except (StepFailed, ValueError):
            return None
        if isinstance(answer, Mapping):
            answer = answer.get("status", answer.get("state"))
        return None if answer is None else _word(answer)


def _word(value: Json) -> str:
    return str(value).strip().lower()
