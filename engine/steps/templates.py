"""A step's rendered template, read into the shape that its type declares."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from engine.durations import parse_duration
from engine.errors import StepFailed

Model = TypeVar("Model", bound=BaseModel)

Seconds = Annotated[float, BeforeValidator(parse_duration)]
"""A length of time as documents write it, in seconds."""


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


RenderedText = Annotated[str, BeforeValidator(_as_text)]
"""A text; a number or a boolean that a template rendered to is taken as it would be written."""


class RenderedTemplate(BaseModel):
    """Base of the template models: immutable, and a key that means nothing is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def read_template(model: type[Model], template: Any, what: str = "The step's template") -> Model:
    """Return the template as `model`; StepFailed (permanent) names each key that is wrong.

    Values are not repeated in the message: they may be secrets.
    """
    try:
        return model.model_validate(dict(template))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found]
        raise StepFailed(
            "invalid_template",
            f"{what} cannot be used: {'; '.join(problems)}",
            details={"problems": problems},
            kind="permanent",
        ) from None
