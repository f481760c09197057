"""How members of a bundle are connected: the configuration of their dependencies on each other.

It may be a template over what the providers gave, so it is rendered when the component runs and kept
with the member; until then it stands as written. Secrets stand in it as dots: it describes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import StepFailed, TemplateError
from engine.requests.names import shown_names
from engine.requests.subject import part_of
from engine.store.claimed import ClaimedRequest
from engine.templates import has_template, render


def rendered_connections(request: ClaimedRequest, component: str) -> Mapping[str, Any]:
    """Return by the name of each dependency its configuration, where that is a template.

    It sees what the bundle's document sees, and the component's own instance and dependencies. Raises
    StepFailed (permanent).
    """
    written = {
        edge["name"]: edge["config"]
        for edge in part_of(request.plan, component).get("dependencies") or ()
        if edge.get("on") in request.members and _has_template(edge.get("config"))
    }
    if not written or request.request_type != "create":
        return {}
    names, own = shown_names(request), shown_names(request, component)
    names |= {
        "instance": own["instance"],
        "dependencies": {**names["dependencies"], **own["dependencies"]},
    }
    try:
        rendered: Mapping[str, Any] = render(written, names)
    except TemplateError as error:
        raise StepFailed(
            "dependency_config",
            f"The configuration of a dependency of {component} cannot be rendered:"
            f" {error.field}: {error}",
            details={"component": component},
            kind="permanent",
            do="Correct the bundle's document",
        ) from error
    return rendered


def _has_template(config: Any) -> bool:
    if isinstance(config, str):
        return has_template(config)
    if isinstance(config, Mapping):
        return any(_has_template(one) for one in config.values())
    return isinstance(config, list) and any(_has_template(one) for one in config)
