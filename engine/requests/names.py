"""The plain data that templates of a request see: its fields, its document, its instance.

Secrets stand here as references; who needs them in clear puts that in (engine/execution/scope.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine.catalog.options import DOCUMENT_KEYS
from engine.requests.subject import COMPONENTS, component_outputs, subject_of
from engine.store.execution import ClaimedRequest


def template_names(request: ClaimedRequest, component: str | None = None) -> dict[str, Any]:
    """Return the names of a request's templates, or of those of one of its components."""
    subject = subject_of(request, component)
    return {
        **subject.fields,
        "parameters": listed(subject.parameters),
        "requester": {
            "user_id": request.requester_user_id,
            "name": request.requester_name,
            "email": request.requester_email,
            "team": request.requester_team,
        },
        "request": {"id": request.request_id, "type": request.request_type},
        "catalog_item": {key: subject.catalog_item.get(key) for key in DOCUMENT_KEYS},
        "instance": subject.instance,
        "dependencies": dict(subject.dependencies),
        "components": component_outputs(request) if COMPONENTS in request.plan else {},
        "steps": subject.steps,
        "current_timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def listed(parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return parameters as templates loop over them."""
    return [{"name": name, "value": value} for name, value in parameters.items()]
