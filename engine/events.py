"""The vocabulary of what happens: an event is written in the transaction that makes it true.

Kinds are past tense words with the noun first; `data` is redacted JSON. Who consumes them and how
stands in engine/dispatch/consumers.py; the shape that consumers see is `engine.results.Event`.

    request.  submitted validating started completed failed cancelled aborted resuming overrunning
    step.     started progress plan waiting verifying retrying completed failed skipped pending
    ticket.   requested created delayed updated resolved cancelled reminded
    approval. requested given rejected expired reminded
    check.    passed failed
    others    instance.changed instance.provider_degraded dependency.added dependency.removed
              decommission.checked operations.eligible operations.changed catalog.synced
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

EVENTS_CHANNEL: Final = "pao_events"
"""Notified after each commit that wrote events."""

STEPS_CHANNEL: Final = "pao_steps"
"""Notified after each commit that made steps or outbox items due."""

CATALOG_CHANNEL: Final = "pao_catalog"
"""Notified after each sync that changed the catalog."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be written, by internal ids."""

    kind: str
    request_id: UUID | None = None
    step_id: UUID | None = None
    instance_id: UUID | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
