"""The spans of a request: their ids, and the one that calls to the outside belong to at present.

Ids are derived from those of requests and steps, so that every process, and every try, gives a span
the same one (docs/decisions/traces.md). A call carries its step's span as `traceparent` (W3C Trace
Context), so that what the called service does stands below the step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

TRACEPARENT: Final = "traceparent"
"""The header's name."""

_VERSION, _SAMPLED = "00", "01"

_current: ContextVar[str | None] = ContextVar(TRACEPARENT, default=None)


def trace_id(request_id: str) -> str:
    """Return the trace of a request (req-...): 16 bytes in hex."""
    return _id(request_id, 16)


def span_id(request_id: str, step_id: str | None = None) -> str:
    """Return the span of a step, or of the request itself: 8 bytes in hex."""
    return _id(f"{request_id}:{step_id or ''}", 8)


@contextmanager
def in_span(request_id: str, step_id: str | None = None) -> Iterator[None]:
    """Let calls made in the block belong to the span of a step, or of the request itself."""
    ids = (trace_id(request_id), span_id(request_id, step_id))
    token = _current.set("-".join((_VERSION, *ids, _SAMPLED)))
    try:
        yield
    finally:
        _current.reset(token)


def traceparent() -> str | None:
    """Return the header's value for a call that is made now; None outside of every span."""
    return _current.get()


def _id(text: str, size: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[: 2 * size]
