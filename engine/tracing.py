"""A request as a trace: one span for it, one for each step, read from the database when it has ended.

The format is OTLP's JSON (https://opentelemetry.io/docs/specs/otlp/). Why it is written by us and
when it is sent stands in docs/decisions/traces.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import structlog

from engine.errors import PaoError
from engine.outbound import Outbound, failure_of
from engine.results import AttemptView, RequestView, StepView
from engine.spans import span_id, trace_id

INTERNAL: Final = 1
OK, ERROR = 1, 2
"""SpanKind and StatusCode of the protocol."""

TIMEOUT: Final = 10.0

log = structlog.get_logger(__name__)


async def send_trace(outbound: Outbound, endpoint: str, view: RequestView) -> None:
    """Send the trace of a request that has ended; a collector that is away is logged, no more."""
    try:
        response = await outbound.request(
            "POST",
            f"{endpoint.rstrip('/')}/v1/traces",
            json=trace_of(view),
            timeout=TIMEOUT,
            guarded=False,
        )
        if error := failure_of(response):
            raise error
    except PaoError as error:
        log.warning("trace_not_sent", request_id=view.request_id, error=str(error))


def trace_of(view: RequestView) -> dict[str, Any]:
    """Return an ended request as OTLP's ExportTraceServiceRequest."""
    scope = {"scope": {"name": "pao"}, "spans": list(_spans(view))}
    resource = {"attributes": _attributes({"service.name": "pao"})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}


def _spans(view: RequestView) -> Iterator[dict[str, Any]]:
    trace = trace_id(view.request_id)
    root = span_id(view.request_id)
    end = view.completed_at or view.updated_at
    names = (view.catalog_item, view.catalog_bundle, view.update_item, view.upgrade_item)
    document = next((name for name in names if name), None)
    yield {
        "traceId": trace,
        "spanId": root,
        "name": " ".join(filter(None, (view.request_type, document))),
        "kind": INTERNAL,
        "startTimeUnixNano": _nanoseconds(view.created_at),
        "endTimeUnixNano": _nanoseconds(end),
        "attributes": _attributes(
            {
                "pao.request_id": view.request_id,
                "pao.request_type": view.request_type,
                "pao.document": document,
                "pao.version": view.catalog_version,
                "pao.instance_id": view.instance_id,
                "pao.status": view.status,
            }
        ),
        "status": {"code": OK if view.status == "completed" else ERROR},
    }
    for step in view.steps:
        if step.started_at is not None:
            yield {"traceId": trace, "parentSpanId": root, **_step(view, step, end)}


def _step(view: RequestView, step: StepView, end: datetime) -> dict[str, Any]:
    failed = [attempt for attempt in step.attempts if attempt.error_type]
    told = {"message": failed[-1].error_message or ""} if failed and step.status == "failed" else {}
    return {
        "spanId": span_id(view.request_id, step.step_id),
        "name": step.name,
        "kind": INTERNAL,
        "startTimeUnixNano": _nanoseconds(step.started_at or end),
        "endTimeUnixNano": _nanoseconds(step.completed_at or end),
        "attributes": _attributes(
            {
                "pao.step_id": step.step_id,
                "pao.step_type": step.type,
                "pao.status": step.status,
                "pao.attempts": len(step.attempts),
            }
        ),
        "events": [_failure(attempt, end) for attempt in failed],
        "status": {"code": ERROR if step.status == "failed" else OK, **told},
    }


def _failure(attempt: AttemptView, end: datetime) -> dict[str, Any]:
    return {
        "timeUnixNano": _nanoseconds(attempt.completed_at or end),
        "name": "exception",
        "attributes": _attributes(
            {
                "exception.type": attempt.error_type,
                "exception.message": attempt.error_message,
                "pao.attempt": attempt.attempt_number,
            }
        ),
    }


def _attributes(values: Mapping[str, str | int | None]) -> list[dict[str, Any]]:
    """Return attributes in the protocol's form, whose integers are text."""
    return [
        {
            "key": key,
            "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value},
        }
        for key, value in values.items()
        if value is not None
    ]


def _nanoseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1_000_000) * 1000)
