"""What a TerraformFile step is told: its template, and the names that follow from it."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field

from engine.errors import StepFailed
from engine.steps.base import Json, StepContext
from engine.steps.templates import RenderedTemplate

META_ARGUMENTS = frozenset(
    {
        "count",
        "depends_on",
        "for_each",
        "lifecycle",
        "locals",
        "providers",
        "source",
        "version",
    }
)
"""Names that mean something else in a module block; Terraform keeps them from being variables."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_STATE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,90}")


class TerraformTemplate(RenderedTemplate):
    """Which module, with which variables, on which state.

    `version` constrains a registry module, or, for a module of the catalog, Terraform itself.
    `destroy` takes down what the state holds; a decommission does so unless told otherwise, and so
    does a step that the engine planned for it.
    """

    module_source: str = Field(min_length=1)
    variables: dict[str, Json] | None = None
    backend_config: dict[str, Json] | None = None
    version: str | None = None
    state: str | None = None
    destroy: bool | None = None

    def given_variables(self) -> dict[str, Any]:
        """Return the variables that have a value: None means "not given", the module's default."""
        given = {name: value for name, value in (self.variables or {}).items() if value is not None}
        for name in given:
            if name in META_ARGUMENTS or not _IDENTIFIER.fullmatch(name):
                raise _invalid(f"{name!r} cannot be the name of a variable")
        return given

    def destroys(self, context: StepContext) -> bool:
        """Whether the step takes down instead of making."""
        return is_end(context) if self.destroy is None else self.destroy


def is_end(context: StepContext) -> bool:
    """Whether the engine itself planned the step to take down: people asked for the end of it."""
    return context.request_type == "decommission" or context.config.get("destroy") is True


def workspace_name(template: TerraformTemplate, context: StepContext) -> str:
    """Return the workspace: the instance and `state`, by default the step's name.

    The component before a bundle's step name is left out: a component's instance is its own, and
    an update of that instance alone must find the same state.
    """
    state = template.state or context.step_name.rpartition("/")[2]
    if not _STATE_NAME.fullmatch(state):
        raise _invalid(f"{state!r} cannot be the name of a state: use letters, digits, _ . and -")
    return f"{context.instance_id or context.request_id}--{state}"


def _invalid(message: str) -> StepFailed:
    return StepFailed("invalid_template", message, kind="permanent")
