"""What a pre-execution check is: a question about a request that is asked before its first step.

Checks only ask: a round that was interrupted is repeated. Each is bounded in time by the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """What a check may know: the request, its instance as it stands now, and the database's time.

    `targets` and `operation` are the sections of an update or upgrade as written; `parameters` hold
    dots for secrets.
    """

    request_id: str
    request_type: str
    parameters: Mapping[str, Any]
    now: datetime
    window_grace: timedelta
    not_before: datetime | None = None
    window_ends_at: datetime | None = None
    instance_id: str | None = None
    instance_name: str | None = None
    instance_state: str | None = None
    instance_version: str | None = None
    instance_parameters: Mapping[str, Any] | None = None
    instance_item: frozenset[str] = frozenset()
    """Name and slug of the item or bundle that the instance is of."""
    targets: Mapping[str, Any] | None = None
    to_version: str | None = None
    destructive: bool = False


class PreExecutionCheck(Protocol):
    """One kind of check. One instance serves a whole process."""

    name: ClassVar[str]

    async def check(self, facts: CheckFacts, template: Mapping[str, Any] | None) -> str | None:
        """Return why the request must not run, None where it may.

        `template` is what the document says beside the name, rendered. An error that is raised
        counts as a failed check.
        """
