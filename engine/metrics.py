"""What is measured: by this process as it works, and of the whole installation by the database.

The first kind are counters and histograms of one process; a scraper adds them up. The second kind
(`Measures`) are the same whichever process is asked; a scraper takes the greatest.

Labels are types, outcomes and states, never ids: their number is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

REGISTRY: Final = CollectorRegistry()
"""What this process measures."""

STEP_SECONDS: Final = Histogram(
    "pao_step_duration_seconds",
    "Time from a step's start to its outcome, waiting included",
    ["type", "outcome"],
    buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400),
    registry=REGISTRY,
)
START_DELAY: Final = Histogram(
    "pao_step_start_delay_seconds",
    "Time from the moment a step was due to its claim",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
    registry=REGISTRY,
)
TAKE_OVERS: Final = Counter(
    "pao_lease_takeovers",
    "Steps taken over because the lease of their worker had ended",
    registry=REGISTRY,
)

ENDS: Final = frozenset({"completed", "failed", "skipped", "retrying"})
"""Outcomes of a turn that end an attempt."""


def step_turned(step_type: str, outcome: str, seconds: float) -> None:
    """Note the outcome of a step's turn; a turn that only waits on is none."""
    if outcome in ENDS:
        STEP_SECONDS.labels(step_type, outcome).observe(seconds)


@dataclass(frozen=True, slots=True)
class LastSync:
    """The last sync of the catalog that ended; times in seconds."""

    status: str
    duration: float | None
    errors: int
    age: float


@dataclass(frozen=True, slots=True)
class Queues:
    """What waits; times in seconds."""

    steps_due: int
    steps_waiting: int
    steps_running: int
    oldest_due: float
    """How long the first step that is due has waited to be claimed."""
    outbox: int
    outbox_lag: float
    """How long the first item that is due has waited."""
    tickets_open: int
    approvals_waiting: int
    parked_events: int


@dataclass(frozen=True, slots=True)
class Measures:
    """How the whole installation stands."""

    requests: Mapping[tuple[str, str], int]
    """Number by (type, status)."""
    queues: Queues
    sync: LastSync | None
    pool: Mapping[str, int]
    """Statistics of this process's connection pool."""
