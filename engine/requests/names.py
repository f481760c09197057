"""The plain data that templates of a request see: its fields, its document, its instance.

Secrets stand here as references; who needs them in clear puts that in (engine/execution/scope.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from engine.catalog.options import DOCUMENT_KEYS
from engine.store.execution import ClaimedRequest


def template_names(request: ClaimedRequest, component: str | None = None) -> dict[str, Any]:
    """Return the names of a request's templates; `steps` are those of the component alone."""
    document = request.plan.get("document", {})
    fields = dict.fromkeys(field_names(request.plan.get("presentation", {})))
    return {
        **fields,
        **request.parameters,
        "parameters": [
            {"name": name, "value": value} for name, value in request.parameters.items()
        ],
        "requester": {
            "user_id": request.requester_user_id,
            "name": request.requester_name,
            "email": request.requester_email,
            "team": request.requester_team,
        },
        "request": {"id": request.request_id, "type": request.request_type},
        "catalog_item": {key: document.get(key) for key in DOCUMENT_KEYS},
        "instance": _instance(request),
        "dependencies": dict(request.dependencies),
        "components": {},
        "steps": _steps(request.steps, component),
        "current_timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def field_names(presentation: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of all fields of a presentation as written."""
    for key in ("fields", "bundle_fields"):
        yield from (field["name"] for field in presentation.get(key) or ())
    for group in presentation.get("groups") or ():
        yield from (field["name"] for field in group.get("fields") or ())


def _instance(request: ClaimedRequest) -> dict[str, Any]:
    known = {"id": request.instance_id, "name": request.instance_name}
    if request.request_type == "create":
        return known
    return known | {
        "outputs": request.service_outputs or {},
        "parameters": request.deployment_parameters or {},
        "version": request.instance_version,
    }


def _steps(steps: Mapping[str, Any], component: str | None) -> dict[str, Any]:
    """Return the steps of the same component by name; the outputs of one that gave none are None."""
    prefix = f"{component}/" if component else ""
    return {
        step_id.removeprefix(prefix): {"outputs": outputs}
        for step_id, outputs in steps.items()
        if step_id.startswith(prefix)
    }
