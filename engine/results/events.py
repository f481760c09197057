"""What happened, as consumers read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from engine.results.shared import Json


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, as consumers read it. `request_id`, `step_id` and `instance_id` are external ids."""

    id: int
    kind: str
    at: datetime
    data: Mapping[str, Json]
    request_id: str | None = None
    step_id: str | None = None
    instance_id: str | None = None


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that a consumer could not handle; `retry_wanted`: it is to take it once more."""

    event_id: int
    consumer: str
    kind: str
    request_id: str | None
    instance_id: str | None
    error: str
    parked_at: datetime
    retry_wanted: bool
