"""What a ticket says: the document's template, then what the people who do the work need to know.

The error, the attempts, the rendered parameters (secrets as dots) and a link stand below the
description; a ticket about clean-up or completion lists what there is, or what is left. A template
that fails to render still makes a ticket, with the template as written and the reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from engine.errors import PaoError
from engine.foreign_json import dump_json
from engine.redaction import Redactor
from engine.requests.parameters import with_dots
from engine.store.claimed import ClaimedRequest
from engine.store.outbox import FailedAttempt, StepState
from engine.templates import render

LONGEST_SUMMARY: Final = 255
LONGEST_DETAIL: Final = 4000
"""Characters."""

CALLED_WITH: Final = frozenset({"url", "headers", "authentication", "status_url"})
"""Keys of a ticket template that need their secrets: how the system is called, not what it is told."""

TicketType = Literal["fulfillment", "cleanup", "completion"]


@dataclass(frozen=True, slots=True)
class Cause:
    """What a ticket is about."""

    request: ClaimedRequest
    type: TicketType
    step_name: str | None
    attempts: Sequence[FailedAttempt]
    steps: Sequence[StepState]


def rendered(written: Mapping[str, Any], names: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the rendered template; where it fails, as written, and why."""
    try:
        template: Mapping[str, Any] = render(written, names, statements=True)
    except PaoError as error:
        return written, f"The ticket's template could not be rendered: {error}"
    return template, ""


def summary(template: Mapping[str, Any], cause: Cause) -> str:
    """Return the document's summary in one line; of clean-up and completion what they are about."""
    written = template.get("summary") or template.get("short_description")
    written = written or template.get("subject")
    if written and cause.type == "fulfillment":
        return " ".join(str(written).split())
    return _asked(cause)


def _asked(cause: Cause) -> str:
    document = cause.request.plan.get("document", {})
    what = {
        "fulfillment": "Please provide by hand",
        "cleanup": "Please clean up after",
        "completion": "Please complete by hand",
    }[cause.type]
    return f"{what}: {document.get('display_name')} ({cause.request.request_id})"


def below(cause: Cause, link: str | None) -> str:
    """Return what stands under the description: error, step, attempts, parameters, link."""
    lines = []
    if cause.type != "fulfillment":
        over = " What was ordered is not asked for any more." if cause.type == "cleanup" else ""
        lines.append(f"{_asked(cause)}.{over}")
    lines.append(f"Request: {cause.request.request_id}")
    if cause.request.instance_id:
        lines.append(f"Service: {cause.request.instance_name} ({cause.request.instance_id})")
    if cause.step_name:
        lines.append(f"Step: {cause.step_name}")
    if cause.attempts:
        last = cause.attempts[-1]
        lines.append(f"Error: {last.error_type}: {last.error_message}")
        if last.error_details:
            lines.append(f"Details: {dump_json(last.error_details)[:LONGEST_DETAIL]}")
        lines.append(f"Attempts: {len(cause.attempts)}")
        lines += [
            f"  {one.attempt_number}. {one.error_type}: {one.error_message}"
            for one in cause.attempts
        ]
    if cause.request.parameters:
        lines.append(f"Parameters: {_as_text(with_dots(cause.request.parameters))}")
    if cause.attempts and cause.attempts[-1].parameters:
        lines.append(f"Rendered: {_as_text(cause.attempts[-1].parameters)}")
    if cause.type != "fulfillment":
        lines += _what_there_is(cause.steps, cause.type)
    if link:
        lines.append(f"Link: {link}")
    return "\n".join(lines)


def for_people(
    template: Mapping[str, Any], described: str, redactor: Redactor
) -> Mapping[str, Any]:
    """Redact a template, but for what makes the call and is not shown in the ticket."""
    shown = {
        key: value if key in CALLED_WITH else redactor.json(value)
        for key, value in template.items()
    }
    if "description" in template:
        shown["description"] = redactor.text(described)
    return shown


def _what_there_is(steps: Sequence[StepState], ticket_type: TicketType) -> list[str]:
    if ticket_type == "completion":
        left = [step for step in steps if step.status != "completed"]
        return ["Left to do:", *(f"  {step.step_name} ({step.step_type})" for step in left)]
    lines = ["What exists already:"]
    for step in steps:
        lines += [
            f"  {step.step_name}: {resource.get('address')} {resource.get('id') or ''}"
            for resource in step.resources or ()
        ]
        if not step.resources and step.status == "completed":
            lines.append(f"  {step.step_name} ({step.step_type}) {step.external_job_url or ''}")
    return lines


def _as_text(data: Any) -> str:
    return json.dumps(json.loads(dump_json(data)), indent=2, ensure_ascii=False)[:LONGEST_DETAIL]
