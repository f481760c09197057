"""The plain data that templates of a request see: its fields, its document, its instance.

Secrets stand here as references; who needs them in clear puts that in (engine/execution/scope.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from engine.catalog.options import DOCUMENT_KEYS
from engine.errors import TemplateError
from engine.requests.parameters import with_dots
from engine.requests.subject import COMPONENTS, component_outputs, part_of, step_subject
from engine.store.claimed import ClaimedRequest
from engine.templates import render


def template_names(request: ClaimedRequest, component: str | None = None) -> dict[str, Any]:
    """Return the names of a request's templates, or of those of one of its components."""
    subject = step_subject(request, component)
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


def shown_names(request: ClaimedRequest, component: str | None = None) -> dict[str, Any]:
    """Return the same with secrets as dots, for what is judged or told before a step runs.

    What a bundle fixes for a component follows from what the bundle's fields are now, whatever they
    were when it was ordered; what cannot be told yet stays as it was.
    """
    names: dict[str, Any] = with_dots(template_names(request, component))
    fixed = fixed_of(request.plan, component)
    if not fixed or request.request_type != "create":
        return names
    bundle = with_dots(template_names(request))
    known: dict[str, Any] = {}
    for name, written in fixed.items():
        with suppress(TemplateError):
            known[name] = render(written, bundle)
    asked = {one["name"]: one["value"] for one in names["parameters"]}
    return {**names, **known, "parameters": listed({**asked, **known})}


def fixed_of(plan: Mapping[str, Any], component: str | None) -> Mapping[str, Any]:
    """Return the parameters that a bundle fixes for a component, as written."""
    fixed: Mapping[str, Any] = (component and part_of(plan, component).get("parameters")) or {}
    return fixed


def listed(parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return parameters as templates loop over them."""
    return [{"name": name, "value": value} for name, value in parameters.items()]
