"""Who acts, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from engine.results.shared import Json, Source


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person with the teams and rights of this moment."""

    user_id: str
    name: str
    email: str | None = None
    teams: tuple[str, ...] = ()
    is_admin: bool = False
    is_active: bool = True
    time_zone: str | None = None
    source: Source = "cli"
    audit_name: str = ""
    """As the audit log names the actor: "U1", "cli:login", "cli:login as U1"."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A line of the audit log: who did what to what; `outcome` is done, denied or failed."""

    id: int
    at: datetime
    actor: str
    action: str
    target: str | None
    outcome: str
    before: Json
    after: Json
    reason: str | None


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """What a rotation did: secrets now under `key_id`, and those whose own key is not set."""

    key_id: str
    rotated: int
    unreadable: Mapping[str, int]
