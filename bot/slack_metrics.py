"""What this process measures of Slack."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

from engine.metrics import REGISTRY

ACK_SECONDS: Final = Histogram(
    "pao_slack_ack_seconds",
    "Time from a payload of Slack to its acknowledgement",
    ["kind"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3),
    registry=REGISTRY,
)
RATE_LIMITS: Final = Counter(
    "pao_slack_rate_limits", "Calls that Slack put off by Retry-After", registry=REGISTRY
)
REBUILDS: Final = Counter(
    "pao_slack_socket_rebuilds",
    "Socket Mode connections that had to be replaced",
    registry=REGISTRY,
)


def note_ack(kind: str, seconds: float) -> None:
    """Note how long an acknowledgement took."""
    ACK_SECONDS.labels(kind).observe(seconds)
